"""From a parsed network to one that can be kept: meaning checked, addresses spelled, defaults filled in.

`read` is for everything that comes in as a document; `place` fills in what depends on the host and on the other
networks (bridge name, MAC), and refuses what they cannot have here. Both raise VirtError in the words of libvirt.
"""

from collections.abc import Callable
from uuid import uuid4

from splitvirt.api.constants import VIR_ERR_NO_NAME, VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError, VirtError, XMLDetail, XMLError
from splitvirt.xml.forms import WrongValue
from splitvirt.xml.netaddress import IPV4, at, is_multicast, parse_address, parse_mac
from splitvirt.xml.netparts import VirtualPort, read_uuid
from splitvirt.xml.network import DhcpRange, Network, NetworkIP
from splitvirt.xml.units import unsigned

from .dns import check_dns
from .forward import check_forward, check_mode
from .ip import check_ip, check_routes
from .portgroup import check_bandwidth, check_portgroup

__all__ = ["check", "read"]

XMLNS_DNSMASQ = "http://libvirt.org/schemas/network/dnsmasq/1.0"


NAME_MAX = 240
"""Bytes of a network's name: files named after it ("NAME.addnhosts", quoted as XML) have names of at most 255."""


Choose = Callable[[int], tuple[str, int]]
"""Finds a free block for a family (4 or 6): the gateway's address and the prefix."""


def read(document: str, choose: Choose | None = None) -> Network:
    """The network that a document defines, checked. `choose` serves `<ip address='auto'/>`. Raises VirtError."""
    net = Network.from_xml(document, source="(network_definition)")
    if choose is not None:
        for ip in net.ips:
            if ip.address == "auto":
                choose_block(ip, choose)
    check(net)
    return net


def choose_block(ip: NetworkIP, choose: Choose) -> None:
    """Give an address that is "auto" a free block; an empty `<dhcp/>` then lends all of it."""
    address, prefix = choose(6 if ip.family == "ipv6" else 4)
    ip.address, ip.prefix, ip.netmask = address, prefix, None
    gateway = parse_address(address)
    if gateway is not None and ip.dhcp is not None and not ip.dhcp.ranges:
        first = at(gateway.family, gateway.value + 1).text
        last = gateway.broadcast(prefix).value - 1 if gateway.family == IPV4 else gateway.value + 0xFFFE
        ip.dhcp.ranges.append(DhcpRange(start=first, end=at(gateway.family, last).text))


def check(net: Network) -> None:
    """Check what the document says and spell it as libvirt does, in place. Raises VirtError."""
    check_identity(net)
    if net.ipv6 not in (None, "yes", "no"):
        raise xml_error(f"Invalid ipv6 setting '{net.ipv6}' in network '{net.name}'")
    if net.domain is not None and net.domain.name is None:
        net.domain = None
    net.bandwidth = check_bandwidth(net.bandwidth)
    check_bridge(net)
    check_mac(net)
    check_mtu(net)
    if net.dns is not None:
        check_dns(net.dns, net.name or "")
    check_virtualport(net.virtualport)
    for group in net.portgroups:
        check_portgroup(group)
    for ip in net.ips:
        check_ip(ip, net.name or "")
    check_routes(net)
    check_forward(net)
    check_mode(net)
    check_options(net)


def xml_error(detail: str) -> XMLError:
    """An error of the document, from the network driver."""
    return XMLError(detail, domain=VIR_FROM_NETWORK)


def check_identity(net: Network) -> None:
    """The name, and the UUID, made up where there is none."""
    if not net.name:
        raise VirtError(VIR_ERR_NO_NAME, VIR_FROM_NETWORK, "missing name information")
    for bad in net.name:
        if bad == "/" or (bad < " " and bad != "\t"):
            raise XMLDetail(f"invalid char in name: {bad}", domain=VIR_FROM_NETWORK)
    if len(net.name.encode()) + 5 * sum(c in "&<>\"'" for c in net.name) > NAME_MAX:
        raise XMLDetail(f"name '{net.name[:20]}...' is longer than {NAME_MAX} bytes", domain=VIR_FROM_NETWORK)
    try:
        net.uuid = read_uuid(net.uuid) if net.uuid else str(uuid4())
    except WrongValue:
        raise InternalError("malformed uuid element", domain=VIR_FROM_NETWORK) from None


def check_bridge(net: Network) -> None:
    """The bridge's options."""
    bridge = net.bridge
    if bridge is None:
        return
    bridge.name, bridge.zone = bridge.name or None, bridge.zone or None
    if bridge.delay is not None:
        delay = unsigned(bridge.delay)
        if delay is None or delay >= 1 << 64:
            raise xml_error(f"Invalid delay value in network '{net.name}'")
        bridge.delay = str(delay)
    if bridge.mac_table_manager not in (None, "kernel", "libvirt"):
        raise xml_error(f"Invalid macTableManager setting '{bridge.mac_table_manager}' in network '{net.name}'")


def check_mac(net: Network) -> None:
    """The bridge's address."""
    if not net.mac:
        net.mac = None
        return
    mac = parse_mac(net.mac)
    if mac is None:
        raise xml_error(f"Invalid bridge mac address '{net.mac}' in network '{net.name}'")
    if is_multicast(mac):
        raise xml_error(f"Invalid multicast bridge mac address '{net.mac}' in network '{net.name}'")
    net.mac = mac


def check_mtu(net: Network) -> None:
    """The bridge's MTU; C's strtoul takes a sign, so -1 is the largest number."""
    if net.mtu is None:
        return
    minus = net.mtu.lstrip().startswith("-")
    size = unsigned(net.mtu.lstrip().removeprefix("-") if minus else net.mtu)
    if size is None or size >= 1 << 32:
        raise xml_error(f"Invalid mtu size '{net.mtu}' in network '{net.name}'")
    size = -size & 0xFFFFFFFF if minus else size
    net.mtu = str(size) if size else None


def check_virtualport(port: VirtualPort | None) -> None:
    """A whole network's virtual port names its kind; a port group's need not."""
    if port is not None and port.type is None:
        raise xml_error("missing required virtualport type")


def check_options(net: Network) -> None:
    """The lines for dnsmasq, and the namespace that goes with them."""
    options = net.dnsmasq.options if net.dnsmasq else []
    if any(option.value is None for option in options):
        raise InternalError("No dnsmasq options value specified", domain=VIR_FROM_NETWORK)
    net.xmlns_dnsmasq = XMLNS_DNSMASQ if options else None
