"""Every declaration against the facts of the protocol (tests/data/wire.json) and of libvirt-dbus (dbus.json)."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.declared import CONTRACTS, PROGRAM_NAMES, all_calls, bus_calls, facts, same

from splitvirt.api import constants
from splitvirt.api.call import Call
from splitvirt.api.event import Event, events
from splitvirt.api.record import wire
from splitvirt.api.wire import Wire

DATA = Path(__file__).parents[2] / "data"
WIRE: dict[str, dict[str, dict[str, Any]]] = json.loads((DATA / "wire.json").read_text())
BUS: dict[str, dict[str, Any]] = json.loads((DATA / "dbus.json").read_text())

OPENING = "opening, closing and describing the connection itself: rpc/session.py"
AUTH = "proving who one is, before there is anything to call: rpc/session.py"
EVENTS = "registering for events: rpc/session.py subscribes to the root's hub"
SESSION = {
    "remote": dict.fromkeys((1, 2, 60, 360, 361, 362, 419), OPENING)
    | dict.fromkeys((66, 67, 68, 69, 70), AUTH)
    | dict.fromkeys((105, 106, 167, 168, 313, 314, 316, 317, 368, 369, 374, 375, 380, 381), EVENTS),
    "qemu": dict.fromkeys((4, 5), EVENTS),
    "lxc": {},
    "admin": dict.fromkeys((1, 2), OPENING),
}
# libvirt's table asks domain:read for setting scheduler parameters the old way: ours asks what the new way does
STRICTER = {58}
# streams that the table does not have, or has only one way of: a tunnel, and what people type into
STREAMS = {304: "in", 201: "both", 296: "both"}
WAYS = {"readstream": "out", "writestream": "in"}
CALLS = all_calls()
OLDER = [older for made in CALLS for older in made.older]
EVENT_LIST = list({id(one): one for contract in CONTRACTS for one in events(contract)}.values())


def table(made: Call | Event) -> dict[str, Any]:
    return WIRE[PROGRAM_NAMES[made.program]][str(made.rpc)]


def line(wires: list[Wire]) -> str:
    return " ".join(filter(None, map(facts, wires)))


@pytest.mark.parametrize("made", [*CALLS, *OLDER], ids=repr)
def test_fields(made: Call) -> None:
    known = table(made)
    assert same(line([kind for _, kind in made.args]), known.get("args", "")), known["name"]
    assert same(line(made.answer), known.get("ret", "")), known["name"]


@pytest.mark.parametrize("made", CALLS, ids=repr)
def test_rules_and_ways(made: Call) -> None:
    known = table(made)
    assert [rule.text for rule in made.rules] == known.get("acl", [])
    assert made.filter == known.get("aclfilter", [""])[0]
    assert made.high == (known.get("priority") == "high") or PROGRAM_NAMES[made.program] == "admin"
    ways = [way for key, way in WAYS.items() if key in known]
    if PROGRAM_NAMES[made.program] == "remote":
        assert made.stream == STREAMS.get(made.rpc, (ways or [""])[0])
    assert made.sparse == (getattr(constants, known["sparseflag"]) if "sparseflag" in known else 0)


@pytest.mark.parametrize("made", OLDER, ids=repr)
def test_rules_of_older(made: Call) -> None:
    known = table(made)
    values = [made.fixed.get(name, 0) for name, _ in made.params]
    open_ended = [rule for rule in made.rules if rule.at >= 0 and made.params[rule.at][0] not in made.fixed]
    asked = [rule.name for rule in made.rules if rule.applies(values) or rule in open_ended]
    if made.rpc not in STRICTER:
        assert asked == known["acl"]
    assert made.filter == known.get("aclfilter", [""])[0]
    assert made.high == (known.get("priority") == "high")


def test_names() -> None:
    """The libvirt function of a call is that of its procedure, letter case and joints apart."""
    joints = {"admin": "adm", "qemu": "", "lxc": "", "remote": ""}
    for made in CALLS:
        program, name = PROGRAM_NAMES[made.program], table(made)["name"].replace("_", "")
        api = made.api.lower().removeprefix("vir").removeprefix(joints[program])
        assert api.replace("domainqemu", "domain").replace("domainlxc", "domain") == name


def test_everything_is_declared_once() -> None:
    numbers = Counter((PROGRAM_NAMES[made.program], made.rpc) for made in [*CALLS, *OLDER])
    for one in EVENT_LIST:
        numbers[PROGRAM_NAMES[one.program], one.rpc] += 1
        numbers["remote", one.older] += bool(one.older)
    for program, procedures in WIRE.items():
        for number in map(int, procedures):
            expected = 0 if number in SESSION[program] else 1
            assert numbers[program, number] == expected, (program, number, procedures[str(number)]["name"])


@pytest.mark.parametrize("one", EVENT_LIST, ids=repr)
def test_events(one: Event) -> None:
    assert line(list(one.layout.wires)).replace("count", "int", 1) == table(one)["msg"]
    if one.older:
        assert line(list(one.old_layout.wires)) == WIRE["remote"][str(one.older)]["msg"]


def test_event_numbers() -> None:
    """Numbers to register for, against libvirt's constants by the order of the callback procedures."""
    ids = {one.name: one.id for one in EVENT_LIST if one.family == "domain" and one.id >= 0}
    assert sorted(ids.values()) == list(range(27))
    known = {name: value for name, value in vars(constants).items() if name.startswith("VIR_DOMAIN_EVENT_ID_")}
    words = {"rtc_changed": "RTC_CHANGE", "pm_woke": "PMWAKEUP", "pm_suspended": "PMSUSPEND", "rebooted": "REBOOT"}
    for name, number in ids.items():
        wanted = words.get(name, name.upper().replace("CHANGED", "CHANGE"))
        matching = known.get(f"VIR_DOMAIN_EVENT_ID_{wanted}")
        assert matching in (None, number), name


NOT_OURS = {
    ("org.libvirt.Domain", "MigrateToURI3"): "a client's dance over two connections, with no procedure of its own",
}


def bus_methods() -> dict[tuple[str, str], Call]:
    return {(made.on.BUS if made.dbus else "", made.dbus): made for made in [*CALLS, *bus_calls()] if made.dbus}  # type: ignore[attr-defined]


def test_methods_of_libvirt_dbus() -> None:
    declared = bus_methods()
    for interface, known in BUS.items():
        for name, (given, answered) in known["methods"].items():
            if (interface, name) in NOT_OURS:
                continue
            made = declared.pop((interface, name))
            out = "" if made.result is None else made.result.dbus
            assert ("".join(kind.dbus for _, kind in made.bus_params), out) == (given, answered), (interface, name)
    assert not declared, "names that libvirt-dbus does not have"


def test_properties_of_libvirt_dbus() -> None:
    readers = {(made.on.BUS, made.prop): made for made in CALLS if made.prop and not made.bus_params}  # type: ignore[attr-defined]
    writers = {(made.on.BUS, made.prop): made for made in CALLS if made.prop and made.bus_params}  # type: ignore[attr-defined]
    fields = {(kind.BUS, name): said for contract in CONTRACTS for kind in (contract, *contract.OBJECTS)  # type: ignore[attr-defined]
              if hasattr(kind, "PROPS") for name, said in kind.PROPS.items()}  # fmt: skip
    for interface, known in BUS.items():
        for name, (kind, access) in known["properties"].items():
            found = readers.pop((interface, name), None)
            signature = fields[interface, name][1] if found is None else found.result and found.result.dbus
            assert signature == kind, (interface, name)
            assert ((interface, name) in writers) == (access == "readwrite"), (interface, name)
    assert not readers


def test_signals_of_libvirt_dbus() -> None:
    declared = {}
    for one in EVENT_LIST:
        if one.dbus:
            kind: Any = one.on
            subject = wire(kind).dbus if one.on_root else ""
            on = "org.libvirt.Connect" if one.on_root else kind.BUS
            declared[on, one.dbus] = subject + "".join(made.dbus for _, made in one.bus_fields)
    known = {(interface, name): given for interface, of in BUS.items() for name, given in of["signals"].items()}
    assert declared == known
