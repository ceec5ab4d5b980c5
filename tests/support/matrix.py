"""The permission matrix of a daemon, from the declarations: what each front end offers, and how to ask for everything.

A call that is declared tomorrow is in it by itself. What cannot be had is in a table, by name and with the reason.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from splitvirt.api.call import Call, calls
from splitvirt.api.domain import Domain
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.lease import NetworkPorts
from splitvirt.api.network import Network, Networks, Port
from splitvirt.api.opaque import Bitmap, FdWire, Opaque
from splitvirt.api.params import Params
from splitvirt.api.record import ObjectWire
from splitvirt.api.wire import Boolean, Many, Number, Optional, Pairs, String, UuidWire, Wire
from splitvirt.daemon.report import Report
from splitvirt.rpc.events import FAMILIES


class Place(NamedTuple):
    """A daemon: its contracts (the first is what its sockets have, the others are on the bus alone), where it is."""

    contracts: tuple[type, ...]
    uri: str
    path: str
    driver: str
    family: str


PLACES = {
    "virtqemud": Place((Hypervisor, Report), "qemu:///system", "/org/libvirt/QEMU", "QEMU", "domain"),
    "virtnetworkd": Place(
        (Networks, NetworkPorts, Report), "network:///system", "/org/libvirt/Network", "network", "network"
    ),
}
FRONTS = ("socket", "bus")

OPEN = {
    "*.is_secure": "tells about the connection that asks, and libvirt asks nothing either",
    "NetworkPorts.take": "org.splitvirt.network-port.take is asked for on the network, see test_lent_ports",
    "NetworkPorts.release": "whoever took a port may give it back",
    "NetworkPorts.hand_over": "whoever took a port may hand it over",
    "NetworkPorts.holdings": "everybody sees their own",
}
"""Calls that need no declared permission."""

_NONE = "what it acts on is looked for first, and this version makes none"
UNREACHED = {
    "Snapshot.*": _NONE,
    "Checkpoint.*": _NONE,
}
"""Calls whose access check cannot be reached from outside."""

UNOFFERED = {
    "interface": "no daemon serves Interfaces yet",
    "node_device": "no daemon serves NodeDevices yet",
    "nwfilter": "no daemon serves NWFilters yet",
    "nwfilter_binding": "no daemon serves NWFilters yet",
    "secret": "no daemon serves Secrets yet",
    "storage_pool": "no daemon serves Storage yet",
    "storage_vol": "no daemon serves Storage yet",
    "connect:interface_transaction": "no daemon serves Interfaces yet",
    "connect:detect_storage_pools": "no daemon serves Storage yet",
    "connect:search_interfaces": "no daemon serves Interfaces yet",
    "connect:search_node_devices": "no daemon serves NodeDevices yet",
    "connect:search_nwfilter_bindings": "no daemon serves NWFilters yet",
    "connect:search_nwfilters": "no daemon serves NWFilters yet",
    "connect:search_secrets": "no daemon serves Secrets yet",
    "connect:search_storage_pools": "no daemon serves Storage yet",
}
"""Declared permissions, alone or by their kind, that no call of any daemon needs."""

_NO_METHOD = "libvirt-dbus has no method that needs it"
_NO_PORTS = "ports on the bus are NetworkPort1's, which decides by itself"
SOCKET_ONLY = dict.fromkeys(
    ("connect:pm_control", "domain:checkpoint", "domain:open_device", "domain:open_namespace", "domain:screenshot"),
    _NO_METHOD,
) | {
    "network:search_ports": _NO_PORTS,
    "network_port": _NO_PORTS,
}
"""Permissions that no call on the bus needs."""


class Row(NamedTuple):
    """One way of making one call: with what values, and which permissions it then needs."""

    name: str
    contract: type
    call: Call
    values: list[Any]
    needs: tuple[str, ...]


def entry(table: dict[str, str], permission: str) -> str:
    """The entry of a table that a permission falls under: itself, or its kind."""
    return permission if permission in table else permission.partition(":")[0]


def known(table: dict[str, str], name: str) -> bool:
    """Whether a call ("Domain.create") is in a table, by its name, its class or its method."""
    on, _, method = name.partition(".")
    return not {name, f"{on}.*", f"*.{method.partition(' ')[0]}"}.isdisjoint(table)


def offered(daemon: str, front: str) -> Iterator[tuple[type, Call]]:
    """Every call of a daemon on a front end; on the socket with the older procedures of it."""
    contracts = PLACES[daemon].contracts
    for contract in contracts if front == "bus" else contracts[:1]:
        for call in calls(contract):
            if front == "bus" and (call.dbus or call.prop):
                yield contract, call
            elif front == "socket" and call.rpc:
                yield contract, call
                yield from ((contract, older) for older in call.older)


def name_of(call: Call) -> str:
    """A call by its class and method; an older procedure by its number as well."""
    return f"{call.on.__name__}.{call.name}" + (f" ({call.rpc})" if call.fixed else "")


def permissions(daemon: str, front: str) -> set[str]:
    """Every permission that the calls of a front end need or filter by."""
    found = {rule.name for _, call in offered(daemon, front) for rule in call.rules if rule.kind != "none"}
    return found | {call.filter for _, call in offered(daemon, front)} - {""}


class Things(NamedTuple):
    """What calls can be about, as their clients name it: the values of the attributes of each kind of object."""

    objects: dict[type, dict[str, Any]]
    active: dict[str, Any]

    def sample(self, call: Call, name: str, wire: Wire) -> Any:
        """Some value of a parameter; of lookups one that is there. Flags are all set: the driver refuses that."""
        if isinstance(wire, ObjectWire):
            return wire.kind
        if call.finds and isinstance(call.result, ObjectWire) and name in ("name", "uuid", "id"):
            return (self.active if name == "id" else self.objects.get(call.result.kind, {})).get(name)
        if isinstance(wire, FdWire):
            return [0] if wire.many else 0
        if isinstance(wire, Number):
            return int(wire.high) if name == "flags" and not call.filter else 0
        if name == "cpumap" and isinstance(wire, String):
            return "0"
        fixed: dict[type, Any] = {Optional: None, UuidWire: UUID(int=1), Opaque: b"", Params: [], Many: [], Pairs: {}}
        fixed |= {Bitmap: [True], Boolean: False}
        return next((value for kind, value in fixed.items() if isinstance(wire, kind)), "x")


def rows(daemon: str, front: str, things: Things) -> list[Row]:
    """Every way in which a call of a front end needs other permissions, each once."""
    found: dict[tuple[str, tuple[str, ...]], Row] = {}
    for contract, call in offered(daemon, front):
        for values in _variants(call, front, things):
            needs = tuple(sorted({rule.name for rule in call.rules if rule.kind != "none" and rule.applies(values)}))
            found.setdefault((name_of(call), needs), Row(name_of(call), contract, call, values, needs))
    return list(found.values())


def _variants(call: Call, front: str, things: Things) -> Iterator[list[Any]]:
    """The values of a call's parameters, such that each of its rules applies once; harmless ones first."""
    base = {name: things.sample(call, name, wire) for name, wire in call.params}
    base |= {name: call.defaults[name] for name in call.off_bus if front == "bus"} | call.fixed
    yield list(base.values())
    for rule in call.rules:
        at = rule.param or "flags"
        if rule.at < 0 or at in call.fixed or (front == "bus" and at in call.off_bus):
            continue
        yield list((base | {at: rule.value if rule.param else 0 if rule.negated else rule.mask}).values())


EVENTS = {daemon: (FAMILIES[place.family][0], FAMILIES[place.family][2]) for daemon, place in PLACES.items()}
"""The procedure that registers for a daemon's events, and the permission that it needs."""
LAST = ("create", "shutdown", "destroy", "undefine", "delete", "rename")
"""Calls that would change what the others are about, in the order in which they are made: at the end."""
KINDS = (Domain, Network, Port)
