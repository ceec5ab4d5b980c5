"""`<vcpus>`, `<iothreads>` and `<cputune>`: threads of the guest's process, where and how they run."""

from collections.abc import Callable
from typing import Annotated, Literal

from splitvirt.api.errors import InternalError, InvalidArg, VirtError, XMLError
from splitvirt.xml.element import (
    LIVE,
    Bitmap,
    Element,
    NonNegative,
    Positive,
    Signed,
    Unsigned,
    Unsigned64,
    YesNo,
    attr,
    child,
    children,
    size,
    text,
)
from splitvirt.xml.forms import Form, WrongValue, read_set, write_set
from splitvirt.xml.node import Node

Scheduler = Literal["batch", "idle", "fifo", "rr"]


class Vcpu(Element, tag="vcpu"):
    """One vCPU."""

    id: Unsigned = attr()
    enabled: YesNo = attr()
    hotpluggable: YesNo | None = attr()
    order: Unsigned | None = attr(omit=0)


class IoThread(Element, tag="iothread"):
    """One I/O thread."""

    id: Positive = attr()
    thread_pool_min: NonNegative | None = attr()
    thread_pool_max: NonNegative | None = attr()


class VcpuPin(Element, tag="vcpupin"):
    """The host CPUs of a vCPU."""

    vcpu: Unsigned = attr()
    cpuset: Bitmap = attr(missing=lambda: InternalError("missing cpuset for vcpupin"))


class IoThreadPin(Element, tag="iothreadpin"):
    """The host CPUs of an I/O thread."""

    iothread: Positive = attr()
    cpuset: Bitmap = attr(missing=lambda: InternalError("missing cpuset for iothreadpin"))


class EmulatorPin(Element, tag="emulatorpin"):
    """The host CPUs of all other threads."""

    cpuset: Bitmap = attr(missing=lambda: InternalError("missing cpuset for emulatorpin"))


class Sched(Element):
    """A scheduling policy; `priority` only for fifo and rr."""

    scheduler: Scheduler = attr()
    priority: Signed | None = attr()

    def check(self, node: Node) -> None:
        if self.scheduler not in ("fifo", "rr"):
            self.priority = None
        elif self.priority is None:
            raise XMLError(f"Missing required attribute 'priority' in element '{node.tag}'")


class EmulatorSched(Sched, tag="emulatorsched"):
    """Of all other threads."""


class VcpuSched(Sched, tag="vcpusched"):
    """Of vCPUs."""

    vcpus: Bitmap = attr(missing=lambda: XMLError("Missing attribute 'vcpus' in element 'vcpusched'"))


class IoThreadSched(Sched, tag="iothreadsched"):
    """Of I/O threads."""

    iothreads: Bitmap = attr(missing=lambda: XMLError("Missing attribute 'iothreads' in element 'iothreadsched'"))


def read_some(raw: str) -> frozenset[int]:
    try:
        return read_set(raw)
    except InvalidArg:
        raise WrongValue from None


Some = Annotated[frozenset[int], Form(read_some, write_set)]


def lacking(tag: str) -> Callable[[], VirtError]:
    """The error for a group of no vCPUs."""
    return lambda: XMLError(f"Missing {tag} attribute 'vcpus'")


def unsettled(tag: str) -> Callable[[str], VirtError]:
    """The error for a group of vCPUs that is no list of numbers."""
    return lambda raw: XMLError(f"Invalid {tag} attribute 'vcpus' value '{raw}'")


class CacheShare(Element, tag="cache"):
    """A part of one of the host's caches, in bytes."""

    id: Unsigned = attr()
    level: Unsigned = attr()
    type: Literal["both", "code", "data"] = attr()
    size_bytes: int = size("@size", unit="bytes", plain="KiB", pretty=True)


class Monitor(Element, tag="monitor"):
    """What of a cache's or of the memory's use is watched."""

    level: Unsigned | None = attr()
    vcpus: Some = attr(missing=lacking("monitor"), wrong=unsettled("monitor"))


class CacheTune(Element, tag="cachetune"):
    """Cache for some vCPUs."""

    vcpus: Some = attr(missing=lacking("cachetune"), wrong=unsettled("cachetune"))
    id: str | None = attr(mode=LIVE)
    caches: list[CacheShare] = children()
    monitors: list[Monitor] = children()


class MemoryNode(Element, tag="node"):
    """A share of a node's memory bandwidth, in percent."""

    id: Unsigned = attr()
    bandwidth: Unsigned = attr()


class MemoryTuneGroup(Element, tag="memorytune"):
    """Memory bandwidth for some vCPUs."""

    vcpus: Some = attr(missing=lacking("memorytune"), wrong=unsettled("memorytune"))
    id: str | None = attr(mode=LIVE)
    nodes: list[MemoryNode] = children()
    monitors: list[Monitor] = children()


def unreadable(name: str) -> Callable[[str], VirtError]:
    """The error for a value that is no number."""
    return lambda raw: XMLError(f"can't parse cputune {name} value")


class CpuTune(Element, tag="cputune", hide_empty=True):
    """Periods and quotas in microseconds."""

    shares: Unsigned64 | None = text(wrong=unreadable("shares"))
    period: Unsigned64 | None = text(omit=0, wrong=unreadable("period"))
    quota: int | None = text(omit=0, wrong=unreadable("quota"))
    global_period: Unsigned64 | None = text(omit=0, wrong=unreadable("global_period"))
    global_quota: int | None = text(omit=0, wrong=unreadable("global_quota"))
    emulator_period: Unsigned64 | None = text(omit=0, wrong=unreadable("emulator_period"))
    emulator_quota: int | None = text(omit=0, wrong=unreadable("emulator_quota"))
    iothread_period: Unsigned64 | None = text(omit=0, wrong=unreadable("iothread_period"))
    iothread_quota: int | None = text(omit=0, wrong=unreadable("iothread_quota"))
    vcpupins: list[VcpuPin] = children()
    emulatorpin: EmulatorPin | None = child()
    iothreadpins: list[IoThreadPin] = children()
    emulatorsched: EmulatorSched | None = child()
    vcpuscheds: list[VcpuSched] = children()
    iothreadscheds: list[IoThreadSched] = children()
    cachetunes: list[CacheTune] = children()
    memorytunes: list[MemoryTuneGroup] = children()

    def check(self, node: Node) -> None:
        """What may be there only once, and what is listed by number."""
        for tag in ("emulatorpin", "emulatorsched"):
            if sum(inner.tag == tag for inner in node.children) > 1:
                raise XMLError(f"only one {tag} is supported")
        unique([pin.vcpu for pin in self.vcpupins], "duplicate vcpupin for vcpu '{}'")
        unique([pin.iothread for pin in self.iothreadpins], "duplicate iothreadpin for same iothread '{}'")
        self.vcpupins.sort(key=lambda pin: pin.vcpu)
        self.iothreadpins.sort(key=lambda pin: pin.iothread)


def unique(numbers: list[int], what: str) -> None:
    """Raise InternalError about the first number that comes twice."""
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            raise InternalError(what.format(number))
        seen.add(number)
