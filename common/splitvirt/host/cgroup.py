"""One control group of the kernel's second version (cgroups(7)), as its files tell of it."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from splitvirt.host.value import value

MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
"""Where systemd mounts it: alone, or beside hierarchies of the first version, which then have the controllers."""
MEMBERS, THREADS, CONTROLLERS = "cgroup.procs", "cgroup.threads", "cgroup.controllers"


@value
class Group:
    """A group by its folder. What is asked of one that is gone is None."""

    path: Path

    @property
    def controllers(self) -> frozenset[str]:
        """The controllers that are on for it: "cpu", "memory", "io", ..."""
        return frozenset((self.read(CONTROLLERS) or "").split())

    def read(self, name: str) -> str | None:
        """The text of one of its files; None where there is no such file, for want of a controller too."""
        try:
            return (self.path / name).read_text().strip()
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        """The number in one of its files; None for "max" too."""
        text = self.read(name) or ""
        return int(text) if text.isdigit() else None

    def bandwidth(self) -> tuple[int, int | None] | None:
        """Period and quota of processor time in microseconds; no quota is None. None where there is no such file."""
        words = (self.read("cpu.max") or "").split()
        return (int(words[1]), int(words[0]) if words[0].isdigit() else None) if len(words) == 2 else None

    def limit_bandwidth(self, period: int | None, quota: int | None) -> None:
        """Set the period, the quota (-1: none) or both, in microseconds. OSError when the kernel does not want that."""
        old_period, old_quota = self.bandwidth() or (100_000, None)
        wanted = old_quota if quota is None else quota
        word = "max" if wanted is None or wanted < 0 else str(wanted)
        (self.path / "cpu.max").write_text(f"{word} {period or old_period}")

    def nanoseconds(self) -> tuple[int, int, int] | None:
        """Processor time in ns: all of it, in user mode and in the kernel."""
        told = dict(line.split() for line in (self.read("cpu.stat") or "").splitlines())
        names = ("usage_usec", "user_usec", "system_usec")
        if not all(name in told for name in names):
            return None
        total, user, system = (int(told[name]) * 1000 for name in names)
        return total, user, system

    def part(self, name: str) -> "Group":
        """A group inside of it, whether or not there is one."""
        return Group(self.path / name)

    @property
    def exists(self) -> bool:
        """Whether there is such a group."""
        return self.path.is_dir()

    def take_threads(self, name: str, tids: Iterable[int]) -> "Group":
        """Put threads of its processes into a part of their own, made when it is not there. OSError as the kernel's.

        The part has processor time alone to be divided: other resources are the whole process's.
        """
        made = self.part(name)
        if not made.exists:
            made.path.mkdir()
            (made.path / "cgroup.type").write_text("threaded")
            (self.path / "cgroup.subtree_control").write_text("+cpu")
        for tid in tids:
            with contextlib.suppress(ProcessLookupError):  # helpers of a pool come and go
                (made.path / THREADS).write_text(str(tid))
        return made


def mount() -> Path | None:
    """Where the hierarchy of the second version is, if anywhere."""
    return next((place for place in MOUNTS if (place / CONTROLLERS).is_file()), None)


def available() -> frozenset[str]:
    """The controllers that groups of this host may have."""
    place = mount()
    return Group(place).controllers if place else frozenset()


def group_of(pid: int, unit: str) -> Group | None:
    """A unit's group, if a process is in it or in a part of it."""
    place = mount()
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if place is not None and line.startswith("0::/"):
            folders = line[4:].split("/")
            if unit in folders:
                return Group(place.joinpath(*folders[: folders.index(unit) + 1]))
    return None
