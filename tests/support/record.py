"""Records what real clients say to our server: `python -m support.record FILE` from `tests/`.

Each line of the file is one connection of virsh to the in-memory hypervisor: the frames it sent, in hexadecimal. The
fuzzers start from them.
"""

import asyncio
import os
import struct
import sys
import tempfile
from pathlib import Path

from support import serve

COMMANDS = (
    "list --all", "uri; hostname; version; nodeinfo; capabilities", "dominfo one; domstate one; dumpxml one",
    "start one; domid one; destroy one", "autostart one; autostart --disable one", "define {xml}; undefine three",
    "create --pass-fds 0 {xml}", "event --all --timeout 1", "qemu-monitor-event --timeout 1",
    "qemu-monitor-command one --hmp info", "screenshot one /dev/null", "net-list; pool-list; nwfilter-list",
    "domblklist one; domiflist one; vcpuinfo one; memtune one; schedinfo one; blkiotune one; domjobinfo one",
    "domstats; cpu-models x86_64; domcapabilities; nodecpustats; nodememstats; freecell; maxvcpus",
    "setmem one 1000; setvcpus one 1; attach-disk one /a vda; send-key one KEY_A; metadata one http://a",
    "snapshot-list one; checkpoint-list one; save one /a; restore /a; domtime one; guestinfo one; domfsinfo one",
    "iothreadinfo one; perf one; numatune one; domblkinfo one vda; domifstat one vnet0; dommemstat one;",
    "domrename one x; setmaxmem one 1",
)  # fmt: skip


async def record(path: str) -> str:
    """Run the commands through a proxy that takes their frames down."""
    said: list[list[str]] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[str] = []
        said.append(mine)
        far_reader, far_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(_pump(reader, far_writer, mine), _pump(far_reader, writer, []))

    proxy = await asyncio.start_unix_server(client, path + "-proxy")
    xml = Path(path).parent / "three.xml"
    xml.write_text("<domain type='qemu'><name>three</name></domain>")
    for command in COMMANDS:
        uri = f"qemu+unix:///system?socket={path}-proxy"
        process = await asyncio.create_subprocess_exec("virsh", "-q", "-c", uri, command.format(xml=xml))
        await asyncio.wait_for(process.wait(), 60)
    proxy.close()
    return "".join(" ".join(frames) + "\n" for frames in said if frames)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, taken: list[str]) -> None:
    try:
        while True:
            head = await reader.readexactly(4)
            body = await reader.readexactly(struct.unpack(">I", head)[0] - 4)
            taken.append((head + body).hex())
            writer.write(head + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    with tempfile.TemporaryDirectory() as folder, serve.serving(f"{folder}/sock"):
        Path(sys.argv[1]).write_text(asyncio.run(record(f"{folder}/sock")))
