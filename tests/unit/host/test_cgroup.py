"""One group, as its files tell of it."""

import os
from pathlib import Path

import pytest

from splitvirt.host import cgroup
from splitvirt.host.cgroup import Group


@pytest.fixture(name="group")
def _group(tmp_path: Path) -> Group:
    files = {
        "cgroup.controllers": "cpuset cpu io memory pids\n",
        "cpu.max": "25000 50000\n",
        "cpu.weight": "300\n",
        "memory.max": "max\n",
        "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return Group(tmp_path)


def test_what_holds_is_read(group: Group) -> None:
    assert "cpu" in group.controllers
    assert group.number("cpu.weight") == 300
    assert group.number("memory.max") is None
    assert group.bandwidth() == (50_000, 25_000)
    assert group.nanoseconds() == (30_000, 20_000, 10_000)


def test_one_that_is_gone_has_nothing_to_tell(tmp_path: Path) -> None:
    gone = Group(tmp_path / "gone")
    assert not gone.exists
    assert gone.controllers == frozenset()
    assert (gone.number("cpu.weight"), gone.bandwidth(), gone.nanoseconds()) == (None, None, None)
    with pytest.raises(FileNotFoundError):
        gone.limit_bandwidth(1000, None)


@pytest.mark.parametrize(
    ("period", "quota", "then"),
    [(None, 7000, "7000 50000"), (20_000, None, "25000 20000"), (None, -1, "max 50000"), (10_000, 5000, "5000 10000")],
)
def test_what_is_not_given_stays(group: Group, period: int | None, quota: int | None, then: str) -> None:
    group.limit_bandwidth(period, quota)
    assert group.read("cpu.max") == then


def test_a_quota_that_is_none_stays_none(group: Group) -> None:
    group.limit_bandwidth(None, -1)
    group.limit_bandwidth(30_000, None)
    assert group.bandwidth() == (30_000, None)


def test_threads_get_a_part_of_their_own(group: Group) -> None:
    part = group.take_threads("vcpu0", [4711])
    assert part.read("cgroup.type") == "threaded"
    assert part.read("cgroup.threads") == "4711"
    assert group.read("cgroup.subtree_control") == "+cpu"


def test_a_process_is_found_in_its_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.controllers").write_text("")
    monkeypatch.setattr(cgroup, "MOUNTS", (tmp_path / "not", tmp_path))
    ours = next(line[4:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::/"))
    for unit in filter(None, ours.split("/")):
        found = cgroup.group_of(os.getpid(), unit)
        assert found is not None
        assert found.path.name == unit
    assert cgroup.group_of(os.getpid(), "machine-other.scope") is None
    monkeypatch.setattr(cgroup, "MOUNTS", ())
    assert cgroup.available() == frozenset()
    assert cgroup.group_of(os.getpid(), "init.scope") is None
