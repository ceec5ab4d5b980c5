"""Time from the call to a running guest CPU: embedded, bare QEMU with the same arguments, libvirtd, virt-qemu-run."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.guest import guest_files
from support.libvirtd import available, private_libvirtd

import splitvirt
from virtqemud.driver import QemuDriver

from .table import Row

QEMU_RUN = "/usr/bin/virt-qemu-run"
CLIENT = """
import libvirt, sys, time
conn = libvirt.open(sys.argv[1]); xml = sys.stdin.readline().replace("\\x01", "\\n")
for line in sys.stdin:
    start = time.perf_counter()
    domain = conn.createXML(xml)
    print(time.perf_counter() - start, flush=True)
    domain.destroy()
"""


def guest_xml(name: str = "bench") -> str:
    """A direct-kernel guest without a disk."""
    kernel, initrd = guest_files()
    return f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
    <cmdline>console=ttyS0</cmdline></os><features><acpi/></features>
    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/>
    <serial type='null'/><memballoon model='none'/></devices></domain>"""


def bare_start(argv: list[str]) -> float:
    """Seconds until a QEMU started by hand says over QMP that its guest runs."""
    ours, theirs = socket.socketpair()
    start = time.perf_counter()
    monitor = ["-chardev", f"socket,id=m,fd={theirs.fileno()}", "-mon", "chardev=m,mode=control"]
    process = subprocess.Popen(argv + monitor, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
    theirs.close()
    with ours, ours.makefile("rw") as wire:
        wire.readline()
        for command in ("qmp_capabilities", "query-status"):
            wire.write(json.dumps({"execute": command}) + "\n")
            wire.flush()
            while "return" not in (answer := json.loads(wire.readline())):
                pass
        assert answer["return"]["status"] == "running"
        taken = time.perf_counter() - start
        process.kill()
        process.wait()
    return taken


def same_arguments(argv: list[str]) -> list[str]:
    """The embedded guest's command line without its monitor and without -S: what a person would start by hand."""
    kept, rest = [argv[0]], iter(argv[1:])
    for option in rest:
        if option == "-S":
            continue
        value = next(rest) if option not in ("-nodefaults", "-no-user-config", "-no-shutdown", "-no-acpi") else None
        if value and ("charmonitor" in value or "masterKey0" in value):  # the monitor, and a file that is gone
            continue
        kept += [option] if value is None else [option, value]
    return kept


@contextlib.contextmanager
def libvirt_client() -> Iterator[subprocess.Popen[str]]:
    """libvirt-python at a private libvirtd: a line on its stdin starts the guest, one on its stdout says how long."""
    with private_libvirtd() as path:
        uri = f"qemu+unix:///system?socket={path}"
        argv = ["/usr/bin/python3", "-c", CLIENT, uri]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdin
            client.stdin.write(guest_xml().replace("\n", "\x01") + "\n")
            yield client
            client.stdin.close()


def ask(client: subprocess.Popen[str]) -> float:
    """One start by libvirtd, in seconds."""
    assert client.stdin
    assert client.stdout
    client.stdin.write("\n")
    client.stdin.flush()
    return float(client.stdout.readline())


async def embedded_start(hv: QemuDriver) -> float:
    """Seconds until `create` returns."""
    start = time.perf_counter()
    guest = await hv.create(guest_xml())
    taken = time.perf_counter() - start
    await guest.destroy()
    return taken


async def embedded_argv(hv: QemuDriver) -> list[str]:
    """The command line that the embedded guest really has."""
    guest = await hv.create(guest_xml())
    assert guest.guest
    pid = guest.guest.process.pid
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    await guest.destroy()
    return argv


def qemu_run_start(root: Path) -> float:
    """Seconds from starting virt-qemu-run, under an init that reaps, until it says that the guest runs."""
    xml = root / "guest.xml"
    xml.write_text(guest_xml())
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/qemu.conf").write_text(
        'stdio_handler = "file"\nsecurity_driver = "none"\nuser = "root"\ngroup = "root"\n'
    )
    start = time.perf_counter()
    init = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", '"$@" & wait', "bash"]
    argv = [*init, QEMU_RUN, "-v", "-r", str(root), str(xml)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if "guest running" in line:
                break
        taken = time.perf_counter() - start
        process.kill()  # and with it all that it started
    return taken


def cold_qemu_run() -> float:
    """The same with a root of its own, so with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        return qemu_run_start(Path(folder))


async def cold_start() -> float:
    """Seconds from opening an instance with an empty cache until its guest runs."""
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", cache)
        start = time.perf_counter()
        async with splitvirt.embed() as hv:
            guest = await hv.create(guest_xml())
            taken = time.perf_counter() - start
            await guest.destroy()
    return taken


def cold_libvirt() -> float:
    """Seconds from connecting to a fresh libvirtd until its first guest runs."""
    with libvirt_client() as client:
        return ask(client)


async def paired(hv: QemuDriver, rounds: int, other: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Milliseconds of ours and theirs, in turn; one of each is not counted."""
    pairs = [(await embedded_start(hv) * 1000, other() * 1000) for _ in range(rounds + 1)][1:]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


async def _measure(rounds: int) -> list[Row]:
    rows = []
    async with splitvirt.embed() as hv:
        argv = same_arguments(await embedded_argv(hv))
        ours, theirs = await paired(hv, 2 * rounds, lambda: bare_start(argv))
        rows.append(Row("start, warm", "ms", ours, theirs, "bare QEMU, same arguments", "≤ 1.3"))
        if available():
            with libvirt_client() as client:
                ours, theirs = await paired(hv, rounds, lambda: ask(client))
            rows.append(Row("start, warm", "ms", ours, theirs, "libvirtd", "< 0.33"))
        if os.path.exists(QEMU_RUN):
            with tempfile.TemporaryDirectory() as folder:
                ours, theirs = await paired(hv, rounds, lambda: qemu_run_start(Path(folder)))
            rows.append(Row("start, warm", "ms", ours, theirs, "virt-qemu-run", "< 0.33"))
    cold = [await cold_start() * 1000 for _ in range(3)]
    if available():
        rows.append(Row("start, cold", "ms", cold, [cold_libvirt() * 1000 for _ in cold], "libvirtd, up", "< 0.25"))
    if os.path.exists(QEMU_RUN):
        rows.append(Row("start, cold", "ms", cold, [cold_qemu_run() * 1000 for _ in cold], "virt-qemu-run", "< 0.25"))
    return rows


def measure(rounds: int = 10) -> list[Row]:
    """Rows of starting a guest; in each round everybody starts one, in turn."""
    return asyncio.run(_measure(rounds))
