"""What the permission matrix (tests/system/test_matrix.py) leaves out is named, with the reason, and no more."""

from importlib import import_module

from support.matrix import (
    EVENTS,
    FRONTS,
    OPEN,
    PLACES,
    SOCKET_ONLY,
    UNOFFERED,
    UNREACHED,
    Things,
    entry,
    known,
    name_of,
    offered,
    permissions,
    rows,
)

from splitvirt.api.call import calls
from splitvirt.connect import DRIVERS

NOTHING = Things({}, {})
OFFERED = {front: set().union(*(permissions(daemon, front) for daemon in PLACES)) for front in FRONTS}


def declared() -> set[str]:
    """Every permission of every contract."""
    found = set()
    for _, module, name in DRIVERS.values():
        for call in calls(getattr(import_module(module), name)):
            found |= {rule.name for one in (call, *call.older) for rule in one.rules if rule.kind != "none"}
            found |= {call.filter} - {""}
    return found


def test_every_declared_permission_has_rows_or_a_reason() -> None:
    without = declared() - OFFERED["socket"]
    assert {entry(UNOFFERED, one) for one in without} == set(UNOFFERED)


def test_what_is_on_the_socket_alone_is_named() -> None:
    assert {entry(SOCKET_ONLY, one) for one in OFFERED["socket"] - OFFERED["bus"]} == set(SOCKET_ONLY)
    assert OFFERED["bus"] <= OFFERED["socket"]


def test_every_permission_is_needed_in_some_row() -> None:
    for daemon in PLACES:
        for front in FRONTS:
            made = rows(daemon, front, NOTHING)
            needed = {need for row in made for need in row.needs} | {row.call.filter for row in made}
            assert permissions(daemon, front) <= needed, (daemon, front)


def test_what_needs_no_permission_is_named() -> None:
    bare = {
        name_of(call) for daemon in PLACES for front in FRONTS for _, call in offered(daemon, front)
        if all(rule.kind == "none" for rule in call.rules)
    }  # fmt: skip
    assert {name for name in bare if not known(OPEN, name)} == set()
    assert [one for one in OPEN if not any(known({one: ""}, name) for name in bare)] == []


def test_tables_name_what_there_is() -> None:
    names = {name_of(call) for daemon in PLACES for front in FRONTS for _, call in offered(daemon, front)}
    assert [one for one in UNREACHED if not any(known({one: ""}, name) for name in names)] == []
    assert all(permission in permissions(daemon, "socket") for daemon, (_, permission) in EVENTS.items())
