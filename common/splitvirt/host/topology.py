"""Processors and memory of this host, from /proc and /sys (Linux: cputopology.rst, sysfs-devices-node)."""

import os
from dataclasses import dataclass, field
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
NODES = Path("/sys/devices/system/node")


def parse_list(text: str) -> list[int]:
    """The numbers of a kernel list such as "0-3,8"."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def format_list(numbers: list[int]) -> str:
    """A kernel list such as "0-3,8" of ascending numbers."""
    parts: list[str] = []
    start = previous = None
    for number in [*sorted(set(numbers)), None]:
        if start is not None and previous is not None and number != previous + 1:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
            start = number
        elif start is None:
            start = number
        previous = number
    return ",".join(parts)


@dataclass(frozen=True)
class Cpu:
    """One logical processor and where it sits."""

    id: int
    socket: int
    die: int
    core: int
    siblings: str
    """The processors that share its core, as a kernel list."""


@dataclass(frozen=True)
class Cell:
    """One NUMA cell: memory in KiB, pages as (size in KiB, number), distances as (cell, distance)."""

    id: int
    memory: int
    cpus: list[Cpu]
    pages: list[tuple[int, int]] = field(default_factory=list)
    distances: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class NodeInfo:
    """What libvirt's node info says: processors and how they are arranged, memory in KiB, frequency in MHz."""

    model: str
    memory: int
    cpus: int
    mhz: int
    nodes: int
    sockets: int
    cores: int
    threads: int


def online_cpus() -> list[int]:
    """The processors that run."""
    return parse_list(_read(CPUS / "online")) or list(range(os.cpu_count() or 1))


def present_cpus() -> list[int]:
    """The processors that are there, running or not."""
    return parse_list(_read(CPUS / "present")) or online_cpus()


def cell_ids() -> list[int]:
    """The NUMA cells that are there; [0] on a kernel without NUMA."""
    return parse_list(_read(NODES / "online")) or [0]


def cpu(number: int) -> Cpu:
    """One processor's place."""
    at = CPUS / f"cpu{number}/topology"
    return Cpu(
        number,
        max(0, _number(at / "physical_package_id")),
        max(0, _number(at / "die_id")),
        max(0, _number(at / "core_id")),
        _read(at / "thread_siblings_list") or str(number),
    )


def cells() -> list[Cell]:
    """Every NUMA cell with its processors, memory, pages and distances."""
    ids = cell_ids()
    made = []
    for number in ids:
        at = NODES / f"node{number}"
        cpus = parse_list(_read(at / "cpulist")) if at.exists() else online_cpus()
        distances = [int(word) for word in _read(at / "distance").split()]
        total = cell_memory(number)[0]
        made.append(
            Cell(
                number,
                total,
                [cpu(n) for n in cpus],
                cell_pages(number, total),
                list(zip(ids, distances, strict=False)),
            )
        )
    return made


def cell_memory(number: int) -> tuple[int, int]:
    """Total and free memory of a cell, in KiB."""
    figures = meminfo(number)
    return figures.get("MemTotal", 0), figures.get("MemFree", 0)


def cell_pages(number: int, total: int) -> list[tuple[int, int]]:
    """A cell's pages by size in KiB: plain ones fill what the huge ones leave."""
    huge = sorted((size, _number(at / "nr_hugepages")) for size, at in huge_pools(number))
    plain = os.sysconf("SC_PAGE_SIZE") // 1024
    left = total - sum(size * count for size, count in huge)
    return [(plain, max(0, left) // plain), *huge]


def huge_pools(number: int) -> list[tuple[int, Path]]:
    """A cell's pools of huge pages: (size in KiB, sysfs directory)."""
    at = NODES / f"node{number}/hugepages"
    folder = at if at.exists() else Path("/sys/kernel/mm/hugepages")
    found = folder.glob("hugepages-*kB") if folder.exists() else ()
    return sorted((int(path.name.removeprefix("hugepages-").removesuffix("kB")), path) for path in found)


def free_pages(number: int, size: int) -> int | None:
    """How many pages of `size` KiB are free in a cell; None for a size that the host does not have."""
    if size == os.sysconf("SC_PAGE_SIZE") // 1024:
        free = cell_memory(number)[1]
        return free // size
    pool = dict(huge_pools(number)).get(size)
    return None if pool is None else _number(pool / "free_hugepages")


def meminfo(cell: int | None = None) -> dict[str, int]:
    """The kernel's memory figures in KiB, of the host or of one cell."""
    source = NODES / f"node{cell}/meminfo" if cell is not None else Path("/proc/meminfo")
    if cell is not None and not source.exists():
        source = Path("/proc/meminfo")
    figures = {}
    for line in _read(source).splitlines():
        words = line.split()
        if words[:1] == ["Node"]:
            words = words[2:]
        if len(words) >= 2:
            figures[words[0].rstrip(":")] = int(words[1])
    return figures


def node_info() -> NodeInfo:
    """How this host is built, as libvirt counts it: sockets, cores and threads are the largest of any cell."""
    found = cells()
    sockets = cores = threads = 1
    for cell in found:
        packages = {c.socket for c in cell.cpus}
        sockets = max(sockets, len(packages))
        cores = max(cores, *(len({(c.die, c.core) for c in cell.cpus if c.socket == p}) for p in packages), 1)
        threads = max(threads, *(len(parse_list(c.siblings)) for c in cell.cpus), 1)
    cpus = len(online_cpus())
    nodes = len(found)
    if nodes * sockets * cores * threads < len(present_cpus()):
        # An uneven host cannot be told in these figures: libvirt then tells one socket of that many cores.
        nodes, sockets, cores, threads = 1, 1, len(present_cpus()), 1
    total = sum(cell.memory for cell in found) or meminfo().get("MemTotal", 0)
    return NodeInfo(os.uname().machine, total, cpus, cpu_mhz(), nodes, sockets, cores, threads)


def cpu_mhz() -> int:
    """The first processor's frequency as the kernel states it, 0 where it does not."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("cpu MHz"):
            return int(float(line.partition(":")[2]))
    return 0


def cpuinfo() -> dict[str, str]:
    """What the kernel says of the first processor: vendor_id, model name, flags, microcode..."""
    facts = {}
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    return facts


def cpu_times(number: int | None = None) -> dict[str, int] | None:
    """Nanoseconds that a processor, or all of them, spent: kernel, user, idle, iowait. None for no such processor."""
    wanted = "cpu" if number is None else f"cpu{number}"
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for line in _read(Path("/proc/stat")).splitlines():
        name, *words = line.split()
        if name == wanted:
            user, nice, system, idle, iowait, irq, softirq, *_ = (int(word) * tick for word in [*words, *"0000000"])
            return {"kernel": system + irq + softirq, "user": user + nice, "idle": idle, "iowait": iowait}
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else 0
