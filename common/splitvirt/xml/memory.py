"""Where the guest's memory comes from and how much of the host it may take: sizes in KiB."""

from typing import Annotated, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.element import Bitmap, Element, Unsigned, attr, children, present, size, text
from splitvirt.xml.forms import U32, U64, UNSIGNED, integer, lenient
from splitvirt.xml.node import Node

NumaMode = Literal["strict", "preferred", "interleave", "restrictive"]
Weight = Annotated[int, lenient(integer(0, U32, UNSIGNED))]
UNLIMITED = 9007199254740991
"""A limit of memory from which on there is none, in KiB."""


class Page(Element, tag="page"):
    """Huge pages of one size for the guest's memory or some of its nodes."""

    kib: int = size("@size")
    nodeset: Bitmap | None = attr()

    def check(self, node: Node) -> None:
        if not self.kib:
            raise XMLDetail("hugepage size can't be zero")


class MemoryBacking(Element, tag="memoryBacking", hide_empty=True):
    """How the host provides the memory."""

    hugepages: bool = present("hugepages")
    pages: list[Page] = children("hugepages/")
    nosharepages: bool = present()
    locked: bool = present()
    source: Literal["file", "anonymous", "memfd"] | None = attr(
        "source/@type", blank=True, wrong=lambda raw: ConfigUnsupported(f"unknown memoryBacking/source/type '{raw}'")
    )
    access: Literal["shared", "private"] | None = attr(
        "access/@mode", blank=True, wrong=lambda raw: ConfigUnsupported(f"unknown memoryBacking/access/mode '{raw}'")
    )
    allocation: Literal["immediate", "ondemand"] | None = attr(
        "allocation/@mode",
        blank=True,
        wrong=lambda raw: ConfigUnsupported(f"unknown memoryBacking/allocation/mode '{raw}'"),
    )
    allocation_threads: Unsigned | None = attr(
        "allocation/@threads", omit=0, wrong=lambda raw: XMLError("Failed to parse memory allocation threads")
    )
    discard: bool = present()

    def check(self, node: Node) -> None:
        if self.hugepages and self.allocation == "ondemand":
            raise ConfigUnsupported("hugepages are not allowed with memory allocation ondemand")
        if self.hugepages and self.source == "anonymous":
            raise ConfigUnsupported("hugepages are not allowed with anonymous memory source")


class MemoryTune(Element, tag="memtune", hide_empty=True):
    """Limits of the guest's process."""

    hard_limit: int | None = size(xpath="./memtune/hard_limit[1]")
    soft_limit: int | None = size(xpath="./memtune/soft_limit[1]")
    min_guarantee: int | None = size(xpath="./memtune/min_guarantee[1]", omit=0)
    swap_hard_limit: int | None = size(xpath="./memtune/swap_hard_limit[1]")

    def check(self, node: Node) -> None:
        """A limit that limits nothing is none."""
        for name in ("hard_limit", "soft_limit", "swap_hard_limit"):
            value = getattr(self, name)
            if value is not None and value >= UNLIMITED:
                setattr(self, name, None)


class NodeMemory(Element, tag="memnode"):
    """Where one of the guest's nodes lives."""

    cellid: Unsigned = attr()
    mode: NumaMode = attr(default="strict")
    nodeset: Bitmap = attr(missing=lambda: XMLError("Missing required nodeset attribute in memnode element"))


class NumaTune(Element, tag="numatune", hide_empty=True):
    """On which of the host's nodes the memory lives."""

    mode: NumaMode | None = attr(
        "memory/@mode", wrong=lambda raw: ConfigUnsupported(f"Unsupported NUMA memory tuning mode '{raw}'")
    )
    placement: Literal["static", "auto"] | None = attr(
        "memory/@placement",
        omit="static",
        wrong=lambda raw: ConfigUnsupported(f"Unsupported NUMA memory placement mode '{raw}'"),
    )
    nodeset: Bitmap | None = attr("memory/@nodeset")
    memnodes: list[NodeMemory] = children()

    def check(self, node: Node) -> None:
        seen: set[int] = set()
        for memnode in self.memnodes:
            if memnode.cellid in seen:
                raise XMLError(f"Multiple memnode elements with cellid {memnode.cellid}")
            seen.add(memnode.cellid)
        self.memnodes.sort(key=lambda memnode: memnode.cellid)


class BlockDevice(Element, tag="device"):
    """Limits on one of the host's disks."""

    path: str = text(missing=lambda: ConfigUnsupported("missing per-device path"))
    weight: Unsigned | None = text(omit=0, wrong=lambda raw: ConfigUnsupported(f"could not parse weight {raw}"))
    read_iops_sec: Unsigned | None = text(
        omit=0, wrong=lambda raw: ConfigUnsupported(f"could not parse read iops sec {raw}")
    )
    write_iops_sec: Unsigned | None = text(
        omit=0, wrong=lambda raw: ConfigUnsupported(f"could not parse write iops sec {raw}")
    )
    read_bytes_sec: Annotated[int, integer(0, U64, UNSIGNED)] | None = text(
        omit=0, wrong=lambda raw: ConfigUnsupported(f"could not parse read bytes sec {raw}")
    )
    write_bytes_sec: Annotated[int, integer(0, U64, UNSIGNED)] | None = text(
        omit=0, wrong=lambda raw: ConfigUnsupported(f"could not parse write bytes sec {raw}")
    )

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return any(getattr(self, name) for name in self.FIELDS if name != "path")


class BlockTune(Element, tag="blkiotune", hide_empty=True):
    """The guest's share of the host's disks."""

    weight: Weight | None = text(omit=0)
    devices: list[BlockDevice] = children()

    def check(self, node: Node) -> None:
        seen: set[str] = set()
        for device in self.devices:
            if device.path in seen:
                raise ConfigUnsupported(f"duplicate blkio device path '{device.path}'")
            seen.add(device.path)
        self.devices = [device for device in self.devices if device.limits]
