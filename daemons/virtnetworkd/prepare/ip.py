"""The network's addresses, what DHCP lends behind them, and its static routes."""

from splitvirt.api.constants import VIR_ERR_SYSTEM_ERROR, VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, InternalError, VirtError, XMLError
from splitvirt.xml.netaddress import (
    IPV4,
    Address,
    check_route,
    is_multicast,
    mask_bits,
    natural_prefix,
    parse_address,
    parse_mac,
)
from splitvirt.xml.network import DhcpHost, DhcpRange, Network, NetworkIP


def wrong(text: str) -> XMLError:
    """An error of the document."""
    return XMLError(text, domain=VIR_FROM_NETWORK)


def refused(text: str) -> ConfigUnsupported:
    """What libvirt cannot do."""
    return ConfigUnsupported(text, domain=VIR_FROM_NETWORK)


def check_ip(ip: NetworkIP, network: str) -> None:
    """An address with its block, and everything inside the element."""
    if ip.address is None:
        raise wrong(f"Missing required address attribute in network '{network}'")
    address = parse_address(ip.address)
    if address is None:
        raise wrong(f"Invalid address '{ip.address}' in network '{network}'")
    mask = parse_address(ip.netmask)
    if ip.netmask is not None and mask is None:
        raise wrong(f"Invalid netmask '{ip.netmask}' in network '{network}'")
    check_family(ip, address, mask, network)
    ip.address, ip.prefix = address.text, ip.prefix or None
    ip.netmask = mask.text if mask else None
    if ip.tftp_root is not None and address.family != IPV4:
        raise refused(f"Unsupported <tftp> element in an IPv6 element in network '{network}'")
    ip.tftp_root = ip.tftp_root or None
    if ip.dhcp is not None:
        check_dhcp(ip, network)


def check_family(ip: NetworkIP, address: Address, mask: Address | None, network: str) -> None:
    """The family that is named, or IPv4, must be the address's."""
    ip.family = ip.family or None
    if ip.family in (None, "ipv4"):
        if address.family != IPV4:
            given = "no" if ip.family is None else "ipv4"
            raise refused(f"{given} family specified for non-IPv4 address '{ip.address}' in network '{network}'")
        if mask is not None and mask.family != IPV4:
            raise refused(
                f"Invalid netmask '{ip.netmask}' for address '{ip.address}' in network '{network}' (both must be IPv4)"
            )
        if mask is not None and ip.prefix:
            raise refused(f"Network '{network}' IP address cannot have both a prefix and a netmask")
        if (ip.prefix or 0) > 32:
            raise refused(f"Invalid IPv4 prefix '{ip.prefix}' in network '{network}'")
    elif ip.family == "ipv6":
        if address.family == IPV4:
            raise refused(f"Family 'ipv6' specified for non-IPv6 address '{ip.address}' in network '{network}'")
        if mask is not None:
            raise refused(f"netmask not allowed for IPv6 address '{ip.address}' in network '{network}'")
        if (ip.prefix or 0) > 128:
            raise refused(f"Invalid IPv6 prefix '{ip.prefix}' in network '{network}'")
    else:
        raise wrong(f"Unrecognized family '{ip.family}' in network '{network}'")


def block(ip: NetworkIP) -> tuple[Address, int]:
    """A checked element's address and prefix; the prefix is -1 where none can be told."""
    address = parse_address(ip.address)
    assert address is not None
    mask = parse_address(ip.netmask)
    return address, ip.prefix or (mask_bits(mask) if mask else natural_prefix(address))


def check_dhcp(ip: NetworkIP, network: str) -> None:
    """Ranges, kept addresses and what to boot. Without ranges and hosts nothing is left of it, as in libvirt."""
    assert ip.dhcp is not None
    for span in ip.dhcp.ranges:
        check_range(ip, span, network)
    for host in ip.dhcp.hosts:
        check_host(ip, host, network)
    told = [bootp for bootp in ip.dhcp.bootps if bootp.file is not None]
    for bootp in told:
        if bootp.server is not None:
            bootp.server = socket_address(bootp.server).text
    ip.dhcp.bootps = told[-1:] if block(ip)[0].family == IPV4 else []
    if not ip.dhcp.ranges and not ip.dhcp.hosts:
        ip.dhcp = None


def socket_address(text: str) -> Address:
    """An address where libvirt has the system's words for anything else."""
    address = parse_address(text)
    if address is None:
        raise VirtError(
            VIR_ERR_SYSTEM_ERROR, VIR_FROM_NETWORK, f"Cannot parse socket address '{text}': Name or service not known"
        )
    return address


def check_range(ip: NetworkIP, span: DhcpRange, network: str) -> None:
    """A range inside the address's block, in order."""
    if span.start is None:
        raise wrong(f"Missing 'start' attribute in dhcp range for network '{network}'")
    start = socket_address(span.start)
    if span.end is None:
        raise wrong(f"Missing 'end' attribute in dhcp range for network '{network}'")
    end = socket_address(span.end)
    address, prefix = block(ip)
    range_size(start, end, address, prefix)
    span.start, span.end = start.text, end.text
    if span.lease is not None and span.lease.expiry is None:
        span.lease = None


def range_size(start: Address, end: Address, inside: Address | None = None, prefix: int = 0) -> int:
    """How many addresses a range has. Raises InternalError, as libvirt does, for one that is none."""
    shown = f"range {start.text} - {end.text}"
    if start.family != end.family:
        raise internal(f"mismatch of address family in {shown}")
    if inside is not None and inside.family != start.family:
        raise internal(f"mismatch of address family in {shown} for network {inside.text}")
    if inside is not None:
        check_inside(start, end, inside, prefix)
    bits = 16  # libvirt compares the others as they stand
    if start.value >> bits != end.value >> bits:
        raise internal(f"{shown} is too large (> 65535)")
    if start.value > end.value:
        raise internal(f"{shown} is reversed " if start.family == IPV4 else f"{shown} start larger than end")
    return end.value - start.value + 1


def check_inside(start: Address, end: Address, inside: Address, prefix: int) -> None:
    """A range lies in the block and holds neither of its special addresses."""
    shown, where = f"range {start.text} - {end.text}", f"network {inside.text}/{prefix}"
    if prefix < 0:
        raise internal(f"bad prefix {prefix} for network {inside.text} when  checking {shown}")
    if not start.within(inside, prefix) or not end.within(inside, prefix):
        raise internal(f"{shown} is not entirely within {where}")
    if inside.family == IPV4:
        if start.value == inside.network(prefix).value:
            raise internal(f"start of {shown} in {where} is the network address")
        if end.value == inside.broadcast(prefix).value:
            raise internal(f"end of {shown} in {where} is the broadcast address")


def internal(text: str) -> InternalError:
    """What libvirt's address arithmetic says."""
    return InternalError(text, domain=VIR_FROM_NETWORK)


def check_host(ip: NetworkIP, host: DhcpHost, network: str, *, partial: bool = False) -> None:
    """A kept address; a `partial` one picks entries to delete and needs only one attribute."""
    address, _ = block(ip)
    if host.mac is not None:
        check_host_mac(host, address, network)
    if host.id is not None:
        bad = next((c for c in host.id if not (c.isascii() and (c in ":" or c in "0123456789abcdefABCDEF"))), None)
        if bad is not None:
            raise wrong(f"Invalid character '{bad}' in id '{host.id}' of network '{network}'")
    if host.name is not None and not (host.name[:1].isascii() and host.name[:1].isalnum()):
        raise wrong(f"Cannot use host name '{host.name}' in network '{network}'")
    if host.ip is not None:
        given = parse_address(host.ip)
        if given is None:
            raise wrong(f"Invalid IP address in static host definition for network '{network}'")
        host.ip = given.text
    check_host_parts(host, address, network, partial=partial)
    if host.lease is not None and host.lease.expiry is None:
        host.lease = None


def check_host_mac(host: DhcpHost, address: Address, network: str) -> None:
    """A client's MAC address, which IPv6 does not go by."""
    assert host.mac is not None
    if address.family != IPV4:
        raise wrong(f"Invalid to specify MAC address '{host.mac}' in network '{network}' IPv6 static host definition")
    mac = parse_mac(host.mac)
    if mac is None:
        raise wrong(f"Cannot parse MAC address '{host.mac}' in network '{network}'")
    if is_multicast(mac):
        raise wrong(f"expected unicast mac address, found multicast '{host.mac}' in network '{network}'")


def check_host_parts(host: DhcpHost, address: Address, network: str, *, partial: bool) -> None:
    """Whether there is enough to know the client and its address by."""
    if partial:
        if host.mac is None and host.name is None and host.ip is None:
            raise wrong(
                "At least one of name, mac, or ip attribute must be specified for static host definition"
                f" in network '{network}' "
            )
        return
    if address.family != IPV4 and host.id is None and host.name is None:
        raise wrong(f"Static host definition in IPv6 network '{network}' must have id or name attribute")
    if address.family == IPV4 and host.mac is None and host.name is None:
        raise wrong(f"Static host definition in IPv4 network '{network}' must have mac or name attribute")
    if host.ip is None:
        raise wrong(f"Missing IP address in static host definition for network '{network}'")


def check_routes(net: Network) -> None:
    """Every route's gateway is on one of the network's blocks."""
    blocks = [block(ip) for ip in net.ips]
    for route in net.routes:
        _, _, gateway = check_route(route, net.name or "")
        if not any(prefix >= 0 and gateway.within(address, prefix) for address, prefix in blocks):
            raise refused(f"unreachable static route gateway '{route.gateway}' specified for network '{net.name}'")
