"""Which vCPUs of a configuration are there: `<vcpu current=''>` alone, or `<vcpus>` with each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InvalidArg
from splitvirt.xml.cputune import Vcpu
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.forms import EmptySet, read_set

QEMU = c.VIR_FROM_QEMU
MOST = 4096
"""vCPUs that a list may name, as for libvirt."""


def numbers(cpumap: str) -> frozenset[int]:
    """The vCPUs that a call names, as "1,3-4". InvalidArg for none, or what is no list."""
    try:
        return read_set(cpumap, MOST)
    except EmptySet:
        raise InvalidArg("no vcpus selected for modification", domain=QEMU) from None


def count(on: DomainXML) -> int:
    """How many are there."""
    return on.vcpu_current or on.vcpu or 1


def each(on: DomainXML) -> list[Vcpu]:
    """Every vCPU: as `<vcpus>` says, else the first ones are there for good, and the others may come."""
    now = count(on)
    return on.vcpus or [Vcpu(id=n, enabled=n < now, hotpluggable=n >= now) for n in range(on.vcpu or 1)]


def note(on: DomainXML, states: list[Vcpu], *, individually: bool) -> None:
    """Have a configuration say so, of each vCPU where that is asked for, else by their number alone."""
    on.vcpus = states if individually else []
    enabled = sum(1 for vcpu in states if vcpu.enabled)
    on.vcpu_current = enabled if enabled != on.vcpu else None


def set_count(on: DomainXML, wanted: int, *, hotpluggable: bool) -> None:
    """Have so many there at the next start; InvalidArg where there are never so many.

    Those that come last leave first. One that comes after one that may be unplugged may be unplugged itself, as may all
    that come with `hotpluggable`: a QEMU is started with the others, which must be the first.
    """
    check_count(on, wanted, "persistent domain")
    individually = bool(on.vcpus)
    states = [_unordered(vcpu) for vcpu in each(on)]
    have, may_leave = count(on), hotpluggable
    for vcpu in states:
        if vcpu.enabled:
            may_leave = may_leave or bool(vcpu.hotpluggable)
        elif have < wanted:
            vcpu.enabled, vcpu.hotpluggable = True, may_leave
            individually, have = individually or hotpluggable, have + 1
    for vcpu in reversed(states):
        if vcpu.enabled and have > wanted:
            vcpu.enabled, vcpu.hotpluggable = False, True
            have -= 1
    note(on, states, individually=individually)


def check_count(on: DomainXML, wanted: int, what: str) -> None:
    """InvalidArg when more are wanted than there may be."""
    most = on.vcpu or 1
    if wanted > most:
        words = f"requested vcpus is greater than max allowable vcpus for the {what}: {wanted} > {most}"
        raise InvalidArg(words, domain=QEMU)


def set_most(on: DomainXML, most: int) -> None:
    """Have so many at most; what was said of those that are no longer there goes with them.

    InvalidArg where the topology or the NUMA cells ask for another number.
    """
    at, numa = (on.cpu.topology, on.cpu.numa) if on.cpu is not None else (None, None)
    if numa is not None and any(max(cell.cpus or {0}) >= most for cell in numa.cells):
        raise InvalidArg("Number of CPUs in <numa> exceeds the desired maximum vcpu count", domain=QEMU)
    if at is not None and at.sockets * at.dies * at.cores * at.threads != most:
        raise InvalidArg("CPU topology doesn't match the desired vcpu count", domain=QEMU)
    individually, states = bool(on.vcpus), each(on)[:most]
    on.vcpu = most
    note(on, states + [Vcpu(id=n, enabled=False) for n in range(len(states), most)], individually=individually)
    if (tune := on.cputune) is not None:  # those of one that is not there are lost when a guest is read, or refused
        tune.vcpupins = [pin for pin in tune.vcpupins if pin.vcpu < most]
        tune.vcpuscheds = [sched for sched in tune.vcpuscheds if max(sched.vcpus) < most]


def choose(on: DomainXML, chosen: Collection[int], *, enabled: bool) -> None:
    """Have just these there at the next start, or not; they may leave at run time from then on. InvalidArg for 0."""
    if 0 in chosen:
        raise InvalidArg("vCPU '0' can't be modified", domain=QEMU)
    states = [_unordered(vcpu) for vcpu in each(on)]
    for number in chosen:
        states[number].enabled, states[number].hotpluggable = enabled, True
    note(on, states, individually=True)


def check_present(on: DomainXML, chosen: Iterable[int], what: str) -> None:
    """InvalidArg for one that is never there."""
    for number in sorted(chosen):
        if number >= (on.vcpu or 1):
            raise InvalidArg(f"vcpu {number} is not present in {what} config", domain=QEMU)


def to_plug(live: DomainXML) -> list[int]:
    """Those that are plugged in before the guest runs, in their order. ConfigUnsupported where orders contradict."""
    coming = [vcpu for vcpu in live.vcpus if vcpu.enabled and vcpu.hotpluggable]
    orders = [vcpu.order for vcpu in live.vcpus if vcpu.order] if coming else []
    for place, order in enumerate(orders):
        if order in orders[:place]:
            raise ConfigUnsupported(f"duplicate vcpu order '{order}'", domain=QEMU)
        if order > (live.vcpu or 1):
            raise ConfigUnsupported(f"vcpu order '{order}' exceeds vcpu count", domain=QEMU)
    return [vcpu.id for vcpu in sorted(coming, key=lambda vcpu: (vcpu.order or 0, vcpu.id))]


def note_running(live: DomainXML, threads: Mapping[int, int], plugged: Collection[int]) -> None:
    """Have the running configuration say which are there: `threads` by vCPU, in the order in which they came."""
    ranks = {number: rank for rank, number in enumerate(threads, 1)}
    states = [
        Vcpu(id=n, enabled=n in ranks, hotpluggable=n not in ranks or n in plugged, order=ranks.get(n))
        for n in range(live.vcpu or 1)
    ]
    note(live, states, individually=True)


def _unordered(vcpu: Vcpu) -> Vcpu:
    return Vcpu(id=vcpu.id, enabled=vcpu.enabled, hotpluggable=vcpu.hotpluggable)
