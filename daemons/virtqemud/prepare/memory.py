"""How much memory the guest has, and what backs it; all in KiB."""

from itertools import combinations

from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.domain import Domain
from splitvirt.xml.memory import MemoryBacking, Page
from virtqemud.emulator.capabilities import Capabilities


def defaults(domain: Domain, caps: Capabilities) -> None:
    """The total follows from the NUMA cells where there are any; the balloon starts full."""
    numa = domain.cpu.numa if domain.cpu else None
    plugged = sum(device.size or 0 for device in domain.devices.memories)
    cells = sum(cell.memory for cell in numa.cells) if numa else 0
    if cells:
        domain.memory = cells + plugged
    if not domain.memory:
        raise XMLError("Memory size must be specified via <memory> or in the <numa> configuration")
    if plugged >= domain.memory:
        raise XMLError("Total size of memory devices exceeds the total memory size")
    if not domain.current_memory or domain.current_memory > domain.memory:
        domain.current_memory = domain.memory
    if bool(domain.max_memory) is not bool(domain.max_memory_slots):
        raise XMLError("both maximum memory size and memory slot count must be specified")
    if domain.max_memory and domain.max_memory < domain.memory:
        raise XMLError("maximum memory size must be equal or greater than the actual memory size")
    if not domain.max_memory:
        domain.max_memory = domain.max_memory_slots = None
    if domain.memory_backing is not None and domain.memory_backing.pages:
        pages(domain.memory_backing.pages, len(numa.cells) if numa else 0)


def pages(found: list[Page], cells: int) -> None:
    """Each node's pages of one size; without NUMA, node 0 is the whole guest."""
    for page in found:
        if page.nodeset and not cells and page.nodeset == frozenset((0,)):
            page.nodeset = None
    for page in found:
        outside = [node for node in sorted(page.nodeset or ()) if node >= cells]
        if outside:
            raise XMLDetail(f"hugepages: node {outside[0]} not found")
    for a, b in combinations(found, 2):
        if a.nodeset is None and b.nodeset is None:
            raise XMLDetail(f"two master hugepages detected: {b.kib} and {a.kib}")
        if a.nodeset and b.nodeset and a.nodeset & b.nodeset:
            raise XMLDetail(f"nodeset attribute of hugepages of sizes {b.kib} and {a.kib} intersect")


def check(domain: Domain, caps: Capabilities) -> None:
    """What QEMU cannot do."""
    if domain.max_memory and not (domain.cpu and domain.cpu.numa):
        raise ConfigUnsupported("At least one numa node has to be configured when enabling memory hotplug")
    if domain.max_memory_slots and len(domain.devices.memories) > domain.max_memory_slots:
        count = len(domain.devices.memories)
        raise ConfigUnsupported(f"memory device count '{count}' exceeds slots count '{domain.max_memory_slots}'")
    if domain.memtune is not None and domain.memtune.min_guarantee:
        raise ConfigUnsupported("Parameter 'min_guarantee' not supported by QEMU.")
    backing = domain.memory_backing
    if backing is not None:
        check_backing(backing, caps)


def check_backing(backing: MemoryBacking, caps: Capabilities) -> None:
    if backing.source == "memfd" and not caps.has_object("memory-backend-memfd"):
        raise ConfigUnsupported("this QEMU doesn't support the memory-backend-memfd")
