"""`<vcpus>`, `<iothreads>` and `<cputune>`: threads of the guest's process, where and how they run."""

from typing import Literal

from splitvirt.xml.element import (
    Bitmap,
    Element,
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

Scheduler = Literal["batch", "idle", "fifo", "rr"]


class Vcpu(Element, tag="vcpu"):
    """One vCPU."""

    id: Unsigned = attr()
    enabled: YesNo | None = attr()
    hotpluggable: YesNo | None = attr()
    order: Unsigned | None = attr()


class IoThread(Element, tag="iothread"):
    """One I/O thread."""

    id: Unsigned = attr()
    thread_pool_min: Signed | None = attr()
    thread_pool_max: Signed | None = attr()


class VcpuPin(Element, tag="vcpupin"):
    """The host CPUs of a vCPU."""

    vcpu: Unsigned = attr()
    cpuset: Bitmap = attr()


class IoThreadPin(Element, tag="iothreadpin"):
    """The host CPUs of an I/O thread."""

    iothread: Unsigned = attr()
    cpuset: Bitmap = attr()


class Sched(Element):
    """A scheduling policy; `priority` only for fifo and rr."""

    scheduler: Scheduler = attr()
    priority: Signed | None = attr()


class EmulatorSched(Sched, tag="emulatorsched"):
    """Of all other threads."""


class VcpuSched(Sched, tag="vcpusched"):
    """Of vCPUs."""

    vcpus: Bitmap = attr()


class IoThreadSched(Sched, tag="iothreadsched"):
    """Of I/O threads."""

    iothreads: Bitmap = attr()


class CacheShare(Element, tag="cache"):
    """A part of one of the host's caches, in bytes."""

    id: Unsigned = attr()
    level: Unsigned = attr()
    type: Literal["both", "code", "data"] = attr()
    size_bytes: int = size("@size", unit="bytes", pretty=True)


class Monitor(Element, tag="monitor"):
    """What of a cache's or of the memory's use is watched."""

    level: Unsigned | None = attr()
    vcpus: Bitmap = attr()


class CacheTune(Element, tag="cachetune"):
    """Cache for some vCPUs."""

    vcpus: Bitmap = attr()
    id: str | None = attr(mode=0)
    caches: list[CacheShare] = children()
    monitors: list[Monitor] = children()


class MemoryNode(Element, tag="node"):
    """A share of a node's memory bandwidth, in percent."""

    id: Unsigned = attr()
    bandwidth: Unsigned = attr()


class MemoryTuneGroup(Element, tag="memorytune"):
    """Memory bandwidth for some vCPUs."""

    vcpus: Bitmap = attr()
    id: str | None = attr(mode=0)
    nodes: list[MemoryNode] = children()
    monitors: list[Monitor] = children()


class CpuTune(Element, tag="cputune", hide_empty=True):
    """Periods and quotas in microseconds."""

    shares: Unsigned64 | None = text()
    period: Unsigned64 | None = text()
    quota: int | None = text()
    global_period: Unsigned64 | None = text()
    global_quota: int | None = text()
    emulator_period: Unsigned64 | None = text()
    emulator_quota: int | None = text()
    iothread_period: Unsigned64 | None = text()
    iothread_quota: int | None = text()
    vcpupins: list[VcpuPin] = children()
    emulatorpin: Bitmap | None = attr("emulatorpin/@cpuset")
    iothreadpins: list[IoThreadPin] = children()
    emulatorsched: EmulatorSched | None = child()
    vcpuscheds: list[VcpuSched] = children()
    iothreadscheds: list[IoThreadSched] = children()
    cachetunes: list[CacheTune] = children()
    memorytunes: list[MemoryTuneGroup] = children()
