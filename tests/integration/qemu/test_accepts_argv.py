"""Every command line of a kind that can run here is taken by the installed QEMU, paused, under TCG."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.argvguests import runnable

from splitvirt.xml.domain import Domain
from virtqemud.argv.command import Command, build
from virtqemud.argv.context import Context
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.emulator.probe import Prober
from virtqemud.prepare import prepare

EMULATOR = "/usr/bin/qemu-system-x86_64"
AT_ONCE = 2
ANSWER = 30.0
"""Seconds that QEMU has to answer, on a busy machine."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.path.exists(EMULATOR), reason=f"{EMULATOR} is not installed"),
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the guests refer to."""
    made = tmp_path_factory.mktemp("a")
    for image in ("raw.img", "cd.img"):
        (made / image).write_bytes(bytes(1 << 20))
    kernel = bytearray(1 << 20)
    kernel[0x1F1], kernel[0x202:0x208] = 4, b"HdrS\x0f\x02"  # as much of a Linux kernel as QEMU looks at:
    kernel[0x22C:0x230] = b"\xff\xff\xff\x37"  # where its initrd may end
    (made / "kernel").write_bytes(kernel)
    (made / "share").mkdir()
    base = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "raw.img", "-F", "raw", "top.qcow2"]
    subprocess.run(base, cwd=made, check=True, timeout=30)
    return made


def command(document: str, caps: Capabilities, lib: Path) -> Command:
    """The command line, and what it needs made."""
    domain = Domain.from_xml(document)
    assert not domain.unknown
    prepare(domain, caps, for_start=True)
    made = build(domain, Context(domain, caps, str(lib), id=1, env={"PATH": os.defpath}))
    for path in [*made.needs.folders, f"{lib}/domain-1-{(domain.name or '')[:20]}"]:
        Path(path).mkdir(parents=True, exist_ok=True)
    for name, content in made.needs.files.items():
        Path(name).write_bytes(content)
    return made


async def answer(made: Command, lib: Path) -> str:
    """QEMU's status over the monitor, once all is set up; what it says on stderr instead when it ends before."""
    process = await asyncio.create_subprocess_exec(
        *made.argv, env=made.env, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, cwd=lib
    )
    path = next(p for p in lib.glob("domain-1-*")) / "monitor.sock"
    try:
        async with asyncio.timeout(ANSWER):
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(path)
                    break
                except OSError:
                    if process.returncode is not None:
                        assert process.stderr is not None
                        return (await process.stderr.read()).decode()
                    await asyncio.sleep(0.02)
            try:
                await reader.readline()  # the greeting comes from a thread of its own, before devices are made
                writer.write(b'{"execute": "qmp_capabilities"} {"execute": "query-status"}')
                await reader.readline()
                line = await reader.readline()
            except ConnectionError:
                line = b""
            writer.close()
            if not line and process.stderr is not None:
                line = await process.stderr.read()
            return line.decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_accepts_argv(folder: Path, tmp_path: Path) -> None:
    caps = await Prober(tmp_path / "cache").get(EMULATOR)
    guests = list(runnable(folder))
    assert len({name for name, _ in guests}) == len(guests) >= 60
    gate = asyncio.Semaphore(AT_ONCE)
    refused: dict[str, str] = {}

    async def start(name: str, document: str) -> None:
        async with gate:
            lib = tmp_path / name
            lib.mkdir()
            own = shutil.copytree(folder, lib / "a")  # QEMU locks images
            said = await answer(command(document.replace(str(folder), str(own)), caps, lib), lib)
        if not said.startswith("{") or json.loads(said).get("return", {}).get("status") != "prelaunch":
            refused[name] = said.strip() or "nothing"

    async with asyncio.timeout(800), asyncio.TaskGroup() as tasks:
        for name, document in guests:
            tasks.create_task(start(name, document))
    Path("/dev/shm/splitvirt-argv").unlink(missing_ok=True)
    assert not refused, "\n".join(f"{name}: {words}" for name, words in refused.items())
