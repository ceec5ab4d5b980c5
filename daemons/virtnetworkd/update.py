"""`net-update`: one entry of a section added, changed or taken out, checked as it would be in a whole document."""

from collections.abc import Callable
from typing import TypeVar

from splitvirt.api import constants as c
from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import OperationInvalid, OperationUnsupported, XMLError
from splitvirt.xml.element import Element
from splitvirt.xml.netaddress import IPV4
from splitvirt.xml.network import (
    Dhcp,
    DhcpHost,
    DhcpRange,
    Dns,
    DnsHost,
    DnsSrv,
    DnsTxt,
    Forward,
    ForwardInterface,
    Network,
    NetworkIP,
    PortGroup,
)
from splitvirt.xml.node import Node, parse_node

from .prepare import dns as dns_checks
from .prepare.ip import block, check_host, check_range, socket_address
from .prepare.portgroup import check_portgroup

E = TypeVar("E", bound=Element)
MODIFY, DELETE = c.VIR_NETWORK_UPDATE_COMMAND_MODIFY, c.VIR_NETWORK_UPDATE_COMMAND_DELETE
LAST, FIRST = c.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, c.VIR_NETWORK_UPDATE_COMMAND_ADD_FIRST

NAMES = {
    c.VIR_NETWORK_SECTION_BRIDGE: "bridge",
    c.VIR_NETWORK_SECTION_DOMAIN: "domain",
    c.VIR_NETWORK_SECTION_IP: "ip",
    c.VIR_NETWORK_SECTION_FORWARD: "forward",
    c.VIR_NETWORK_SECTION_FORWARD_PF: "forward pf",
}


def invalid(text: str) -> OperationInvalid:
    """What the network does not allow as it stands."""
    return OperationInvalid(text, domain=VIR_FROM_NETWORK)


def unsupported(text: str) -> OperationUnsupported:
    """What cannot be updated at all."""
    return OperationUnsupported(text, domain=VIR_FROM_NETWORK)


def update(net: Network, command: int, section: int, index: int, document: str) -> None:
    """Change a network, given as a copy: the caller checks the whole afterwards. Raises VirtError."""
    node = parse_node(document, "network_update_xml")
    if section in NAMES:
        raise unsupported(f"can't update '{NAMES[section]}' section of network '{net.name}'")
    change = SECTIONS.get(section)
    if change is None:
        raise unsupported("can't update unrecognized section of network")
    change(net, command, index, node)


def read(net: Network, kind: type[E], node: Node) -> E:
    """The entry of that kind that a document's root is."""
    if node.tag != kind.TAG:
        raise XMLError(
            f"unexpected element <{node.tag}>, expecting <{kind.TAG}>, while updating network '{net.name}'",
            domain=VIR_FROM_NETWORK,
        )
    return kind.parse(node)


def put(entries: list[E], entry: E, command: int) -> None:
    """Add at the end asked for."""
    entries.insert(0 if command == FIRST else len(entries), entry)


def unknown(command: int) -> OperationUnsupported:
    return unsupported(f"unrecognized network update command code {command}")


# DHCP


def ip_of(net: Network, index: int) -> NetworkIP:
    """The address meant: by number, or the one with DHCP, or the first of IPv4 or else of IPv6."""
    if index >= 0:
        if index >= len(net.ips):
            raise invalid(
                f"couldn't update dhcp host entry - no <ip> element found at index {index} in network '{net.name}'"
            )
        return net.ips[index]
    six = [ip for ip in net.ips if block(ip)[0].family != IPV4]
    four = [ip for ip in net.ips if ip not in six]
    chosen = [ip for ip in four if ip.dhcp] or [ip for ip in six if ip.dhcp] or four or six
    if not chosen:
        raise invalid(f"couldn't update dhcp host entry - no <ip> element found in network '{net.name}'")
    return chosen[0]


def dhcp_of(net: Network, ip: NetworkIP, command: int) -> Dhcp:
    """The address's DHCP part, made if there is none; nothing is added where another of its family has one."""
    family = block(ip)[0].family
    if command in (FIRST, LAST) and any(
        other is not ip and other.dhcp and block(other)[0].family == family for other in net.ips
    ):
        word = "IPv4" if family == IPV4 else "IPv6"
        raise invalid(f"dhcp is supported only for a single {word} address on each network")
    if ip.dhcp is None:
        ip.dhcp = Dhcp()
    return ip.dhcp


def shown(host: DhcpHost) -> tuple[str, str, str]:
    """What messages say of an entry."""
    return host.mac or "unknown", host.name or "(null)", host.ip or ""


def update_host(net: Network, command: int, index: int, node: Node) -> None:
    """An address kept for a client."""
    ip = ip_of(net, index)
    entry = read(net, DhcpHost, node)
    check_host(ip, entry, net.name or "", partial=command == DELETE)
    if entry.ip and command != DELETE and socket_address(entry.ip).family != block(ip)[0].family:
        raise invalid(
            "the address family of a host entry IP must match the address family of the dhcp element's parent"
        )
    dhcp = dhcp_of(net, ip, command)
    if command == MODIFY:
        modify_host(net, dhcp, entry)
    elif command in (FIRST, LAST):
        if any(clashes(entry, old) for old in dhcp.hosts):
            mac, name, where = shown(entry)
            raise invalid(
                f"there is an existing dhcp host entry in network '{net.name}' that matches"
                f" \"<host mac='{mac}' name='{name}' ip='{where}'/>\""
            )
        put(dhcp.hosts, entry, command)
    elif command == DELETE:
        fields = [(f, getattr(entry, f)) for f in ("mac", "name", "ip") if getattr(entry, f)]
        found = [old for old in dhcp.hosts if all(same(f, getattr(old, f), value) for f, value in fields)]
        if not found:
            raise invalid(f"couldn't locate a matching dhcp host entry in network '{net.name}'")
        dhcp.hosts.remove(found[0])
    else:
        raise unknown(command)


def same(field: str, one: str | None, other: str | None) -> bool:
    """Whether two values mean the same; MAC addresses are compared without case."""
    return one is not None and other is not None and (one.lower() == other.lower() if field == "mac" else one == other)


def clashes(entry: DhcpHost, old: DhcpHost) -> bool:
    """Whether two entries are about one client or one address."""
    return any(same(f, getattr(entry, f), getattr(old, f)) for f in ("mac", "name", "ip", "id"))


def modify_host(net: Network, dhcp: Dhcp, entry: DhcpHost) -> None:
    """Replace the entry of the same client."""
    for number, old in enumerate(dhcp.hosts):
        if (
            same("mac", entry.mac, old.mac)
            or (entry.id and entry.id == old.id)
            or (not entry.mac and same("name", entry.name, old.name))
        ):
            dhcp.hosts[number] = entry
            return
    mac, name, where = shown(entry)
    raise invalid(
        f"couldn't locate an existing dhcp host entry with \"mac='{mac}'\" \"name='{name}'\" \"ip='{where}'\""
        f" in network '{net.name}'"
    )


def update_range(net: Network, command: int, index: int, node: Node) -> None:
    """A range of addresses to lend."""
    ip = ip_of(net, index)
    if command == MODIFY:
        raise unsupported("dhcp ranges cannot be modified, only added or deleted")
    entry = read(net, DhcpRange, node)
    check_range(ip, entry, net.name or "")
    dhcp = dhcp_of(net, ip, command)
    found = [old for old in dhcp.ranges if (old.start, old.end) == (entry.start, entry.end)]
    if command in (FIRST, LAST):
        if found:
            raise invalid(
                f"there is an existing dhcp range entry in network '{net.name}' that matches"
                f" \"<range start='{entry.start}' end='{entry.end}'/>\""
            )
        put(dhcp.ranges, entry, command)
    elif command == DELETE:
        if not found:
            raise invalid(f"couldn't locate a matching dhcp range entry in network '{net.name}'")
        dhcp.ranges.remove(found[0])
    else:
        raise unknown(command)


# devices and groups


def update_interface(net: Network, command: int, index: int, node: Node) -> None:
    """A host interface of the pool; the caller sees to it that a deleted one has no ports."""
    if command == MODIFY:
        raise unsupported("forward interface entries cannot be modified, only added or deleted")
    entry = read(net, ForwardInterface, node)
    if entry.dev is None:
        raise XMLError("missing dev attribute in <interface> element", domain=VIR_FROM_NETWORK)
    forward = net.forward or Forward(mode="none")
    found = [old for old in forward.interfaces if old.dev == entry.dev]
    if command in (FIRST, LAST):
        if found:
            raise invalid(
                f"there is an existing interface entry in network '{net.name}' that matches \"<interface"
                f" dev='{entry.dev}'>\""
            )
        put(forward.interfaces, entry, command)
    elif command == DELETE:
        if not found:
            raise invalid(
                f"couldn't find an interface entry in network '{net.name}' matching <interface dev='{entry.dev}'>"
            )
        forward.interfaces.remove(found[0])
    else:
        raise unknown(command)
    forward.dev = forward.interfaces[0].dev if forward.interfaces else None


def update_portgroup(net: Network, command: int, index: int, node: Node) -> None:
    """A port group."""
    entry = read(net, PortGroup, node)
    check_portgroup(entry)
    found = next((n for n, old in enumerate(net.portgroups) if old.name == entry.name), None)
    if found is None and command in (MODIFY, DELETE):
        raise invalid(
            f"couldn't find a portgroup entry in network '{net.name}' matching <portgroup name='{entry.name}'>"
        )
    if found is not None and command in (FIRST, LAST):
        raise invalid(
            f"there is an existing portgroup entry in network '{net.name}' that matches \"<portgroup"
            f" name='{entry.name}'>\""
        )
    other = any(old.default and old.name != entry.name for old in net.portgroups)
    if command != DELETE and entry.default and other:
        raise invalid(
            f"a different portgroup entry in network '{net.name}' is already set as the default."
            " Only one default is allowed."
        )
    if command == MODIFY and found is not None:
        net.portgroups[found] = entry
    elif command in (FIRST, LAST):
        put(net.portgroups, entry, command)
    elif command == DELETE and found is not None:
        del net.portgroups[found]
    else:
        raise unknown(command)


# DNS


def settle(
    net: Network, command: int, kind: str, entries: list[E], entry: E, fits: Callable[[E], bool], clash: str
) -> None:
    """Add a record unless it clashes, or take out the only one that fits."""
    found = [old for old in entries if fits(old)]
    if command in (FIRST, LAST):
        if found:
            raise invalid(clash)
        put(entries, entry, command)
    elif command == DELETE:
        if not found:
            raise invalid(f"couldn't locate a matching DNS {kind} record in network {net.name}")
        if len(found) > 1:
            where = "DNS SRV records matching all specified fields" if kind == "SRV" else f"matching DNS {kind} records"
            raise invalid(f"multiple {where} were found in network {net.name}")
        entries.remove(found[0])
    else:
        raise unknown(command)


def dns_of(net: Network, command: int, kind: str) -> Dns:
    """The network's DNS part, made if there is none."""
    if command == MODIFY:
        raise unsupported(f"DNS {kind} records cannot be modified, only added or deleted")
    if net.dns is None:
        net.dns = Dns()
    return net.dns


def partial(command: int) -> bool:
    """Whether the entry given only picks one."""
    return command not in (FIRST, LAST)


def update_dns_host(net: Network, command: int, index: int, node: Node) -> None:
    """Names of an address."""
    dns = dns_of(net, command, "HOST")
    entry = read(net, DnsHost, node)
    dns_checks.check_host(entry, net.name or "", partial=partial(command))
    adding = command in (FIRST, LAST)

    def fits(old: DnsHost) -> bool:
        if adding:
            return old.ip == entry.ip
        return (entry.ip is not None and old.ip == entry.ip) or bool(set(old.hostnames) & set(entry.hostnames))

    clash = f"there is already at least one DNS HOST record with a matching field in network {net.name}"
    settle(net, command, "HOST", dns.hosts, entry, fits, clash)


def update_dns_txt(net: Network, command: int, index: int, node: Node) -> None:
    """A TXT record."""
    dns = dns_of(net, command, "TXT")
    entry = read(net, DnsTxt, node)
    if entry.name is None:
        dns_checks.check_txt(entry, net.name or "")
    dns_checks.check_txt(entry, net.name or "", partial=partial(command))
    clash = f"there is already a DNS TXT record with name '{entry.name}' in network {net.name}"
    settle(net, command, "TXT", dns.txts, entry, lambda old: old.name == entry.name, clash)


def update_dns_srv(net: Network, command: int, index: int, node: Node) -> None:
    """A SRV record: fields that are not given fit all."""
    dns = dns_of(net, command, "SRV")
    entry = read(net, DnsSrv, node)
    dns_checks.check_srv(entry, net.name or "", partial=partial(command))
    given = [(f, getattr(entry, f)) for f in DnsSrv.FIELDS if getattr(entry, f) is not None]

    def fits(old: DnsSrv) -> bool:
        return all(getattr(old, f) == value for f, value in given)

    clash = f"there is already at least one DNS SRV record matching all specified fields in network {net.name}"
    settle(net, command, "SRV", dns.srvs, entry, fits, clash)


SECTIONS = {
    c.VIR_NETWORK_SECTION_IP_DHCP_HOST: update_host,
    c.VIR_NETWORK_SECTION_IP_DHCP_RANGE: update_range,
    c.VIR_NETWORK_SECTION_FORWARD_INTERFACE: update_interface,
    c.VIR_NETWORK_SECTION_PORTGROUP: update_portgroup,
    c.VIR_NETWORK_SECTION_DNS_HOST: update_dns_host,
    c.VIR_NETWORK_SECTION_DNS_TXT: update_dns_txt,
    c.VIR_NETWORK_SECTION_DNS_SRV: update_dns_srv,
}
