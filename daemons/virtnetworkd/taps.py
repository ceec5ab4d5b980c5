"""Taps plugged into networks: made, joined to the bridge as the port says, limited, and handed over open."""

from splitvirt.api.errors import SystemError_
from splitvirt.host.netlink import Netlink
from splitvirt.host.tap import open_macvtap, open_tap
from splitvirt.xml.network import Network
from splitvirt.xml.networkport import DirectPlug, NetworkPlug, NetworkPort

from . import shaping
from .bridge import failed


def plug(link: Netlink, net: Network, port: NetworkPort, *, queues: int, vnet_hdr: bool) -> tuple[str, list[int]]:
    """A tap on the port's bridge: its name and a descriptor per queue. Raises VirtError; then there is no tap."""
    into = port.plug
    assert isinstance(into, NetworkPlug)
    bridge = link.link(into.bridge or "")
    if bridge is None:
        raise SystemError_(f"Unable to add bridge {into.bridge} port: No such device")
    try:
        device, fds = open_tap(vnet_hdr=vnet_hdr, queues=queues)
    except OSError as error:
        raise failed("Unable to create tap device", error) from error
    try:
        # not the guest's own address: the bridge would answer for it; and high, so that the bridge keeps its own
        link.set(device, mac="fe" + port.mac[2:], mtu=int(net.mtu or bridge.mtu))
        link.set(device, master=into.bridge)
        if port.isolated:
            link.set_port(device, isolated=True)
        if into.mac_table_manager == "libvirt":
            link.set_port(device, learning=False, flood=False)
            link.add_forwarding(device, port.mac)
        link.set(device, up=True)
        shaping.run(shaping.limit_device(device, port.bandwidth), f"cannot set bandwidth limits on {device}")
    except OSError as error:
        link.delete(device)
        raise failed(f"Unable to add bridge {into.bridge} port {device}", error) from error
    except BaseException:
        link.delete(device)
        raise
    return device, fds


def plug_direct(link: Netlink, into: DirectPlug, mac: str, *, queues: int, vnet_hdr: bool) -> tuple[str, list[int]]:
    """A macvtap on the port's host interface. Raises VirtError; then there is none."""
    taken = {entry.name for entry in link.links()}
    name = next(f"macvtap{n}" for n in range(len(taken) + 1) if f"macvtap{n}" not in taken)
    try:
        link.add_macvtap(name, into.dev or "", into.mode or "vepa", mac)
    except OSError as error:
        raise failed(f"cannot create macvtap on {into.dev}", error) from error
    try:
        link.set(name, up=True)
        return name, open_macvtap(name, link.index(name), queues=queues, vnet_hdr=vnet_hdr)
    except OSError as error:
        link.delete(name)
        raise failed(f"cannot open tap device of {name}", error) from error
