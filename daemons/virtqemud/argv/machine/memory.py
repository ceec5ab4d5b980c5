"""The guest's memory: `-m`, `-overcommit`, memory backends, `-numa`."""

from collections.abc import Iterable
from os import sysconf
from typing import Any

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.cpu import Cell, Latency, Numa
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options

NO_HUGETLBFS = "hugetlbfs filesystem is not mounted or disabled by administrator config"
POLICIES = {"strict": "bind", "preferred": "preferred", "interleave": "interleave"}
ASSOCIATIVITY = {"none": "none", "direct": "direct", "full": "complex"}
CACHE_POLICIES = {"none": "none", "writeback": "write-back", "writethrough": "write-through"}


def numa(ctx: Context) -> Numa | None:
    """The guest's nodes, when it has any."""
    found = ctx.domain.cpu.numa if ctx.domain.cpu else None
    return found if found and found.cells else None


def default_memory_id(ctx: Context) -> str | None:
    """QEMU's name for the board's memory, when a backend of ours may be it."""
    machine = ctx.caps.machine(ctx.machine)
    return machine.get("default-ram-id") if machine else None


def numa_backends(ctx: Context) -> bool:
    """Whether each node has its own backend, so that the board has none."""
    return numa(ctx) is not None


def size(ctx: Context) -> Parts:
    """`-m`, and the backend of a board without NUMA."""
    parts, domain = Parts(), ctx.domain
    initial = initial_memory(ctx)
    if domain.max_memory:
        most = aligned(domain.max_memory) if numa(ctx) else domain.max_memory
        parts.add("-m", f"size={initial}k,slots={domain.max_memory_slots},maxmem={most}k")
    else:
        parts.add("-m", str(initial >> 10))
    id = default_memory_id(ctx)
    if id and not numa(ctx):
        parts += backend(ctx, id, initial, None)
    parts.add("-overcommit", f"mem-lock={'on' if locked(ctx) else 'off'}")
    return parts


def locked(ctx: Context) -> bool:
    backing = ctx.domain.memory_backing
    return ctx.settings.lock_memory or bool(backing and backing.locked)


def initial_memory(ctx: Context) -> int:
    """KiB at start: all memory less what memory devices bring."""
    nodes = numa(ctx)
    if nodes:
        return sum(aligned(cell.memory) for cell in nodes.cells)
    return aligned((ctx.domain.memory or 0) - sum(m.size for m in ctx.domain.devices.memories))


def aligned(kib: int, to: int = 1 << 10) -> int:
    """Rounded up to whole MiB, or what else QEMU wants."""
    return -(-kib // to) * to


def backend(ctx: Context, id: str, kib: int, node: Cell | None, device: Any = None) -> Parts:
    """`-object memory-backend-*` for the board, a node, or a memory device."""
    parts = Parts()
    where = location(ctx, id, node, device)
    bind = binding(ctx, None if node is None else node.id, device)
    value = where | {"size": kib << 10} | bind
    if bind and value.get("prealloc") and ctx.caps.has_object("thread-context"):  # touched by threads on those nodes
        parts.object("thread-context", f"tc-{id}", node_affinity=bind["host-nodes"])
        value["prealloc-context"] = f"tc-{id}"
    order = ("qom-type", "id")
    parts.json("-object", {k: value[k] for k in order} | {k: v for k, v in value.items() if k not in order})
    path = where.get("mem-path")
    if path and not ctx.native and not (device is not None and device.source and device.source.path):
        huge = path.endswith(f"/libvirt/qemu/{ctx.short_name}")  # QEMU makes a file of its own in it
        parts.folders.append(path if huge else path.rpartition("/")[0])
    return parts


def location(ctx: Context, id: str, node: Cell | None, device: Any) -> dict[str, Any]:
    """Where a backend's memory comes from."""
    backing = ctx.domain.memory_backing
    share = shared(ctx, node, device)
    value: dict[str, Any] = {
        "id": id,
        "share": share,
        "prealloc": True if backing and backing.allocation == "immediate" else None,
        "prealloc-threads": backing.allocation_threads or None if backing else None,
    }
    if device is not None and device.source and device.source.path:
        value |= device_file(device)
    else:
        name = device.alias if device is not None else id
        value |= source(ctx, name, page_of(device) or page_size(ctx, node), named=share is not None)
    if value["qom-type"] == "memory-backend-file":
        value["discard-data"] = discards(ctx, node, device)
    if device is not None and device.model == "virtio-mem":
        value["reserve"] = False
    if device is None and node is None and value["qom-type"] != "memory-backend-ram":
        value["x-use-canonical-path-for-ramblock-id"] = False
    return value


def device_file(device: Any) -> dict[str, Any]:
    """A file or device of the host behind a memory device."""
    source, align = device.source, device.source.alignsize
    return {
        "qom-type": "memory-backend-file",
        "mem-path": source.path,
        "align": align << 10 if align else None,
        "pmem": True if source.pmem else None,
    } | ({"prealloc": True} if device.model == "nvdimm" and not source.pmem else {})


def source(ctx: Context, name: str, page: int | None, *, named: bool) -> dict[str, Any]:
    """Anonymous memory, a memfd, huge pages, or a file; `named` says that it must be sharable by a name."""
    backing = ctx.domain.memory_backing
    kind = backing.source if backing else None
    if kind == "memfd":
        pages = {} if page is None else {"hugetlb": True, "hugetlbsize": (page or default_page(ctx)) << 10}
        return {"qom-type": "memory-backend-memfd"} | pages
    if page is not None:
        return {"qom-type": "memory-backend-file", "mem-path": hugepage_folder(ctx, page), "prealloc": True}
    if kind == "file" or named:
        return {"qom-type": "memory-backend-file", "mem-path": f"{memory_folder(ctx)}/{name}"}
    return {"qom-type": "memory-backend-ram"}


def memory_folder(ctx: Context) -> str:
    """Where files that back memory are: at a start the guest's own folder, unless a place is configured.

    libvirt's usual place is printed, but would outlive the guest.
    """
    configured = ctx.settings.memory_backing_dir
    if configured or ctx.native:
        return f"{configured or ctx.lib + '/ram'}/{ctx.short_name}"
    return f"{ctx.folder}/ram"


def shared(ctx: Context, node: Cell | None, device: Any) -> bool | None:
    """Whether other processes may map the memory; None where nothing is said."""
    access = getattr(device, "access", None) or (node.mem_access if node else None)
    backing = ctx.domain.memory_backing
    if access is None and backing is not None and not (device is not None and device.source and device.source.path):
        access = backing.access
    return None if access is None else access == "shared"


def discards(ctx: Context, node: Cell | None, device: Any) -> bool | None:
    """Whether the contents may be thrown away at the end."""
    own = getattr(device, "discard", None)
    if own is None and node is not None:
        own = node.discard
    backing = ctx.domain.memory_backing
    if own is None and backing is not None and backing.discard:
        return True
    return own


PLAIN_PAGE = sysconf("SC_PAGE_SIZE") >> 10
"""KiB."""


def page_of(device: Any) -> int | None:
    """KiB of the huge pages that a memory device asks for; None for the host's plain ones."""
    size: int | None = device.source.pagesize if device is not None and device.source else None
    return None if size == PLAIN_PAGE else size


def page_size(ctx: Context, node: Cell | None) -> int | None:
    """KiB of the huge pages that a node's memory is made of; 0 for the host's default; None for plain pages."""
    backing = ctx.domain.memory_backing
    if backing is None or not backing.hugepages:
        return None
    number = node.id if node is not None and node.id is not None else 0
    for page in backing.pages:
        if page.nodeset is not None and number in page.nodeset:
            return plain_or(page.kib)
    for page in backing.pages:
        if page.nodeset is None:
            return plain_or(page.kib)
    return None if backing.pages else 0


def plain_or(size: int) -> int | None:
    return None if size == 4 else size


def default_page(ctx: Context) -> int:
    """KiB of the host's usual huge pages. Raises InternalError where none are mounted."""
    if not ctx.settings.hugetlbfs:
        raise InternalError(NO_HUGETLBFS)
    return ctx.settings.hugetlbfs[0][1]


def hugepage_folder(ctx: Context, page: int) -> str:
    """The guest's folder on the hugetlbfs with pages of that size. Raises InternalError where there is none."""
    page = page or default_page(ctx)
    found = next((m for m in ctx.settings.hugetlbfs if m[1] == page), None)
    if not ctx.settings.hugetlbfs:
        raise InternalError(NO_HUGETLBFS)
    if found is None:
        raise InternalError(f"Unable to find any usable hugetlbfs mount for {page} KiB")
    return f"{found[0]}/libvirt/qemu/{ctx.short_name}"


def binding(ctx: Context, node: int | None, device: Any = None) -> dict[str, Any]:
    """On which of the host's nodes. Raises ConfigUnsupported for one that the host has not."""
    tune = ctx.domain.numatune
    own = device.source.nodemask if device is not None and device.source else None
    wanted, mode = own, None
    if tune is not None:
        mode = tune.mode
        if wanted is None and tune.placement != "auto":
            wanted = tune.nodeset
        for each in tune.memnodes:
            if node is not None and each.cellid == node and own is None:
                wanted, mode = each.nodeset, each.mode
    if tune is not None and tune.placement == "auto" and wanted is None:
        raise InternalError("Advice from numad is needed in case of automatic numa placement")
    if not wanted:
        return {}
    check_nodes(ctx, wanted)
    if mode == "restrictive":
        return {}
    return {"host-nodes": sorted(wanted), "policy": POLICIES[mode or "strict"]}


def check(ctx: Context) -> None:
    """Raise ConfigUnsupported where memory is to be on a node that the host has not."""
    tune = ctx.domain.numatune
    if tune is None:
        return
    if tune.placement != "auto":
        check_nodes(ctx, tune.nodeset or ())
    for each in tune.memnodes:
        check_nodes(ctx, each.nodeset or ())


def check_nodes(ctx: Context, nodes: Iterable[int]) -> None:
    for number in sorted(nodes):
        if number not in ctx.host_nodes:
            raise ConfigUnsupported(f"NUMA node {number} is unavailable")


def nodes(ctx: Context) -> Parts:
    """The guest's NUMA nodes, their distances and what HMAT tells of them."""
    parts, found = Parts(), numa(ctx)
    if found is None:
        return parts
    hmat = bool(found.interconnects) or any(cell.caches for cell in found.cells)
    first = next((i for i, cell in enumerate(found.cells) if cell.cpus), 0)
    for i, cell in enumerate(found.cells):
        id = f"ram-node{i}"
        parts += backend(ctx, id, aligned(cell.memory), cell)
        initiator = None if not hmat else i if cell.cpus else reach(found, i, first)
        cpus = ",".join(f"cpus={run}" for run in runs(cell.cpus or ()))
        text = options("node", nodeid=i)
        text += f",{cpus}" if cpus else ""
        parts.add("-numa", text + "".join(f",{o}" for o in [options(initiator=initiator, memdev=id)]))
    parts += distances(found)
    parts += costs(found)
    return parts


def reach(found: Numa, target: int, first: int) -> int:
    """The node whose CPUs reach a node without any the fastest."""
    best: tuple[int, int] | None = None
    for each in found.interconnects:
        if each.target == target and isinstance(each, Latency) and (best is None or each.value < best[0]):
            best = (each.value, each.initiator)
    return best[1] if best else first


def runs(numbers: Iterable[int]) -> list[str]:
    """0-3, 8: numbers as ranges."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{a}" if a == b else f"{a}-{b}" for a, b in found]


def distances(found: Numa) -> Parts:
    """Every pair, once any distance is none of the defaults, which are 10 to itself and 20 to others."""
    parts = Parts()
    known = {
        (i, s.id): s.value
        for i, cell in enumerate(found.cells)
        for s in (cell.distances.siblings if cell.distances else ())
    }
    if all(value == (10 if a == b else 20) for (a, b), value in known.items()):
        return parts
    for a in range(len(found.cells)):
        for b in range(len(found.cells)):
            value = known.get((a, b)) or (10 if a == b else known.get((b, a), 20))
            parts.add("-numa", options("dist", src=a, dst=b, val=value))
    return parts


LEVELS = {0: "memory", 1: "first-level", 2: "second-level", 3: "third-level"}


def costs(found: Numa) -> Parts:
    """Latencies, bandwidths and memory-side caches."""
    parts = Parts()
    for each in found.interconnects:
        kind = "latency" if isinstance(each, Latency) else "bandwidth"
        value = each.value if isinstance(each, Latency) else f"{each.value}K"
        parts.add("-numa", options(
            "hmat-lb", initiator=each.initiator, target=each.target, hierarchy=LEVELS[each.cache or 0],
            data_type=f"{each.type}-{kind}", **{kind: value},
        ))  # fmt: skip
    for i, cell in enumerate(found.cells):
        for cache in cell.caches:
            parts.add("-numa", options(
                "hmat-cache", node_id=i, size=f"{cache.kib}K", level=cache.level,
                associativity=ASSOCIATIVITY[cache.associativity or "none"],
                policy=CACHE_POLICIES[cache.policy or "none"], line=cache.line_bytes,
            ))  # fmt: skip
    return parts
