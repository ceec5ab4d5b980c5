"""Which of the host's processors a thread may run on."""

from __future__ import annotations

import os
from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import InvalidArg, SystemError_
from splitvirt.host import topology

QEMU = c.VIR_FROM_QEMU


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
