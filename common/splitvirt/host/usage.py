"""What one process uses: processor time, memory, bytes moved; from /proc (proc(5))."""

import os
from pathlib import Path

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def cpu_nanoseconds(pid: int) -> tuple[int, int] | None:
    """User and system time of a process and the children it waited for not, in ns; None when it is gone."""
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return (int(fields[11]) * _TICK, int(fields[12]) * _TICK) if fields else None


def thread_nanoseconds(pid: int, tid: int) -> tuple[int, int]:
    """Time a thread ran and time it waited for a processor, in ns (schedstat); zeros when it is gone."""
    try:
        words = Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()
        return int(words[0]), int(words[1])
    except (OSError, IndexError, ValueError):
        return 0, 0


def thread_processor(pid: int, tid: int) -> int:
    """The processor that a thread last ran on, -1 when it is gone."""
    fields = _stat(Path(f"/proc/{pid}/task/{tid}/stat"))
    return int(fields[36]) if fields else -1


def resident_kib(pid: int) -> int:
    """Memory of a process that is in RAM, in KiB."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
    except (OSError, IndexError):
        return 0


def interface_counters(name: str) -> dict[str, int] | None:
    """rx and tx bytes, packets, errors and drops of a network interface; None when there is none of that name."""
    for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]:
        found, _, rest = line.partition(":")
        if found.strip() == name:
            n = [int(word) for word in rest.split()]
            keys = ("rx_bytes", "rx_packets", "rx_errs", "rx_drop", "tx_bytes", "tx_packets", "tx_errs", "tx_drop")
            return dict(zip(keys, (*n[0:4], *n[8:12]), strict=True))
    return None


def _stat(path: Path) -> list[str] | None:
    try:
        stat = path.read_bytes()
    except OSError:
        return None
    return stat[stat.rindex(b")") + 2 :].decode().split()
