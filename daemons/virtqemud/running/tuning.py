"""What a configuration asks of a guest's cgroup: properties of its systemd unit, and groups of threads below it.

What systemd has a property for is set through systemd, which would undo what others write there
(systemd.resource-control(5)); parts of the guest's process are ours (`Delegate=`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, SystemError_
from splitvirt.host.cgroup import Group
from splitvirt.xml.cputune import CpuTune
from splitvirt.xml.domain import Domain as DomainXML

NONE = (1 << 64) - 1
"""systemd's word for no limit."""
PERIOD = 100_000
"""Microseconds: the kernel's period where none was set."""
PLAIN_WEIGHT = 100
"""The kernel's weight for what has none."""
MEMORY = {"hard_limit": "MemoryMax", "soft_limit": "MemoryHigh", "swap_hard_limit": "MemorySwapMax"}
"""Limits of `<memtune>` and their properties. libvirt 9.0 too takes its limit of memory and swap for one of swap."""
DISKS = {
    "weight": "IODeviceWeight",
    "read_iops_sec": "IOReadIOPSMax",
    "write_iops_sec": "IOWriteIOPSMax",
    "read_bytes_sec": "IOReadBandwidthMax",
    "write_bytes_sec": "IOWriteBandwidthMax",
}
"""Limits on one of the host's disks and their properties."""
THREADS = {"vcpu": "", "emulator": "emulator_", "iothread": "iothread_"}
"""Kinds of threads, and the prefixes of their fields in `<cputune>`."""


class Property(NamedTuple):
    """One of a unit, with its type on D-Bus."""

    name: str
    signature: str
    value: object


def missing(live: DomainXML, controllers: Iterable[str]) -> ConfigUnsupported | None:
    """The error for the first thing that a configuration asks of a controller that is not there."""
    tune = live.cputune
    asked = {
        "CPU tuning is not available on this host": ("cpu", bool(tune and tune.shares)),
        "cgroup cpu is required for scheduler tuning": ("cpu", tune is not None and any(_periods(tune))),
        "Memory cgroup is not available on this host": ("memory", any(memory(live))),
        "Block I/O tuning is not available on this host": ("io", any(disks(live))),
    }
    for words, (controller, wanted) in asked.items():
        if wanted and controller not in controllers:
            return ConfigUnsupported(words, domain=VIR_FROM_QEMU)
    return None


def properties(live: DomainXML) -> list[Property]:
    """All that a configuration asks of the unit. SystemError_ or InvalidArg for what is no disk of the host."""
    made = [*processor(live), *memory(live), *disks(live)]
    nodes = live.numatune
    if nodes is not None and nodes.mode in ("strict", "restrictive") and nodes.nodeset:
        made.append(allowed_nodes(nodes.nodeset))
    return made


def processor(live: DomainXML) -> Iterator[Property]:
    """Share of the processors, and bandwidth of the whole guest: a period and a quota in microseconds, below 0 none."""
    tune = live.cputune or CpuTune()
    if tune.shares:
        yield Property("CPUWeight", "t", tune.shares)
    if tune.global_period or tune.global_quota:
        period, quota = tune.global_period or PERIOD, tune.global_quota or -1
        yield Property("CPUQuotaPeriodUSec", "t", period)
        # rounded up, so that systemd's own rounding down gives the same quota again
        yield Property("CPUQuotaPerSecUSec", "t", NONE if quota < 0 else -(-quota * 1_000_000 // period))


def memory(live: DomainXML) -> Iterator[Property]:
    """Limits of memory."""
    limits = {field: getattr(live.memtune, field, None) for field in MEMORY}
    return memory_limits({field: limit for field, limit in limits.items() if limit})


def memory_limits(limits: Mapping[str, int]) -> Iterator[Property]:
    """Limits of memory in KiB by their fields; 0 takes one away."""
    for field, limit in limits.items():
        yield Property(MEMORY[field], "t", limit * 1024 if limit else NONE)


def disks(live: DomainXML) -> Iterator[Property]:
    """Share of the host's disks, and limits on them."""
    tune = live.blkiotune
    if tune is not None and tune.weight:
        yield Property("IOWeight", "t", tune.weight)
    for disk in tune.devices if tune is not None else ():
        yield from disk_limits(disk.path, {field: getattr(disk, field) for field in DISKS if getattr(disk, field)})


def disk_limits(path: str, limits: Mapping[str, int]) -> Iterator[Property]:
    """Limits on a disk by their fields; 0 takes one away. SystemError_ or InvalidArg for what is no disk."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise SystemError_(f"Path '{path}' is not accessible: {error.strerror}", domain=VIR_FROM_QEMU) from error
    if not stat.S_ISBLK(mode):
        raise InvalidArg(f"Path '{path}' must be a block device", domain=VIR_FROM_QEMU)
    for field, limit in limits.items():
        usual = PLAIN_WEIGHT if field == "weight" else NONE
        yield Property(DISKS[field], "a(st)", [[path, limit or usual]])


def allowed_nodes(nodes: Iterable[int]) -> Property:
    """The host's nodes that memory may come from, as a mask."""
    mask = sum(1 << node for node in nodes)
    return Property("AllowedMemoryNodes", "ay", mask.to_bytes((mask.bit_length() + 7) // 8, "little"))


def _periods(tune: CpuTune) -> Iterator[bool]:
    for prefix in (*THREADS.values(), "global_"):
        yield bool(getattr(tune, f"{prefix}period") or getattr(tune, f"{prefix}quota"))


class Threads(NamedTuple):
    """The threads of a QEMU."""

    pid: int
    vcpus: Mapping[int, int]
    """By number; those that are plugged in."""
    iothreads: Mapping[int, int]

    def of(self, kind: str) -> dict[str, list[int]]:
        """Those of a kind (of `THREADS`), by the name of their group."""
        if kind == "emulator":
            others = {self.pid, *map(int, os.listdir(f"/proc/{self.pid}/task"))}
            return {"emulator": sorted(others - {*self.vcpus.values(), *self.iothreads.values()})}
        numbered = self.vcpus if kind == "vcpu" else self.iothreads
        return {f"{kind}{number}": [tid] for number, tid in numbered.items()}


def divide(group: Group, tune: CpuTune | None, threads: Threads, kinds: Iterable[str] = THREADS) -> None:
    """Give threads the bandwidth that is asked for their kind, in groups that are made for it. SystemError_."""
    for kind in kinds:
        period, quota = (getattr(tune, f"{THREADS[kind]}{what}", None) for what in ("period", "quota"))
        if not period and not quota:
            continue
        for name, tids in threads.of(kind).items():
            try:
                group.take_threads(name, tids).limit_bandwidth(period or None, quota or None)
            except OSError as error:
                words = f"Unable to set the bandwidth of {name}: {error.strerror}"
                raise SystemError_(words, domain=VIR_FROM_QEMU) from error


def bandwidth(group: Group, kind: str) -> tuple[int, int | None]:
    """What holds for threads of a kind, "global": for all: period and quota in microseconds."""
    if kind == "global":
        return group.bandwidth() or (PERIOD, None)
    name = kind if kind == "emulator" else f"{kind}*"
    found = (Group(path).bandwidth() for path in sorted(group.path.glob(name)))
    return next((told for told in found if told is not None), (PERIOD, None))
