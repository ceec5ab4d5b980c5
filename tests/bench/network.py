"""Networks: how long a start takes, and libvirtd's; a port with its tap; many networks; an idle daemon's memory.

`python -m bench.network` from `tests/` prints the figures. Both daemons run in network namespaces of their own, and one
client, Debian's libvirt-python, calls them in turn.
"""

import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from support import libvirtd
from support.netdaemon import Daemon
from support.nethost import enter, host, missing

from splitvirt.host.paths import Layout
from virtnetworkd.driver import NetworkDriver

from .table import Row

PYTHON = "/usr/bin/python3"
CLIENT = """
import json, sys, time, libvirt
conn = libvirt.open(sys.argv[1])
net = conn.networkDefineXML(sys.argv[2])
for line in sys.stdin:
    began = time.perf_counter(); net.create(); started = time.perf_counter(); net.destroy()
    print(json.dumps([started - began, time.perf_counter() - started]), flush=True)
net.undefine()
"""
NET = """<network><name>n{0}</name><forward mode='nat'/><ip address='10.{1}.{2}.1' prefix='24'><dhcp>
<range start='10.{1}.{2}.2' end='10.{1}.{2}.254'/></dhcp></ip></network>"""


def network(number: int) -> str:
    """A NAT network with DHCP."""
    return NET.format(number, 100 + number // 250, number % 250)


def measure(rounds: int = 12, defined: int = 200, running: int = 50) -> list[Row]:
    """Every figure; none where networks cannot be made or libvirt-python is missing."""
    if missing():
        return []
    with host():
        rows = asyncio.run(_ports(rounds * 4))
        rows += _many(defined, running)
    return [*_starts(rounds), *rows]


@contextlib.contextmanager
def _client(uri: str) -> Iterator["subprocess.Popen[str]"]:
    argv = [PYTHON, "-c", CLIENT, uri, network(1)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        yield client
        assert client.stdin is not None
        client.stdin.close()
        client.wait(30)


def _ask(client: "subprocess.Popen[str]") -> list[float]:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("go\n")
    client.stdin.flush()
    return list(json.loads(client.stdout.readline()))


def _starts(rounds: int) -> list[Row]:
    """Start and stop of one network, by libvirt-python: ours and libvirtd's in turn."""
    if subprocess.run([PYTHON, "-c", "import libvirt"], capture_output=True, check=False).returncode:
        return []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="net-")))
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, here)
        stack.enter_context(host())
        daemon = Daemon(folder)
        daemon.start()
        stack.callback(daemon.stop)
        ours = stack.enter_context(_client(daemon.uri))
        theirs = None
        if libvirtd.available():
            path = stack.enter_context(libvirtd.private_libvirtd())
            theirs = stack.enter_context(_client(f"qemu+unix:///system?socket={path}"))
        mine, other = [], []
        for number in range(rounds + 1):
            answers = [_ask(ours), _ask(theirs) if theirs else [0.0, 0.0]]
            if number:  # the first of each warms it up
                mine.append([t * 1000 for t in answers[0]])
                other.append([t * 1000 for t in answers[1]])
        enter(here)
    against = "libvirtd" if theirs else ""
    return [
        Row(f"{word} of a NAT network with DHCP", "ms", [m[at] for m in mine], [o[at] for o in other] if theirs else [],
            against, bar)
        for at, word, bar in ((0, "start", "<= 0.7"), (1, "stop", ""))
    ]  # fmt: skip


async def _ports(count: int) -> list[Row]:
    """A port with its tap, guarded, in a running daemon."""
    root = tempfile.mkdtemp(prefix="net-")
    driver = NetworkDriver(Layout.under(root, "system"))
    await driver.open()
    try:
        net = await driver.create(network(1))
        took = []
        for _ in range(count):
            start = time.perf_counter()
            lent = await driver.leases.take("n1")
            took.append((time.perf_counter() - start) * 1000)
            os.close(lent.fds[0])
            await driver.leases.release(lent.uuid)
        await net.destroy()
    finally:
        await driver.close()
        shutil.rmtree(root)
    return [Row("port with an open, guarded tap", "ms", took[1:], bar="< 10 ms")]


def _many(defined: int, running: int) -> list[Row]:
    """A daemon with many networks: its start, its memory; and the memory of an idle one."""
    with tempfile.TemporaryDirectory(prefix="net-") as root:
        daemon = Daemon(Path(root))
        daemon.start()
        idle = _memory(daemon)
        daemon.stop()
        asyncio.run(_define(root, defined, running))
        start = time.perf_counter()
        daemon.start()
        took = (time.perf_counter() - start) * 1000
        full = _memory(daemon)
        daemon.stop()
        start = time.perf_counter()
        asyncio.run(_stop(root))
        stopped = (time.perf_counter() - start) * 1000 / running
    what = f"{defined} networks, {running} of them running"
    return [
        Row("idle virtnetworkd, memory (PSS)", "MiB", [idle], bar="< 16 MiB"),
        Row(f"virtnetworkd with {what}, memory (PSS)", "MiB", [full]),
        Row(f"start of virtnetworkd with {what}", "ms", [took]),
        Row("stop of each of them", "ms", [stopped]),
    ]


def _memory(daemon: Daemon) -> float:
    """Proportional set size in MiB."""
    assert daemon.process is not None
    text = Path(f"/proc/{daemon.process.pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


async def _define(root: str, defined: int, running: int) -> None:
    driver = NetworkDriver(Layout.under(root, "system"))
    await driver.open()
    for number in range(defined):
        net = await driver.define(network(number))
        if number < running:
            await net.create()
    await driver.close()


async def _stop(root: str) -> None:
    driver = NetworkDriver(Layout.under(root, "system"))
    await driver.open()
    for net in driver.registry:
        if net.active:
            await net.destroy()
    await driver.close()


if __name__ == "__main__":
    for row in measure(rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 12):
        other = f"{statistics.median(row.other):8.1f}" if row.other else ""
        print(f"{row.name:60} {statistics.median(row.ours):8.1f} {row.unit} {other} {row.ratio or ''}")
