"""What an idle thing costs: opening an instance, fifty roots with a guest each, a thousand defined guests."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import splitvirt
from splitvirt.api import constants as c

from .start import guest_xml
from .table import Row

OPEN = "import asyncio, splitvirt\nasync def main():\n async with splitvirt.embed(): pass\nasyncio.run(main())"
MANY = 1000


def _process(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1000


def opening(rounds: int) -> Row:
    """A whole process that opens and closes an instance, against one that does nothing."""
    pairs = [(_process(OPEN), _process("pass")) for _ in range(rounds)]
    extra = [ours - nothing for ours, nothing in pairs]
    return Row("import, open and close an instance, more than `python -c pass`", "ms", extra, bar="< 150 ms")


async def _fifty() -> float:
    start = time.perf_counter()
    async with AsyncExitStack() as stack:
        for _ in range(50):
            hypervisor = await stack.enter_async_context(splitvirt.embed())
            await hypervisor.create(guest_xml(), c.VIR_DOMAIN_START_PAUSED)
        taken = time.perf_counter() - start
    return taken * 1000 / 50


def virsh(socket: Path, *words: str) -> float:
    """Milliseconds of a virsh command."""
    start = time.perf_counter()
    argv = ["virsh", "-c", f"qemu+unix:///system?socket={socket}", *words]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def thousand() -> list[Row]:
    """A daemon with a thousand defined guests: start until it answers, list, statistics, memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        asyncio.run(_define(root))
        socket = root / "run/libvirt/virtqemud-sock"
        start = time.perf_counter()
        argv = [sys.executable, "-m", "virtqemud", "--root", str(root), "--bus", "none"]
        with subprocess.Popen(argv) as daemon:
            while not socket.exists():
                assert daemon.poll() is None
                time.sleep(0.005)
            virsh(socket, "uri")
            up = (time.perf_counter() - start) * 1000
            listing = [virsh(socket, "list", "--all") for _ in range(5)]
            stats = [virsh(socket, "domstats") for _ in range(5)]
            daemon.send_signal(signal.SIGTERM)
    return [
        Row(f"daemon start until it answers, {MANY} defined guests", "ms", [up], bar="< 3000 ms"),
        Row(f"virsh list --all, {MANY} guests", "ms", listing),
        Row(f"virsh domstats, {MANY} guests", "ms", stats),
    ]


async def _define(root: Path) -> None:
    async with splitvirt.embed(root) as hypervisor:
        for number in range(MANY):
            await hypervisor.define(guest_xml(f"guest{number}"))


def idle() -> Row:
    """Proportional memory of an idle virtqemud, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "virtqemud", "--root", folder, "--bus", "none"]
        with subprocess.Popen(argv) as daemon:
            socket = Path(folder) / "run/libvirt/virtqemud-sock"
            while not socket.exists():
                assert daemon.poll() is None
                time.sleep(0.005)
            virsh(socket, "uri")
            rollup = Path(f"/proc/{daemon.pid}/smaps_rollup").read_text()
            pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            daemon.send_signal(signal.SIGTERM)
    return Row("memory of an idle virtqemud (PSS)", "MiB", [pss / 1024], bar="< 16 MiB")


def measure(rounds: int = 10) -> list[Row]:
    """Rows of what idle things cost."""
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    fifty = Row("50 roots in one process, each a paused guest: per guest", "ms", [asyncio.run(_fifty())])
    return [opening(rounds), fifty, *thousand(), idle()]
