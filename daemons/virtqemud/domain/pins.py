"""Which of the host's processors a thread may run on, and how it is scheduled there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, SystemError_
from splitvirt.host import topology
from splitvirt.xml.cputune import CpuTune, Sched
from splitvirt.xml.domain import Domain as DomainXML

QEMU = c.VIR_FROM_QEMU
POLICIES = {"batch": os.SCHED_BATCH, "idle": os.SCHED_IDLE, "fifo": os.SCHED_FIFO, "rr": os.SCHED_RR}


def affinity(tid: int) -> list[bool]:
    """The host's processors that a thread may run on."""
    try:
        allowed = os.sched_getaffinity(tid)
    except OSError:
        allowed = set()
    return [number in allowed for number in range(host_cpus())]


def host_cpus() -> int:
    """How many numbers of processors there are."""
    return max(topology.present_cpus()) + 1


def as_map(cpuset: Any) -> list[bool]:
    """A set of processors, as a map; all of them for none."""
    online = topology.online_cpus()
    chosen = set(cpuset) if cpuset else set(online)
    return [number in chosen for number in range(host_cpus())]


def as_set(cpumap: list[bool]) -> set[int]:
    """A map of processors, as a set. InvalidArg for an empty one."""
    chosen = {number for number, on in enumerate(cpumap) if on}
    if not chosen:
        raise InvalidArg("Empty cpu list for pinning", domain=QEMU)
    return chosen


def bind(tid: int, chosen: set[int]) -> None:
    """Have a thread run there. SystemError_ where it may not."""
    try:
        os.sched_setaffinity(tid, chosen)
    except OSError as error:
        raise SystemError_(f"cannot set CPU affinity on process {tid}: {error.strerror}", domain=QEMU) from error


def schedule(tid: int, sched: Sched | None, whose: str) -> None:
    """Have a thread scheduled so, None: as usual. SystemError_ where the kernel refuses; `whose` thread it is.

    ConfigUnsupported for a priority that the policy does not have: only the kernel of the host knows which it has.
    """
    policy, priority = (POLICIES[sched.scheduler], sched.priority or 0) if sched else (os.SCHED_OTHER, 0)
    least, most = os.sched_get_priority_min(policy), os.sched_get_priority_max(policy)
    if not least <= priority <= most:
        raise ConfigUnsupported(f"Scheduler priority {priority} out of range [{least}, {most}]", domain=QEMU)
    try:
        os.sched_setscheduler(tid, policy, os.sched_param(priority))
    except OSError as error:
        words = f"Cannot set scheduler parameters for pid {tid}: {error.strerror} ({whose})"
        raise SystemError_(words, domain=QEMU) from error


def place_vcpu(shown: DomainXML, number: int, tid: int) -> None:
    """Have a vCPU's thread run where and how a configuration says."""
    tune = shown.cputune or CpuTune()
    pin = next((pin.cpuset for pin in tune.vcpupins if pin.vcpu == number), None)
    sched = next((sched for sched in tune.vcpuscheds if number in sched.vcpus), None)
    _place(shown, tid, pin, sched, f"vCPU {number} of guest '{shown.name}'")


def place_iothread(shown: DomainXML, number: int, tid: int) -> None:
    """Have an I/O thread run where and how a configuration says."""
    tune = shown.cputune or CpuTune()
    pin = next((pin.cpuset for pin in tune.iothreadpins if pin.iothread == number), None)
    sched = next((sched for sched in tune.iothreadscheds if number in sched.iothreads), None)
    _place(shown, tid, pin, sched, f"I/O thread {number} of guest '{shown.name}'")


def place_emulator(shown: DomainXML, pid: int, others: Iterable[int]) -> None:
    """Have the rest of a QEMU's threads, all but the `others`, run where and how a configuration says.

    The main thread alone is scheduled, last: threads that it starts inherit that, and those that wait for others
    (RCU's) must not be kept from running by them.
    """
    tune = shown.cputune or CpuTune()
    cpuset = (tune.emulatorpin.cpuset if tune.emulatorpin else None) or shown.vcpu_cpuset
    if cpuset:
        bind_emulator(pid, others, set(cpuset))
    if tune.emulatorsched is not None:
        schedule(pid, tune.emulatorsched, f"emulator of guest '{shown.name}'")


def bind_emulator(pid: int, others: Iterable[int], chosen: set[int]) -> None:
    """Have the rest of a QEMU's threads run there."""
    bind(pid, chosen)
    for tid in {int(name) for name in os.listdir(f"/proc/{pid}/task")} - {pid, *others}:
        with contextlib.suppress(ProcessLookupError):  # helpers of its pool come and go
            os.sched_setaffinity(tid, chosen)


def _place(shown: DomainXML, tid: int, pin: Iterable[int] | None, sched: Sched | None, whose: str) -> None:
    tune = shown.cputune
    if pin or shown.vcpu_cpuset:
        bind(tid, set(pin or shown.vcpu_cpuset or ()))
    elif tune is not None and tune.emulatorpin is not None:
        # a thread plugged in later was started by the emulator's, and inherits from it
        bind(tid, set(topology.online_cpus()))
    if sched is not None or (tune is not None and tune.emulatorsched is not None):
        schedule(tid, sched, whose)
