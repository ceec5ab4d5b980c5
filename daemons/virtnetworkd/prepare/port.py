"""Where a port goes: what its network, its port group and its own XML say, put together."""

from collections.abc import Iterable
from uuid import UUID

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, InternalError, InvalidArg, XMLError
from splitvirt.xml.netaddress import parse_mac
from splitvirt.xml.netparts import PortOptions, VirtualPort, VirtualPortParameters
from splitvirt.xml.network import ForwardInterface, Network, PortGroup
from splitvirt.xml.networkport import (
    BridgePlug,
    DirectPlug,
    HostdevPlug,
    NetworkPlug,
    NetworkPort,
    PortAddress,
)

from .forward import ROUTED

PARAMETERS = ("managerid", "typeid", "typeidversion", "instanceid", "interfaceid", "profileid")


def read_port(document: str) -> NetworkPort:
    """The port that a document describes, checked. Raises VirtError."""
    port = NetworkPort.from_xml(document, source="(networkport)")
    for name in ("uuid", "owner_uuid"):
        try:
            setattr(port, name, str(UUID(getattr(port, name).strip())))
        except ValueError:
            raise InternalError(f"Unable to parse UUID '{getattr(port, name)}'", domain=VIR_FROM_NETWORK) from None
    mac = parse_mac(port.mac)
    if mac is None:
        raise InternalError(f"Unable to parse MAC '{port.mac}'", domain=VIR_FROM_NETWORK)
    port.mac = mac
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
                raise XMLError(
                    f"attempt to merge virtualports with mismatched {name}s ('{values[name]}' and '{value}')",
                    domain=VIR_FROM_NETWORK,
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
    kind = port.virtualport.type if port.virtualport else None
    manager = net.bridge.mac_table_manager if net.bridge else None
    if net.mode in ROUTED:
        if kind is not None:
            raise unsupported(port, net, "IP forwarding")
        port.plug = NetworkPlug(bridge=net.bridge_name, mac_table_manager=manager)
    elif net.mode == "hostdev":
        if kind not in (None, "802.1Qbh"):
            raise unsupported(port, net, "an SR-IOV Virtual Function via PCI passthrough")
        port.plug = free_function(net, others)
    elif net.mode == "bridge" and net.bridge_name:
        if kind not in (None, "midonet", "openvswitch"):
            raise unsupported(port, net, "a bridge device")
        port.plug = BridgePlug(bridge=net.bridge_name, mac_table_manager=manager)
    else:
        if kind not in (None, "802.1Qbg", "802.1Qbh"):
            raise unsupported(port, net, "a macvtap device")
        port.plug = free_device(net, port, others)


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
    if not forward.addresses:
        raise InternalError(
            f"network '{net.name}' uses a hostdev mode, but has no forward dev and no interface pool",
            domain=VIR_FROM_NETWORK,
        )
    used = {str(o.plug.address) for o in others if isinstance(o.plug, HostdevPlug)}
    for entry in forward.addresses:
        if str(entry) not in used:
            where = PortAddress(domain=entry.domain, bus=entry.bus, slot=entry.slot, function=entry.function)
            return HostdevPlug(managed=forward.managed, driver=forward.driver, address=where)
    raise exhausted(net)


def exhausted(net: Network) -> InternalError:
    """Every device of the pool is in use."""
    return InternalError(
        f"network '{net.name}' requires exclusive access to interfaces, but none are available",
        domain=VIR_FROM_NETWORK,
    )
