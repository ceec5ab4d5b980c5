"""The guest's NUMA nodes, and which of the host's nodes its memory lives on."""

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.cpu import Cell, Distance, Distances, MemoryCache, Numa
from splitvirt.xml.domain import Domain
from splitvirt.xml.memory import NumaTune
from virtqemud.emulator.capabilities import Capabilities


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Number the cells, give them all CPUs, mirror distances; decide where vCPUs and memory are placed."""
    numa = domain.cpu.numa if domain.cpu else None
    if numa is not None:
        cells(numa)
        cpus(numa, domain.vcpu or 1)
        if any(cell.distances for cell in numa.cells):
            distances(numa)
    placement(domain)


def cells(numa: Numa) -> None:
    """Ids from zero without gaps, in order. Raises XMLError."""
    if not numa.cells:
        raise XMLError("NUMA topology defined without NUMA cells")
    seen: set[int] = set()
    for i, cell in enumerate(numa.cells):
        cell.id = i if cell.id is None else cell.id
        if cell.id >= len(numa.cells):
            raise XMLError(
                "Exactly one 'cell' element per guest NUMA cell allowed, "
                "non-contiguous ranges or ranges not starting from 0 are not allowed"
            )
        if cell.id in seen:
            raise XMLError(f"Duplicate NUMA cell info for cell id '{cell.id}'")
        seen.add(cell.id)
        for other in numa.cells[:i]:
            if cell.cpus and other.cpus and cell.cpus & other.cpus:
                raise ConfigUnsupported(f"NUMA cells {cell.id} and {other.id} have overlapping vCPU ids")
        for cache in cell.caches:
            check_cache(cache, cell.id)
        levels = [cache.level for cache in cell.caches]
        for level in levels:
            if levels.count(level) > 1:
                raise XMLError(f"Cache level '{level}' already defined")
        cell.caches.sort(key=lambda c: c.level or 0)
    numa.cells.sort(key=lambda c: c.id or 0)


def check_cache(cache: MemoryCache, cell: int) -> None:
    for name in ("level", "associativity"):
        if getattr(cache, name) is None:
            raise XMLError(f"Missing '{name}' attribute in cache element for NUMA node {cell}")
    if cache.level == 0:
        raise XMLError(f"Invalid 'level' attribute in cache element for NUMA node {cell}")
    if cache.policy is None:
        raise XMLError("Invalid cache policy '(null)'")


def cpus(numa: Numa, total: int) -> None:
    """vCPUs in no cell go to the first. Raises InternalError for cells with more than there are."""
    given: frozenset[int] = frozenset().union(*(cell.cpus or () for cell in numa.cells))
    if len(given) > total:
        raise InternalError("Number of CPUs in <numa> exceeds the <vcpu> count")
    if given and max(given) >= total:
        raise InternalError("CPU IDs in <numa> exceed the <vcpu> count")
    rest = frozenset(range(total)) - given
    if rest:
        numa.cells[0].cpus = (numa.cells[0].cpus or frozenset()) | rest


def distances(numa: Numa) -> None:
    """Of cells that any distance is given for: 10 to itself, and the other way round what was given only one way."""
    table: dict[tuple[int, int], int] = {}
    for cell in numa.cells:
        for sibling in cell.distances.siblings if cell.distances else ():
            check_distance(cell, sibling, len(numa.cells))
            table[cell.id or 0, sibling.id] = sibling.value
    for (here, there), value in list(table.items()):
        table.setdefault((there, here), value)
        table[here, here] = table[there, there] = 10
    for cell in numa.cells:
        row = sorted((there, value) for (here, there), value in table.items() if here == cell.id)
        cell.distances = Distances(siblings=[Distance(id=there, value=value) for there, value in row]) if row else None


def check_distance(cell: Cell, sibling: Distance, count: int) -> None:
    if sibling.id >= count:
        raise XMLError(f"'sibling_id {sibling.id}' does not refer to a valid cell within NUMA 'cell id {cell.id}'")
    local = sibling.id == cell.id
    if not 10 <= sibling.value <= 255 or (sibling.value == 10) is not local:
        raise XMLError(
            f"'value {sibling.value}' is invalid for 'sibling id {sibling.id}' under NUMA 'cell id {cell.id}'"
        )


def placement(domain: Domain) -> None:
    """Automatic placement of vCPUs means that of memory too, and the other way round where no CPUs are named."""
    tune = domain.numatune
    if tune is not None:
        memory(tune, domain.vcpu_placement == "auto")
        if domain.vcpu_placement != "auto" and tune.placement == "auto" and domain.vcpu_cpuset is None:
            domain.vcpu_placement = "auto"
    if domain.vcpu_placement == "auto":
        domain.vcpu_cpuset = None
        tune = domain.numatune = tune or NumaTune()
        if tune.mode is None and not tune.memnodes:
            tune.mode, tune.placement = "strict", "auto"
    domain.vcpu_placement = domain.vcpu_placement or "static"


def memory(tune: NumaTune, automatic: bool) -> None:
    """What `<memory>` leaves open."""
    if tune.mode is None and tune.placement is None and tune.nodeset is None:
        return
    tune.mode = tune.mode or "strict"
    if tune.placement is None:
        tune.placement = "auto" if tune.nodeset is None and automatic else "static"
    if tune.placement == "auto":
        tune.nodeset = None
    elif tune.nodeset is None:
        raise ConfigUnsupported("nodeset for NUMA memory tuning must be set if 'placement' is 'static'")


def check(domain: Domain, caps: Capabilities) -> None:
    """What refers to nodes that the guest does not have, and what contradicts itself."""
    numa = domain.cpu.numa if domain.cpu else None
    tune = domain.numatune
    if tune is not None and tune.memnodes:
        check_memnodes(tune, len(numa.cells) if numa else 0)
    if numa is not None:
        check_interconnects(numa)


def check_memnodes(tune: NumaTune, count: int) -> None:
    if tune.placement == "auto":
        raise ConfigUnsupported("Per-node binding is not compatible with automatic NUMA placement.")
    if not count:
        raise XMLError("Element 'memnode' is invalid without any guest NUMA cells")
    for memnode in tune.memnodes:
        if memnode.cellid >= count:
            raise XMLError("Argument 'cellid' in memnode element must correspond to existing guest's NUMA cell")
        if tune.mode == "restrictive" and memnode.mode != "restrictive":
            raise XMLError(
                "'restrictive' mode is required in memnode element when mode is 'restrictive' in memory element"
            )


def check_interconnects(numa: Numa) -> None:
    seen: set[tuple[object, ...]] = set()
    for link in numa.interconnects:
        for name in ("initiator", "target"):
            if getattr(link, name) >= len(numa.cells):
                raise XMLError(f"'{name}' refers to a non-existent NUMA node")
        if link.cache and link.cache not in [cache.level for cache in numa.cells[link.target].caches]:
            raise XMLError("'cache' refers to a non-existent NUMA node cache")
        key = (link.TAG, link.initiator, link.target, link.cache, link.type)
        if key in seen:
            raise XMLError("Duplicate info for NUMA latencies")
        seen.add(key)
