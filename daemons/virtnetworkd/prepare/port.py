"""Where a port goes: what its network, its port group and its own XML say, put together."""

from collections.abc import Iterable
from uuid import uuid4

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, InternalError, InvalidArg, XMLError
from splitvirt.xml.netaddress import parse_mac
from splitvirt.xml.netparts import PciAddress, PortOptions, VirtualPort, VirtualPortParameters
from splitvirt.xml.network import ForwardInterface, Network, PortGroup
from splitvirt.xml.networkport import (
    BridgePlug,
    DirectPlug,
    HostdevPlug,
    NetworkPlug,
    NetworkPort,
    NoPlug,
)

from .forward import ROUTED

PARAMETERS = ("managerid", "typeid", "typeidversion", "instanceid", "interfaceid", "profileid")


def read_port(document: str) -> NetworkPort:
    """The port that a document describes, checked. Raises VirtError."""
    port = NetworkPort.from_xml(document, source="(networkport_definition)")
    mac = parse_mac(port.mac)
    if mac is None:
        raise InternalError(f"Unable to parse MAC '{port.mac}'", domain=VIR_FROM_NETWORK)
    port.mac = mac
    if isinstance(port.plug, NoPlug):
        port.plug = None
    plug = port.plug
    if isinstance(plug, NetworkPlug) and plug.bridge is None:
        raise XMLError("Missing network port bridge name", domain=VIR_FROM_NETWORK)
    if isinstance(plug, DirectPlug) and plug.dev is None:
        raise XMLError("Missing network port link device name", domain=VIR_FROM_NETWORK)
    if isinstance(plug, HostdevPlug) and plug.address is None:
        raise XMLError("Missing network port PCI address", domain=VIR_FROM_NETWORK)
    return port


def check_reclaim(port: NetworkPort, reclaim: bool) -> None:
    """A port to reclaim says where it was, a new one does not."""
    if reclaim and port.plug is None:
        raise InvalidArg("Port reclaim requested but plug type is none", domain=VIR_FROM_NETWORK)
    if not reclaim and port.plug is not None:
        raise InvalidArg("Port reclaim not requested but plug type is not none", domain=VIR_FROM_NETWORK)


def reclaim_port(net: Network, port: NetworkPort) -> None:
    """Whether a port may be where it says that it was. Raises InternalError."""
    plug, forward = port.plug, net.forward
    if isinstance(plug, NetworkPlug) and not net.bridge_name:
        raise InternalError("Unexpectedly got a network port without a network bridge", domain=VIR_FROM_NETWORK)
    if isinstance(plug, DirectPlug) and plug.dev not in [i.dev for i in (forward.interfaces if forward else [])]:
        raise InternalError(
            f"network '{net.name}' doesn't have dev='{plug.dev}' in use by network port", domain=VIR_FROM_NETWORK
        )
    if isinstance(plug, HostdevPlug) and str(plug.address) not in map(str, forward.addresses if forward else []):
        raise InternalError(
            f"network '{net.name}' doesn't have PCI device {plug.address} in use by network port",
            domain=VIR_FROM_NETWORK,
        )


def group_of(net: Network, name: str | None) -> PortGroup | None:
    """The group of that name; without a name the default one."""
    for group in net.portgroups:
        if group.name == name or (name is None and group.default):
            return group
    return None


def place_port(net: Network, port: NetworkPort, others: Iterable[NetworkPort]) -> None:
    """Fill in what the network decides: limits, VLAN, switch, and the plug. Raises VirtError."""
    group = group_of(net, port.group)
    if port.bandwidth is None and group is not None and group.bandwidth is not None:
        port.bandwidth = group.bandwidth.copy()
    vlan = port.vlan or (group.vlan if group else None) or net.vlan
    port.vlan = vlan.copy() if vlan else None
    for trust in (group.trust_guest_rx_filters if group else None, net.trust_guest_rx_filters):
        if port.trust_guest_rx_filters is None:
            port.trust_guest_rx_filters = trust
    if (port.port is None or port.port.isolated is None) and net.port and net.port.isolated is not None:
        port.port = PortOptions(isolated=net.port.isolated)
    port.virtualport = merge(port.virtualport, group.virtualport if group else None, net.virtualport)
    connect(net, port, list(others))


def merge(*given: VirtualPort | None) -> VirtualPort | None:
    """One virtual port out of several that must not contradict each other."""
    parts = [part for part in given if part is not None]
    if not parts:
        return None
    made = VirtualPort(type=None)
    values: dict[str, object] = {}
    for part in parts:
        if part.type and made.type and part.type != made.type:
            raise XMLError(
                f"attempt to merge virtualports with mismatched types ({made.type} and {part.type})",
                domain=VIR_FROM_NETWORK,
            )
        made.type = made.type or part.type
        for name in PARAMETERS:
            value = getattr(part.parameters, name) if part.parameters else None
            if value is None:
                continue
            if values.setdefault(name, value) != value:
                both = f"'{values[name]}' and '{value}'" if isinstance(value, str) else f"{values[name]} and {value}"
                raise XMLError(
                    f"attempt to merge virtualports with mismatched {name}s ({both})", domain=VIR_FROM_NETWORK
                )
    made.parameters = VirtualPortParameters(**values) if values else None
    return made


def unsupported(port: NetworkPort, net: Network, uses: str) -> ConfigUnsupported:
    """A switch that this kind of network does not go through."""
    kind = port.virtualport.type if port.virtualport else None
    return ConfigUnsupported(
        f"<virtualport type='{kind or 'none'}'> not supported for network '{net.name}' which uses {uses}",
        domain=VIR_FROM_NETWORK,
    )


def connect(net: Network, port: NetworkPort, others: list[NetworkPort]) -> None:
    """Choose the plug."""
    manager = net.bridge.mac_table_manager if net.bridge else None
    if net.mode in ROUTED:
        demand_switch(port, net, "IP forwarding")
        port.plug = NetworkPlug(bridge=net.bridge_name, mac_table_manager=manager)
    elif net.mode == "hostdev":
        port.plug = free_function(net, others)
        demand_switch(port, net, "an SR-IOV Virtual Function via PCI passthrough", "802.1Qbh")
    elif net.mode == "bridge" and net.bridge_name:
        demand_switch(port, net, "a bridge device", "openvswitch")
        port.plug = BridgePlug(bridge=net.bridge_name, mac_table_manager=manager)
    else:
        demand_switch(port, net, "a macvtap device", "802.1Qbg", "802.1Qbh")
        port.plug = free_device(net, port, others)
    complete_switch(port)


NEEDED = {"802.1Qbg": ("managerid", "typeid", "typeidversion"), "802.1Qbh": ("profileid",)}
MADE = {"802.1Qbg": "instanceid", "openvswitch": "interfaceid"}
"""What a switch must be told, and what is made up for it where nobody says."""


def demand_switch(port: NetworkPort, net: Network, uses: str, *known: str) -> None:
    """A port without a switch, or on one of those `known`. Raises VirtError."""
    if port.virtualport is not None and port.virtualport.type not in known:
        raise unsupported(port, net, uses)


def complete_switch(port: NetworkPort) -> None:
    """All that the switch must be told is there, or made up. Raises VirtError."""
    switch = port.virtualport
    if switch is None:
        return
    kind = switch.type or ""
    told = switch.parameters = switch.parameters or VirtualPortParameters()
    for name in NEEDED.get(kind, ()):
        if getattr(told, name) is None:
            raise XMLError(f"missing {name} in <virtualport type='{kind}'>", domain=VIR_FROM_NETWORK)
    if kind in MADE and getattr(told, MADE[kind]) is None:
        setattr(told, MADE[kind], str(uuid4()))


def free_device(net: Network, port: NetworkPort, others: list[NetworkPort]) -> DirectPlug:
    """The host interface with the fewest ports; for passthrough, and for 802.1Qbh in private mode, one with none."""
    pool: list[ForwardInterface] = net.forward.interfaces if net.forward else []
    if not pool:
        raise InternalError(
            f"network '{net.name}' uses a direct mode, but has no forward dev and no interface pool",
            domain=VIR_FROM_NETWORK,
        )
    count = {i.dev: sum(isinstance(o.plug, DirectPlug) and o.plug.dev == i.dev for o in others) for i in pool}
    best = min(pool, key=lambda i: count[i.dev])
    kind = port.virtualport.type if port.virtualport else None
    alone = net.mode == "passthrough" or (net.mode == "private" and kind == "802.1Qbh")
    if alone and count[best.dev]:
        raise exhausted(net)
    return DirectPlug(dev=best.dev, mode=net.mode)


def free_function(net: Network, others: list[NetworkPort]) -> HostdevPlug:
    """A virtual function that no port has."""
    forward = net.forward
    assert forward is not None
    used = {str(o.plug.address) for o in others if isinstance(o.plug, HostdevPlug)}
    for entry in forward.addresses:
        if str(entry) not in used:
            where = PciAddress(domain=entry.domain, bus=entry.bus, slot=entry.slot, function=entry.function)
            return HostdevPlug(managed=forward.managed, driver=forward.driver, address=where)
    raise exhausted(net)


def exhausted(net: Network) -> InternalError:
    """Every device of the pool is in use."""
    return InternalError(
        f"network '{net.name}' requires exclusive access to interfaces, but none are available",
        domain=VIR_FROM_NETWORK,
    )
