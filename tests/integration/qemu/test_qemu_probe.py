"""What an emulator is asked, when it is asked again, and how long opening an instance takes."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.qemu import needs_qemu

import splitvirt
from splitvirt.api.errors import InternalError, OperationInvalid, SystemError_
from virtqemud.emulator import probe
from virtqemud.emulator.probe import Prober
from virtqemud.running.monitor import CommandError, Monitor

pytestmark = needs_qemu
QEMU = "/usr/bin/qemu-system-x86_64"


async def test_facts_of_the_installed_emulator(tmp_path: Path) -> None:
    caps = await Prober(tmp_path).get(QEMU)
    assert caps.version >= (5, 0, 0)
    assert caps.arch == "x86_64"
    assert caps.canonical("q35").startswith("pc-q35-")
    assert caps.canonical(caps.default_machine or "") == caps.default_machine
    assert (caps.machine("pc") or {})["cpu-max"] >= 1
    assert caps.cpu("qemu64")
    assert caps.has_device("virtio-blk-pci")
    assert caps.schema("blockdev-add/driver=nbd")
    assert caps.option_has("machine", "dump-guest-core")
    assert (caps.cpu_expansion() or {})["sse2"] is True


async def test_it_is_asked_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = probe.ask

    async def counted(emulator: str, accelerator: str, user: Any = None) -> dict[str, Any]:
        asked.append(emulator)
        return await real(emulator, accelerator, user)

    monkeypatch.setattr(probe, "ask", counted)
    copy = tmp_path / "qemu"
    copy.write_text(f'#!/bin/sh\nexec {QEMU} "$@"\n')
    copy.chmod(0o755)
    prober = Prober(tmp_path / "cache")
    await asyncio.gather(*(prober.get(str(copy)) for _ in range(4)))
    await Prober(tmp_path / "cache").get(str(copy))
    assert len(asked) == 1
    os.utime(copy, (1, 1))
    await prober.get(str(copy))
    assert len(asked) == 2
    for kept in (tmp_path / "cache").rglob("*.json"):
        assert kept.stat().st_mode & 0o077 == 0
        kept.write_text("{broken")
    await Prober(tmp_path / "cache").get(str(copy))
    assert len(asked) == 3


async def test_what_is_no_emulator_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SystemError_, match="Cannot check QEMU binary /nonexistent: No such file or directory"):
        await Prober(tmp_path).get("/nonexistent")
    with pytest.raises(InternalError, match="Failed to probe QEMU binary /bin/true"):
        await Prober(tmp_path).get("/bin/true")
    odd = tmp_path / "odd"
    odd.write_text("#!/bin/sh\necho something is wrong >&2; exit 1\n")
    odd.chmod(0o755)
    with pytest.raises(InternalError, match="something is wrong"):
        await Prober(tmp_path).get(str(odd))


async def test_kvm_is_believed_only_when_it_ran_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caps = await Prober(tmp_path).get(QEMU, kvm=True)
    assert caps.kvm != bool(caps.why_no_kvm)
    for place in ("virtqemud.emulator.probe.ask", "virtqemud.emulator.kvm.try_kvm"):
        monkeypatch.setattr(place, None)  # it is not asked again
    again = await Prober(tmp_path).get(QEMU, kvm=True)
    assert (again.kvm, again.why_no_kvm) == (caps.kvm, caps.why_no_kvm)


async def test_monitor_of_a_qemu_that_ends(tmp_path: Path) -> None:
    import socket

    ours, theirs = socket.socketpair()
    argv = [QEMU, "-machine", "none", "-display", "none", "-nodefaults", "-chardev"]
    argv += [f"socket,id=m,fd={theirs.fileno()}", "-mon", "chardev=m,mode=control"]
    qemu = await asyncio.create_subprocess_exec(*argv, pass_fds=[theirs.fileno()])
    theirs.close()
    events: list[str] = []
    monitor = Monitor(lambda name, data, at: events.append(name))
    await monitor.connect(ours, timeout=20)
    assert monitor.version >= (5, 0, 0)
    with pytest.raises(CommandError, match="unable to execute QEMU command 'nope'"):
        await monitor.execute("nope")
    version, refused = await monitor.batch(("query-version", None), ("nope", None))
    assert isinstance(version, dict)
    assert isinstance(refused, CommandError)
    await monitor.execute("stop")
    asked = asyncio.create_task(monitor.hmp("info version"))
    with contextlib.suppress(OperationInvalid):  # it may end before its answer is out, and its last event
        await monitor.execute("quit")
    await asyncio.wait([asked])
    await monitor.drained(5)
    assert events in (["STOP"], ["STOP", "SHUTDOWN"])
    with pytest.raises(splitvirt.VirtError, match="domain is not running"):
        await monitor.execute("query-status")
    await monitor.close()
    await monitor.close()
    assert await qemu.wait() == 0


OPEN = "import asyncio, splitvirt\nasync def main():\n async with splitvirt.embed() as hv: pass\nasyncio.run(main())"


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs qemu-system-x86_64")
def test_opening_an_instance_is_quick() -> None:
    """Import and opening, less an empty interpreter, in processor time: others may use this machine too."""

    # a machine that is told to keep no bytecode would compile what has changed since the last setup, at each start
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run(code: str) -> float:
        child = subprocess.Popen([sys.executable, "-c", code], env=env)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = status
        assert status == 0
        return used.ru_utime + used.ru_stime

    run(OPEN)
    taken = min(run(OPEN) - run("pass") for _ in range(7))
    assert taken < 0.15
