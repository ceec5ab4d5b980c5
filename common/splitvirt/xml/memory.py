"""Where the guest's memory comes from and how much of the host's it may take: sizes in KiB."""

from typing import Literal

from splitvirt.xml.element import Bitmap, Element, Unsigned, attr, children, present, size, text

NumaMode = Literal["strict", "preferred", "interleave", "restrictive"]


class Page(Element, tag="page"):
    """Huge pages of one size for the guest's memory or some of its nodes."""

    kib: int = size("@size")
    nodeset: Bitmap | None = attr()


class MemoryBacking(Element, tag="memoryBacking", hide_empty=True):
    """How the host provides the memory."""

    hugepages: bool = present("hugepages")
    pages: list[Page] = children("hugepages/")
    nosharepages: bool = present()
    locked: bool = present()
    source: Literal["file", "anonymous", "memfd"] | None = attr("source/@type")
    access: Literal["shared", "private"] | None = attr("access/@mode")
    allocation: Literal["immediate", "ondemand"] | None = attr("allocation/@mode")
    allocation_threads: Unsigned | None = attr("allocation/@threads")
    discard: bool = present()


class MemoryTune(Element, tag="memtune", hide_empty=True):
    """Limits of the guest's process."""

    hard_limit: int | None = size()
    soft_limit: int | None = size()
    min_guarantee: int | None = size()
    swap_hard_limit: int | None = size()


class NodeMemory(Element, tag="memnode"):
    """Where one of the guest's nodes lives."""

    cellid: Unsigned = attr()
    mode: NumaMode | None = attr()
    nodeset: Bitmap | None = attr()


class NumaTune(Element, tag="numatune", hide_empty=True):
    """On which of the host's nodes the memory lives."""

    mode: NumaMode | None = attr("memory/@mode")
    placement: Literal["static", "auto"] | None = attr("memory/@placement")
    nodeset: Bitmap | None = attr("memory/@nodeset")
    memnodes: list[NodeMemory] = children()


class BlockDevice(Element, tag="device"):
    """Limits on one of the host's disks."""

    path: str | None = text()
    weight: Unsigned | None = text()
    read_iops_sec: Unsigned | None = text()
    write_iops_sec: Unsigned | None = text()
    read_bytes_sec: int | None = text()
    write_bytes_sec: int | None = text()


class BlockTune(Element, tag="blkiotune", hide_empty=True):
    """The guest's share of the host's disks."""

    weight: Unsigned | None = text()
    devices: list[BlockDevice] = children()
