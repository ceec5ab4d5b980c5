"""Where and how a guest's threads run: `<cputune>` as the kernel tells it of QEMU's threads."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, gone, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, SystemError_

pytestmark = needs_qemu
LIVE_CONFIG = c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_AFFECT_CONFIG
OURS = sorted(os.sched_getaffinity(0))
FIRST, LAST = OURS[0], OURS[-1]
MISSING = max(range(1024), key=lambda number: (number not in OURS, number))
"""A number of a processor that is not there."""
SCHEDULED = """<emulatorsched scheduler='idle'/><vcpusched vcpus='0,2' scheduler='batch'/>
<iothreadsched iothreads='1' scheduler='idle'/>"""


def tuned(tune: str, name: str = "tiny") -> str:
    """A guest with one processor of three, and an I/O thread."""
    xml = tiny(name, extra=f"<iothreads>2</iothreads><cputune>{tune}</cputune>")
    return xml.replace("<vcpu>1</vcpu>", "<vcpu current='1'>3</vcpu>")


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as hypervisor:
        yield hypervisor


async def iothread(vm: Any, number: int) -> int:
    found = await vm.guest.monitor.execute("query-iothreads")
    return next(int(t["thread-id"]) for t in found if t["id"] == f"iothread{number}")


def policies(*tids: int) -> list[int]:
    return [os.sched_getscheduler(tid) for tid in tids]


async def test_threads_are_scheduled_at_the_start_and_when_they_come(hv: Any) -> None:
    vm = await hv.define(tuned(SCHEDULED))
    for _ in range(2):
        await vm.create(PAUSED)
        assert policies(vm.guest.process.pid, *vm.guest.vcpus.values()) == [os.SCHED_IDLE, os.SCHED_BATCH]
        assert policies(await iothread(vm, 1), await iothread(vm, 2)) == [os.SCHED_IDLE, os.SCHED_OTHER]
        await vm.set_vcpus(3)
        assert policies(*vm.guest.vcpus.values()) == [os.SCHED_BATCH, os.SCHED_OTHER, os.SCHED_BATCH]
        await vm.add_iothread(7)
        assert policies(await iothread(vm, 7)) == [os.SCHED_OTHER]
        await vm.destroy()


def may_be_real_time() -> bool:
    """Whether this process may run in real time, and so have a guest do it: it asks in a process of its own."""
    tried = subprocess.run(["chrt", "--fifo", "1", "true"], capture_output=True, check=False, timeout=60)
    return tried.returncode == 0


async def test_real_time_or_why_not(hv: Any) -> None:
    vm = await hv.define(tuned("<vcpusched vcpus='0' scheduler='fifo' priority='2'/>"))
    if not await asyncio.to_thread(may_be_real_time):
        with pytest.raises(SystemError_, match="Cannot set scheduler parameters for pid"):
            await vm.create(PAUSED)
        return
    await vm.create(PAUSED)
    (tid,) = vm.guest.vcpus.values()
    assert (os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority) == (os.SCHED_FIFO, 2)


async def test_a_priority_that_there_is_not(hv: Any) -> None:
    vm = await hv.define(tuned("<vcpusched vcpus='0' scheduler='fifo' priority='1000'/>"))
    with pytest.raises(ConfigUnsupported, match=r"Scheduler priority 1000 out of range \[1, 99\]"):
        await vm.create(PAUSED)
    assert not vm.active


WITHOUT_RIGHT = """
import asyncio, sys, splitvirt
async def main():
    async with splitvirt.embed(sys.argv[1]) as hv:
        vm = await hv.define(sys.argv[2])
        try:
            await vm.create(1)
            await vm.set_vcpus(3)
        except splitvirt.VirtError as error:
            print(error.code, vm.active, error.message, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("tune", "whose", "runs"),
    [
        ("<vcpusched vcpus='0' scheduler='fifo' priority='1'/>", "vCPU 0", False),
        ("<iothreadsched iothreads='2' scheduler='rr' priority='1'/>", "I/O thread 2", False),
        ("<emulatorsched scheduler='rr' priority='1'/>", "emulator", False),
        ("<vcpusched vcpus='2' scheduler='fifo' priority='1'/>", "vCPU 2", True),
    ],
)
def test_what_the_kernel_refuses_is_told_and_leaves_nothing(tmp_path: Path, tune: str, whose: str, runs: bool) -> None:
    """Real time asks for CAP_SYS_NICE, or for a limit that allows it: the daemon here has neither."""
    less = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"] if os.geteuid() == 0 else []
    argv = ["prlimit", "--rtprio=0", *less, sys.executable, "-c", WITHOUT_RIGHT, str(tmp_path), tuned(tune)]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    words = rf"Cannot set scheduler parameters for pid \d+: Operation not permitted \({whose} of guest 'tiny'\)\n"
    assert re.fullmatch(f"{c.VIR_ERR_SYSTEM_ERROR} {runs} {words}", ran.stdout), ran.stdout + ran.stderr
    assert all(gone(pid) for pid in qemus(tmp_path))
    assert not list((tmp_path / "run").rglob("tiny.xml"))


async def test_threads_are_pinned_at_the_start_and_when_they_come(hv: Any) -> None:
    pins = f"""<vcpupin vcpu='0' cpuset='{LAST}'/><vcpupin vcpu='1' cpuset='{FIRST}'/>
    <emulatorpin cpuset='{FIRST}'/><iothreadpin iothread='1' cpuset='{LAST}'/>"""
    vm = await hv.create(tuned(pins), PAUSED)
    pid = vm.guest.process.pid
    await vm.set_vcpus(3)
    first, second, third = (os.sched_getaffinity(tid) for tid in vm.guest.vcpus.values())
    assert (first, second) == ({LAST}, {FIRST})
    assert third >= set(OURS)
    io = [await iothread(vm, 1), await iothread(vm, 2)]
    assert os.sched_getaffinity(io[0]) == {LAST}
    assert os.sched_getaffinity(io[1]) >= set(OURS)
    others = {int(name) for name in os.listdir(f"/proc/{pid}/task")} - {*vm.guest.vcpus.values(), *io}
    assert {tuple(os.sched_getaffinity(tid)) for tid in others} == {(FIRST,)}
    await vm.pin_emulator([number == LAST for number in range(LAST + 1)])
    assert {tuple(os.sched_getaffinity(tid)) for tid in others} == {(LAST,)}
    assert os.sched_getaffinity(vm.guest.vcpus[1]) == {FIRST}


async def test_a_cpuset_is_for_all_threads(hv: Any) -> None:
    vm = await hv.create(tiny().replace("<vcpu>", f"<vcpu cpuset='{LAST}'>"), PAUSED)
    pid = vm.guest.process.pid
    assert {tuple(os.sched_getaffinity(int(tid))) for tid in os.listdir(f"/proc/{pid}/task")} == {(LAST,)}


async def test_a_pin_to_no_processor_of_this_host(hv: Any) -> None:
    vm = await hv.define(tuned(f"<vcpupin vcpu='0' cpuset='{MISSING}'/>"))
    with pytest.raises(SystemError_, match="cannot set CPU affinity on process"):
        await vm.create(PAUSED)
    assert not vm.active


async def test_what_leaves_takes_its_scheduler_along(hv: Any) -> None:
    vm = await hv.define(tuned(SCHEDULED))
    await vm.create(PAUSED)
    await vm.del_iothread(1, LIVE_CONFIG)
    assert "iothreadsched" not in await vm.xml()
    await vm.destroy()
    await vm.set_vcpus(1, c.VIR_DOMAIN_AFFECT_CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM)
    xml = await vm.xml()
    assert "iothreadsched" not in xml
    assert xml.count("vcpusched") == 1
    await hv.define(xml)
    await vm.create(PAUSED)
