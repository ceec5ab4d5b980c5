"""A network's bridge on the host: made, told its addresses and routes, and taken away; found again after a restart."""

import errno
import logging
import os

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError, SystemError_
from splitvirt.host import sysctl
from splitvirt.host.netlink import Link, Netlink
from splitvirt.xml.netaddress import IPV4, check_route
from splitvirt.xml.network import Network

from .prepare.ip import block

log = logging.getLogger(__name__)


def failed(what: str, error: OSError) -> SystemError_:
    """The system's refusal in libvirt's form: what was tried, and its words."""
    return SystemError_(f"{what}: {error.strerror or error}", domain=VIR_FROM_NETWORK)


def make(link: Netlink, net: Network) -> None:
    """Make the bridge and bring it up. Raises VirtError; what was made is then gone again."""
    name = net.bridge_name or ""
    bridge = net.bridge
    assert bridge is not None
    try:
        if link.link(name) is not None:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        link.add_bridge(name, mac=net.mac, stp=bool(bridge.stp), delay=int(bridge.delay or 0))
    except OSError as error:
        raise failed(f"error creating bridge interface {name}", error) from error
    try:
        configure(link, net)
    except BaseException:
        link.delete(name)
        raise


def configure(link: Netlink, net: Network) -> None:
    """Addresses, MTU and the kernel's own IPv6 ways."""
    name = net.bridge_name or ""
    six = any(block(ip)[0].family != IPV4 for ip in net.ips)
    quiet(name, "disable_ipv6", "0" if six or net.ipv6 == "yes" else "1")
    quiet(name, "accept_ra", "0")
    quiet(name, "autoconf", "0")
    doing = f"Cannot set interface MTU on '{name}'"
    try:
        if net.mtu:
            link.set(name, mtu=int(net.mtu))
        for ip in net.ips:
            address, prefix = block(ip)
            if prefix < 0:
                raise InternalError(f"bridge '{name}' has an invalid netmask or IP address", domain=VIR_FROM_NETWORK)
            broadcast = address.broadcast(prefix).text if address.family == IPV4 and prefix < 31 else ""
            shown = f"{address.text}/{prefix}" + (f" bcast {broadcast}" if broadcast else "")
            doing = f"Failed to add IP address {shown} to {name}"
            link.add_address(name, address.family, address.text.partition("%")[0], prefix, broadcast)
        doing = f"Cannot bring bridge {name} up"
        link.set(name, up=True)
    except OSError as error:
        raise failed(doing, error) from error


def add_routes(link: Netlink, net: Network) -> None:
    """The network's static routes. Raises VirtError."""
    added = set()
    for route in net.routes:
        address, prefix, gateway = check_route(route, net.name or "")
        known = (address.text, prefix, gateway.text, route.metric)
        if known in added:
            continue
        added.add(known)
        try:
            link.add_route(net.bridge_name or "", address.family, address.text, prefix, gateway.text, route.metric or 0)
        except OSError as error:
            raise failed(f"Error adding route to {address.text}/{prefix} via {gateway.text}", error) from error


def quiet(name: str, setting: str, value: str) -> None:
    """Set one of the bridge's IPv6 settings, where the kernel has IPv6."""
    path = f"ipv6/conf/{name.replace('.', '/') if '/' in name else name}/{setting}"
    try:
        if sysctl.read(path) is not None:
            sysctl.write(path, value)
    except OSError as error:
        log.debug("cannot set %s: %s", path, error)


def found(link: Netlink, net: Network) -> Link | None:
    """The network's bridge, if it is there and ours: a bridge with the network's own MAC address."""
    there = link.link(net.bridge_name or "")
    if there is None or there.kind != "bridge" or (net.mac and there.mac != net.mac):
        return None
    return there


def unmake(link: Netlink, net: Network) -> None:
    """Take the bridge away, if it is ours. Raises VirtError."""
    if found(link, net) is None:
        return
    try:
        link.delete(net.bridge_name or "")
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise failed(f"Unable to delete bridge {net.bridge_name}", error) from error
