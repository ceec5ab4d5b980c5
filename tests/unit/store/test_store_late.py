"""What the disk has comes into an index when more is asked for than what runs."""

from collections.abc import Callable
from uuid import UUID

import pytest

from splitvirt.store.registry import Registry


class Thing:
    def __init__(self, number: int) -> None:
        self.name, self.uuid = f"thing{number}", UUID(int=number)


def _index() -> tuple[Registry[Thing], list[str]]:
    loads: list[str] = []

    def load() -> None:
        loads.append("load")
        index.add(Thing(1))

    index: Registry[Thing] = Registry(load)
    return index, loads


def test_what_runs_is_told_without_the_disk() -> None:
    index, loads = _index()
    assert index.by_id(1) is None
    assert index.active() == index.here() == []
    assert not index.complete
    assert loads == []


@pytest.mark.parametrize("ask", ["by_name", "by_uuid", "iter", "len", "add"])
def test_anything_else_brings_it_once(ask: str) -> None:
    index, loads = _index()
    asked: dict[str, Callable[[], object]] = {
        "by_name": lambda: index.by_name("thing1"),
        "by_uuid": lambda: index.by_uuid(UUID(int=1)),
        "iter": lambda: list(index),
        "len": lambda: len(index),
        "add": lambda: index.add(Thing(2)),
    }
    asked[ask]()
    assert index.by_name("thing1")
    assert loads == ["load"]


def test_who_wants_to_know_is_told_then() -> None:
    index, _ = _index()
    told: list[list[str]] = []
    index.when_complete(lambda found: told.append([one.name for one in found]))
    assert told == []
    assert len(index) == 1
    assert told == [["thing1"]]
    index.when_complete(lambda found: told.append([one.name for one in found]))
    assert told == [["thing1"], ["thing1"]]
