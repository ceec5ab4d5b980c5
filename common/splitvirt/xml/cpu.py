"""`<cpu>`: model, features, topology and NUMA cells of the guest, also of the host and in comparisons."""

from typing import Literal

from splitvirt.xml.element import Bitmap, Element, OnOff, Positive, Unsigned, YesNo, attr, child, children, size, text

Policy = Literal["force", "require", "optional", "disable", "forbid"]


class CpuFeature(Element, tag="feature"):
    """One feature of a CPU; hosts have no `policy`."""

    policy: Policy | None = attr()
    name: str | None = attr()


class Topology(Element, tag="topology"):
    """Sockets of dies of cores of threads."""

    sockets: Positive | None = attr()
    dies: Positive | None = attr()
    cores: Positive | None = attr()
    threads: Positive | None = attr()


class CpuCache(Element, tag="cache"):
    """What the guest sees of caches."""

    level: Unsigned | None = attr()
    mode: Literal["emulate", "passthrough", "disable"] = attr()


class MaxPhysAddr(Element, tag="maxphysaddr"):
    """Bits of a physical address."""

    mode: Literal["emulate", "passthrough"] = attr()
    bits: Unsigned | None = attr()


class Distance(Element, tag="sibling"):
    """How far another cell is: 10 is local, 255 out of reach."""

    id: Unsigned = attr()
    value: Unsigned = attr()


class Distances(Element, tag="distances"):
    """From one cell to others."""

    siblings: list[Distance] = children()


class MemoryCache(Element, tag="cache"):
    """A memory-side cache of a cell (HMAT): its size in KiB, a line of it in bytes."""

    level: Unsigned = attr()
    associativity: Literal["none", "direct", "full"] = attr()
    policy: Literal["none", "writeback", "writethrough"] = attr()
    kib: int | None = size("size/@value")
    line_bytes: int | None = size("line/@value", unit="B", plain="B")


class Cell(Element, tag="cell"):
    """A NUMA node of the guest; `memory` in KiB."""

    id: Unsigned | None = attr()
    cpus: Bitmap | None = attr()
    memory: int | None = size("@memory")
    mem_access: Literal["shared", "private"] | None = attr("@memAccess")
    discard: YesNo | None = attr()
    distances: Distances | None = child()
    caches: list[MemoryCache] = children()


class Interconnect(Element):
    """What it takes from an initiator's cell to a target's (HMAT)."""

    initiator: Unsigned = attr(order=-1)
    target: Unsigned = attr(order=-1)
    cache: Unsigned | None = attr(order=-1)
    type: Literal["access", "read", "write"] = attr(order=-1)


class Latency(Interconnect, tag="latency"):
    """In nanoseconds."""

    value: Unsigned = attr()


class MemoryBandwidth(Interconnect, tag="bandwidth"):
    """In KiB per second."""

    value: int = size("@value")


class Numa(Element, tag="numa"):
    """The guest's NUMA nodes."""

    cells: list[Cell] = children()
    interconnects: list[Latency | MemoryBandwidth] = children("interconnects/")


class Counter(Element, tag="counter"):
    """A host CPU's counter, in Hz."""

    name: str = attr()
    frequency: int = attr()
    scaling: YesNo | None = attr()


class Cpu(Element, tag="cpu"):
    """A guest's CPU."""

    mode: Literal["custom", "host-model", "host-passthrough", "maximum"] | None = attr()
    match: Literal["minimum", "exact", "strict"] | None = attr()
    check_: Literal["none", "partial", "full"] | None = attr("@check")
    migratable: OnOff | None = attr()
    fallback: Literal["allow", "forbid"] | None = attr("model/@fallback")
    vendor_id: str | None = attr("model/@vendor_id")
    model: str | None = text("model")
    vendor: str | None = text("vendor")
    topology: Topology | None = child()
    cache: CpuCache | None = child()
    maxphysaddr: MaxPhysAddr | None = child()
    features: list[CpuFeature] = children()
    numa: Numa | None = child()
