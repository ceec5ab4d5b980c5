"""`<cpu>`: model, features, topology and NUMA cells of a guest, also in CPU comparisons."""

from typing import Annotated, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.element import (
    Bitmap,
    Element,
    NonNegative,
    OnOff,
    Positive,
    Unsigned,
    YesNo,
    attr,
    child,
    children,
    size,
    text,
)
from splitvirt.xml.forms import Choice, Form
from splitvirt.xml.node import Node
from splitvirt.xml.units import decimal

Policy = Literal["force", "require", "optional", "disable", "forbid"]


class CpuFeature(Element, tag="feature"):
    """One feature of a CPU; hosts have no `policy`."""

    policy: Policy | None = attr(wrong=lambda raw: ConfigUnsupported("Invalid CPU feature policy"))
    name: str = attr(blank=True, missing=lambda: XMLError("Invalid CPU feature name"))


class Topology(Element, tag="topology"):
    """Sockets of dies of cores of threads."""

    sockets: Positive = attr()
    dies: Positive = attr(default=1)
    cores: Positive = attr()
    threads: Positive = attr()


class CpuCache(Element, tag="cache"):
    """What the guest sees of caches."""

    level: NonNegative | None = attr()
    mode: Literal["emulate", "passthrough", "disable"] = attr()

    def check(self, node: Node) -> None:
        if self.level is not None and not 1 <= self.level <= 3:
            raise XMLError("invalid CPU cache level, must be in range [1,3]")


class MaxPhysAddr(Element, tag="maxphysaddr"):
    """Bits of a physical address."""

    mode: Literal["emulate", "passthrough"] = attr()
    bits: NonNegative | None = attr()


class Distance(Element, tag="sibling"):
    """How far another cell is: 10 is local, 255 out of reach."""

    id: Unsigned = attr()
    value: Unsigned = attr()


class Distances(Element, tag="distances"):
    """From one cell to others."""

    siblings: list[Distance] = children()

    def check(self, node: Node) -> None:
        if not self.siblings:
            raise XMLError("NUMA distances defined without siblings")


def read_level(raw: str) -> int:
    return int(raw) if decimal(raw) else 0


Level = Annotated[int, Form(read_level, str)]
"""The level of a memory-side cache; 0 is none, like anything that is no number."""


class MemoryCache(Element, tag="cache"):
    """A memory-side cache of a cell (HMAT): its size in KiB, a line of it in bytes."""

    level: Level | None = attr()
    associativity: Literal["none", "direct", "full"] | None = attr(
        omit="none", wrong=lambda raw: XMLError(f"Invalid cache associativity '{raw}'")
    )
    policy: Literal["none", "writeback", "writethrough"] | None = attr(
        omit="none", wrong=lambda raw: XMLError(f"Invalid cache policy '{raw}'")
    )
    kib: int = size("size/@value")
    line_bytes: int = size("line/@value", unit="B")


class Cell(Element, tag="cell"):
    """A NUMA node of the guest; `memory` in KiB."""

    id: Unsigned | None = attr()
    cpus: Bitmap | None = attr()
    memory: int = size("@memory")
    mem_access: Literal["shared", "private"] | None = attr("@memAccess")
    discard: YesNo | None = attr()
    distances: Distances | None = child()
    caches: list[MemoryCache] = children()


class Interconnect(Element):
    """What it takes from an initiator's cell to a target's (HMAT)."""

    initiator: Unsigned = attr(order=-1)
    target: Unsigned = attr(order=-1)
    cache: Unsigned | None = attr(order=-1)
    type: Annotated[str, Choice("access", "read", "write")] = attr(order=-1)


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


class Cpu(Element, tag="cpu"):
    """A guest's CPU."""

    mode: Literal["custom", "host-model", "host-passthrough", "maximum"] | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"Invalid mode attribute '{raw}'")
    )
    match: Literal["minimum", "exact", "strict"] | None = attr()
    verify: Literal["none", "partial", "full"] | None = attr("@check")
    migratable: OnOff | None = attr()
    fallback: Literal["allow", "forbid"] | None = attr(
        "model/@fallback", wrong=lambda raw: ConfigUnsupported("Invalid fallback attribute")
    )
    vendor_id: str | None = attr("model/@vendor_id", blank=True)
    model: str | None = text("model")
    vendor: str | None = text("vendor")
    topology: Topology | None = child()
    cache: CpuCache | None = child()
    maxphysaddr: MaxPhysAddr | None = child()
    features: list[CpuFeature] = children()
    numa: Numa | None = child()

    def check(self, node: Node) -> None:
        """What contradicts itself."""
        if self.vendor_id is not None and len(self.vendor_id.encode()) != 12:
            raise XMLError("vendor_id must be exactly 12 characters long")
        if self.vendor_id is not None and "," in self.vendor_id:
            raise XMLError("vendor id is invalid")
        if self.migratable is not None and self.mode not in ("host-passthrough", "maximum"):
            raise ConfigUnsupported("Attribute migratable is only allowed for 'host-passthrough' / 'maximum' CPU mode")
        if sum(inner.tag == "cache" for inner in node.children) > 1:
            raise XMLError("at most one CPU cache element may be specified")
        if self.vendor is not None and self.model is None:
            raise XMLError("CPU vendor specified without CPU model")
        if self.features and self.model is None and self.mode in (None, "custom"):
            raise XMLError("Non-empty feature list specified without CPU model")
        seen: set[str] = set()
        for feature in self.features:
            if feature.name in seen:
                raise XMLError(f"CPU feature '{feature.name}' specified more than once")
            seen.add(feature.name)
