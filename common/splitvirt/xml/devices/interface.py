"""`<interface>`: a network card and what it is connected to on the host."""

from typing import Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.address import AnyAddress
from splitvirt.xml.devices.chardev import Reconnect
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import (
    LIVE,
    Element,
    OnOff,
    Positive,
    Unsigned,
    YesNo,
    attr,
    child,
    children,
    text,
)  # fmt: skip
from splitvirt.xml.netparts import Bandwidth, IPAddress, PortOptions, Route, VirtualPort, Vlan

SOCKET = ("type", ("server", "client", "mcast", "udp"))
DEVICE = ("type", ("direct", "vdpa", "user"))
HOSTDEV = ("type", "hostdev")


class Local(Element, tag="local"):
    """Where a udp interface is sent its packets."""

    address: str | None = attr()
    port: Unsigned | None = attr()


class PortRange(Element, tag="range"):
    """Ports `start` to `end` of the host go to the guest's ports from `to`."""

    start: Unsigned = attr()
    end: Unsigned | None = attr()
    to: Unsigned | None = attr()
    exclude: YesNo | None = attr()


class PortForward(Element, tag="portForward"):
    """Ports of the host that passt forwards into the guest."""

    proto: Literal["tcp", "udp"] = attr()
    address: str | None = attr()
    dev: str | None = attr()
    ranges: list[PortRange] = children()


class FilterParameter(Element, tag="parameter"):
    """A value for a variable of the filter."""

    name: str = attr()
    value: str = attr()


class FilterRef(Element, tag="filterref"):
    """A network filter to apply."""

    filter: str = attr()
    parameters: list[FilterParameter] = children()


class InterfaceDriver(VirtioOptions, tag="driver", hide_empty=True):
    """How the card's queues are served and which offloads it offers."""

    name: Literal["qemu", "vhost", "kvm", "vfio", "xen"] | None = attr(order=-1)
    txmode: Literal["iothread", "timer"] | None = attr(order=-1)
    ioeventfd: OnOff | None = attr(order=-1)
    event_idx: OnOff | None = attr(order=-1)
    queues: Positive | None = attr(order=-1)
    rx_queue_size: Unsigned | None = attr(order=-1)
    tx_queue_size: Unsigned | None = attr(order=-1)
    rss: OnOff | None = attr(order=-1)
    rss_hash_report: OnOff | None = attr(order=-1)
    host_csum: OnOff | None = attr("host/@csum")
    host_gso: OnOff | None = attr("host/@gso")
    host_tso4: OnOff | None = attr("host/@tso4")
    host_tso6: OnOff | None = attr("host/@tso6")
    host_ecn: OnOff | None = attr("host/@ecn")
    host_ufo: OnOff | None = attr("host/@ufo")
    host_mrg_rxbuf: OnOff | None = attr("host/@mrg_rxbuf")
    guest_csum: OnOff | None = attr("guest/@csum")
    guest_tso4: OnOff | None = attr("guest/@tso4")
    guest_tso6: OnOff | None = attr("guest/@tso6")
    guest_ecn: OnOff | None = attr("guest/@ecn")
    guest_ufo: OnOff | None = attr("guest/@ufo")


class Interface(Device, tag="interface"):
    """A network card. `ips` and `routes` are the guest's side, `source_ips` and `source_routes` the host's."""

    type: Literal[
        "user", "ethernet", "vhostuser", "server", "client", "mcast", "network", "bridge", "internal", "direct",
        "hostdev", "udp", "vdpa", "null", "vds",
    ] = attr(missing=lambda: XMLError("Missing required attribute 'type' in element 'interface'"))  # fmt: skip
    managed: YesNo | None = attr(when="hostdev", omit=False)
    trust_guest_rx_filters: YesNo | None = attr("@trustGuestRxFilters")
    mac: str | None = attr("mac/@address")
    mac_type: Literal["generated", "static"] | None = attr("mac/@type")
    mac_check: YesNo | None = attr("mac/@check")
    hostdev_driver: Literal["kvm", "vfio", "xen"] | None = attr("driver/@name", when="hostdev")
    source_type: Literal["unix"] | None = attr("source/@type", when="vhostuser")
    path: str | None = attr("source/@path", when="vhostuser")
    network: str | None = attr("source/@network", when="network")
    portgroup: str | None = attr("source/@portgroup", when="network")
    portid: str | None = attr("source/@portid", when="network", mode=LIVE)
    bridge: str | None = attr("source/@bridge", when=("type", ("bridge", "network")))
    source_name: str | None = attr("source/@name", when="internal")
    source_dev: str | None = attr("source/@dev", when=DEVICE)
    mode: str | None = attr("source/@mode", when=("type", ("direct", "vhostuser")))
    source_address: str | None = attr("source/@address", when=SOCKET)
    source_port: Unsigned | None = attr("source/@port", when=SOCKET)
    switchid: str | None = attr("source/@switchid", when="vds")
    vds_portid: int | None = attr("source/@portid", when="vds")
    portgroupid: str | None = attr("source/@portgroupid", when="vds")
    connectionid: int | None = attr("source/@connectionid", when="vds")
    host_address: AnyAddress | None = child("source/", when="hostdev")
    local: Local | None = child("source/", when=SOCKET)
    reconnect: Reconnect | None = child("source/", when="vhostuser")
    source_ips: list[IPAddress] = children("source/")
    source_routes: list[Route] = children("source/")
    ips: list[IPAddress] = children()
    routes: list[Route] = children()
    port_forwards: list[PortForward] = children()
    vlan: Vlan | None = child()
    virtualport: VirtualPort | None = child()
    bandwidth: Bandwidth | None = child()
    port: PortOptions | None = child()
    script: str | None = attr("script/@path")
    downscript: str | None = attr("downscript/@path")
    backenddomain: str | None = attr("backenddomain/@name")
    target_dev: str | None = attr("target/@dev")
    target_managed: YesNo | None = attr("target/@managed")
    guest_dev: str | None = attr("guest/@dev")
    guest_actual: str | None = attr("guest/@actual", mode=LIVE)
    model: str | None = attr("model/@type")
    driver: InterfaceDriver | None = child(when="!hostdev")
    backend_type: Literal["default", "passt"] | None = attr("backend/@type", omit="default")
    tap: str | None = attr("backend/@tap")
    vhost: str | None = attr("backend/@vhost")
    log_file: str | None = attr("backend/@logFile")
    filterref: FilterRef | None = child()
    sndbuf: Unsigned | None = text("tune/sndbuf")
    teaming_type: Literal["persistent", "transient"] | None = attr("teaming/@type")
    teaming_persistent: str | None = attr("teaming/@persistent")
    link: Literal["up", "down"] | None = attr("link/@state")
    mtu: Unsigned | None = attr("mtu/@size")
    coalesce_frames: Unsigned | None = attr("coalesce/rx/frames/@max")
