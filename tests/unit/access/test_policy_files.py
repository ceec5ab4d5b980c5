"""What the bus lets through is what the daemons offer, to the interface, and root alone has their names."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.matrix import PLACES

from splitvirt.dbus import names
from splitvirt.dbus.table import interfaces_of

POLICY = Path(__file__).parents[3] / "policy/dbus"
ALWAYS = {names.INTROSPECTABLE, names.PROPERTIES, names.MANAGER, names.PEER}


@pytest.mark.parametrize("daemon", list(PLACES))
def test_the_bus_lets_through_what_is_offered_and_nothing_else(daemon: str) -> None:
    top = ElementTree.parse(POLICY / f"org.splitvirt.{daemon}.conf").getroot()
    offered = {one.name for contract in PLACES[daemon].contracts for one in interfaces_of(contract)}
    rules = [dict(rule.attrib) for rule in top.findall("policy[@context='default']/allow")]
    to = {"send_destination": f"org.splitvirt.{daemon}"}
    assert sorted(map(repr, rules)) == sorted(repr(to | {"send_interface": one}) for one in ALWAYS | offered)
    owned = [dict(rule.attrib) for rule in top.findall("policy[@user='root']/allow")]
    assert owned == [{"own": f"org.splitvirt.{daemon}"}, {"own": "org.libvirt"}]
    assert len(top.findall("policy")) == 2


def test_every_daemon_has_a_policy() -> None:
    assert {path.stem.removeprefix("org.splitvirt.") for path in POLICY.glob("*.conf")} == set(PLACES)
