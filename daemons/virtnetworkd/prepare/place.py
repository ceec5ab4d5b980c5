"""What a network needs of this host: a bridge name, a MAC, and only what its mode can have here."""

import random
from collections.abc import Callable, Collection
from pathlib import Path

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.netaddress import IPV4
from splitvirt.xml.netparts import VirtualPort
from splitvirt.xml.network import Network, PortGroup

from .forward import ROUTED
from .ip import block

BRIDGE_MAX = 256


def refused(text: str) -> ConfigUnsupported:
    """What this driver cannot do."""
    return ConfigUnsupported(text, domain=VIR_FROM_NETWORK)


def place(net: Network, taken: Collection[str], devices: Callable[[], Collection[str]] = tuple) -> None:
    """Fill in what the document leaves to us. Raises VirtError.

    `taken` are the bridges of other networks, `devices` tells the host's interfaces, whose names a new bridge avoids.
    """
    if net.mode in ROUTED:
        name_bridge(net, taken, devices)
        net.mac = net.mac or random_mac()
    else:
        check_foreign(net)
    check_pool(net)
    check_dhcp_count(net)
    check_groups(net)
    check_vlans(net)


def random_mac() -> str:
    """An address of the range that QEMU and libvirt use."""
    return "52:54:00:" + ":".join(f"{random.randrange(256):02x}" for _ in range(3))


def name_bridge(net: Network, taken: Collection[str], devices: Callable[[], Collection[str]]) -> None:
    """Refuse another network's bridge; make a name from a pattern, or "virbr%d"."""
    bridge = net.bridge
    assert bridge is not None
    if bridge.name and "%d" not in bridge.name:
        if bridge.name in taken:
            raise InternalError(f"bridge name '{bridge.name}' already in use.", domain=VIR_FROM_NETWORK)
        return
    pattern = bridge.name if bridge.name and bridge.name.count("%") == 1 else "virbr%d"
    there = devices()
    for number in range(BRIDGE_MAX + 1):
        name = pattern.replace("%d", str(number))
        if name not in taken and name not in there:
            bridge.name = name
            return
    raise InternalError(f"Bridge generation exceeded max id {BRIDGE_MAX}", domain=VIR_FROM_NETWORK)


def check_foreign(net: Network) -> None:
    """On a bridge or device of the host's, addresses and services are the host's own."""
    has_dns = net.dns is not None and bool(net.dns.txts or net.dns.hosts or net.dns.srvs)
    for part, there in (("mac", net.mac), ("ip", net.ips), ("dns", has_dns), ("domain", net.domain)):
        if there:
            raise refused(f"Unsupported <{part}> element in network {net.name} with forward mode='{net.mode}'")
    if net.bandwidth is not None:
        raise refused(
            f"Unsupported network-wide <bandwidth> element in network {net.name} with forward mode='{net.mode}'"
        )


def check_pool(net: Network) -> None:
    """Host devices go by PCI address, everything else by name."""
    forward = net.forward
    if forward is None:
        return
    if forward.interfaces and forward.pfs:  # libvirt keeps the interfaces
        forward.pfs = []
    if net.mode == "hostdev":
        for interface in forward.interfaces:
            raise refused(
                f"hostdev network '{net.name}' lists '{interface.dev}' in the device pool, but hostdev networks"
                " require all devices to be listed by PCI address, not network device name"
            )
        for address in forward.addresses:
            path = Path("/sys/bus/pci/devices") / str(address)
            if not (path / "physfn").exists():
                raise refused(f"device '{path}' in network '{net.name}' is not an SR-IOV Virtual Function")
    elif forward.addresses:
        raise refused(
            f"network '{net.name}' has forward mode '{net.mode}'  but lists a device by PCI address in the device"
            " pool. This is only supported for networks with forward mode 'hostdev'"
        )


def check_dhcp_count(net: Network) -> None:
    """dnsmasq serves one block of each family."""
    families = [block(ip)[0].family for ip in net.ips if ip.dhcp and (ip.dhcp.ranges or ip.dhcp.hosts)]
    for family in (4, 6):
        if families.count(family) > 1:
            word = "IPv4" if family == IPV4 else "IPv6"
            raise refused(
                f"Multiple {word} dhcp sections found -- dhcp is supported only for a single {word} address"
                " on each network"
            )


def check_groups(net: Network) -> None:
    """Names of groups are unique, and one at most is the default."""
    default: PortGroup | None = None
    seen: set[str | None] = set()
    for group in net.portgroups:
        if group.default:
            if default is not None:
                raise refused(
                    f"network '{net.name}' has multiple default <portgroup> elements ({default.name} and {group.name}),"
                    " but only one default is allowed"
                )
            default = group
        if group.name in seen:
            raise refused(f"multiple <portgroup> elements with the same name ({group.name}) in network '{net.name}'")
        seen.add(group.name)
    limited = net.mode in ROUTED or (net.mode == "bridge" and bool(net.bridge_name))
    for group in net.portgroups:
        if group.bandwidth is not None and not limited:
            raise refused(
                f"Unsupported <bandwidth> element in network '{net.name}' in portgroup '{group.name}'"
                f" with forward mode='{net.mode}'"
            )


def check_vlans(net: Network) -> None:
    """VLANs are for Open vSwitch and for devices handed over whole; a group's own switch counts for the group."""
    whole = net.mode in ("hostdev", "passthrough")
    plain = whole or switched(net, net.virtualport)
    allowed = plain or net.vlan is None
    for group in net.portgroups:
        if net.vlan is not None or group.vlan is not None:
            allowed = allowed and (switched(net, group.virtualport) if group.virtualport else plain)
    if not allowed:
        raise refused(f"<vlan> element specified for network {net.name}, whose type doesn't support vlan configuration")


def switched(net: Network, port: VirtualPort | None) -> bool:
    """Whether it leads to an Open vSwitch."""
    return net.mode == "bridge" and port is not None and port.type == "openvswitch"
