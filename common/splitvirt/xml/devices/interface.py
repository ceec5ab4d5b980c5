"""`<interface>`: a network card and what it is connected to on the host."""

import re
from typing import Annotated, Literal

from splitvirt.api.errors import ConfigUnsupported, InvalidArg, VirtError, XMLDetail, XMLError
from splitvirt.xml.address import AnyAddress
from splitvirt.xml.devices.chardev import Reconnect
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import (
    LIVE,
    Element,
    Form,
    Node,
    OnOff,
    Signed,
    Unsigned,
    WrongValue,
    YesNo,
    attr,
    child,
    children,
    text,
)  # fmt: skip
from splitvirt.xml.netaddress import check_route
from splitvirt.xml.netparts import Bandwidth, IPAddress, PortOptions, Route, VirtualPort, Vlan

SOCKET = ("type", ("server", "client", "mcast", "udp"))
DEVICE = ("type", ("direct", "vdpa", "user"))
NEEDS_SOURCE = frozenset({"network", "bridge", "vhostuser", "direct", "internal", "vdpa", "vds"}) | set(SOCKET[1])


def read_mac(raw: str) -> str:
    """Six bytes in hexadecimal, of one machine."""
    parts = raw.split(":")
    if len(parts) != 6 or any(not re.fullmatch("[0-9a-fA-F]{1,2}", p) for p in parts):
        raise WrongValue
    if int(parts[0], 16) & 1:
        raise WrongValue
    return ":".join(f"{int(p, 16):02x}" for p in parts)


def bad_mac(raw: str) -> VirtError:
    if re.fullmatch("[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", raw):
        return XMLError(f"expected unicast mac address, found multicast '{raw}'")
    return XMLError(f"unable to parse mac address '{raw}'")


Mac = Annotated[str, Form(read_mac, str)]


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

    name: str | None = attr()
    value: str | None = attr()

    @property
    def good(self) -> bool:
        """Whether it gives a value to a variable that may be."""
        return bool(self.value) and re.fullmatch("[A-Za-z0-9_]+", self.name or "") is not None


class FilterRef(Element, tag="filterref"):
    """A network filter to apply."""

    filter: str | None = attr()
    parameters: list[FilterParameter] = children()

    def check(self, node: Node) -> None:
        """Only parameters that mean something, by name, as libvirt keeps them."""
        self.parameters = sorted((p for p in self.parameters if p.good), key=lambda p: p.name or "")


class InterfaceDriver(VirtioOptions, tag="driver", hide_empty=True):
    """How the card's queues are served and which offloads it offers."""

    name: Literal["qemu", "vhost", "kvm", "vfio", "xen"] | None = attr(order=-1)
    txmode: Literal["iothread", "timer"] | None = attr(order=-1)
    ioeventfd: OnOff | None = attr(order=-1)
    event_idx: OnOff | None = attr(order=-1)
    queues: Unsigned | None = attr(order=-1, omit=0)
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
    ] = attr(default="user")  # fmt: skip
    managed: YesNo | None = attr(when="hostdev", omit=False)
    trust_guest_rx_filters: YesNo | None = attr("@trustGuestRxFilters")
    mac: Mac | None = attr("mac/@address", wrong=bad_mac)
    mac_type: Literal["generated", "static"] | None = attr("mac/@type")
    mac_check: YesNo | None = attr("mac/@check")
    hostdev_driver: Literal["kvm", "vfio", "xen"] | None = attr("driver/@name", when="hostdev")
    source_type: Literal["unix"] | None = attr(
        "source/@type",
        when="vhostuser",
        wrong=lambda raw: ConfigUnsupported(f"Type='{raw}' unsupported for <interface type='vhostuser'>"),
    )
    path: str | None = attr("source/@path", when="vhostuser")
    network: str | None = attr("source/@network", when="network")
    portgroup: str | None = attr("source/@portgroup", when="network")
    portid: str | None = attr("source/@portid", when="network", mode=LIVE)
    bridge: str | None = attr("source/@bridge", when=("type", ("bridge", "network")))
    source_name: str | None = attr("source/@name", when="internal")
    source_dev: str | None = attr("source/@dev", when=DEVICE)
    mode: Literal["vepa", "private", "bridge", "passthrough"] | None = attr("source/@mode", when="direct")
    socket_mode: Literal["server", "client"] | None = attr("source/@mode", when="vhostuser")
    source_address: str | None = attr("source/@address", when=SOCKET)
    source_port: Signed | None = attr("source/@port", when=SOCKET)
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
    guest_actual: str | None = attr("guest/@actual")
    model: str | None = attr("model/@type", blank=True)
    driver: InterfaceDriver | None = child(when="!hostdev")
    backend_type: Literal["default", "passt"] | None = attr("backend/@type", omit="default")
    tap: str | None = attr("backend/@tap")
    vhost: str | None = attr("backend/@vhost")
    log_file: str | None = attr("backend/@logFile")
    filterref: FilterRef | None = child()
    sndbuf: Unsigned | None = text("tune/sndbuf", wrong=lambda raw: XMLError("sndbuf must be a positive integer"))
    teaming_type: Literal["persistent", "transient"] | None = attr(
        "teaming/@type", wrong=lambda raw: ConfigUnsupported(f"unknown teaming type '{raw}'")
    )
    teaming_persistent: str | None = attr("teaming/@persistent")
    link: Literal["up", "down"] | None = attr(
        "link/@state", wrong=lambda raw: ConfigUnsupported(f"unknown interface link state '{raw}'")
    )
    mtu: Unsigned | None = attr("mtu/@size", omit=0, wrong=lambda raw: XMLError("malformed mtu size"))
    coalesce_frames: Unsigned | None = attr(
        "coalesce/rx/frames/@max",
        wrong=lambda raw: XMLDetail(f"cannot parse value '{raw}' for coalesce parameter"),
    )

    def check(self, node: Node) -> None:
        """What each type needs of its source. Raises VirtError."""
        if self.filterref is not None and self.filterref.filter is None:
            self.filterref = None
        for route in self.source_routes:
            check_route(route, "interface host IP")
        for route in self.routes:
            check_route(route, "guest interface")
        source = node.find("source")
        if self.type in NEEDS_SOURCE and source is None:
            raise XMLError(f"interface type='{self.type}' requires a 'source' element")
        if self.type == "direct":
            self.mode = self.mode or "vepa"
        for attribute, field in REQUIRED.get(self.type, ()):
            if getattr(self, field) is None:
                raise XMLError(f"Missing required attribute '{attribute}' in element 'source'")
        if self.type == "udp":
            self.check_local()
        if self.socket_mode == "server" and self.reconnect is not None and self.reconnect.enabled is not None:
            raise ConfigUnsupported("'reconnect' attribute unsupported 'server' mode for <interface type='vhostuser'>")
        if (bandwidth := node.find("bandwidth")) is not None and "classID" in bandwidth.attrs:
            raise XMLDetail("classID attribute not supported on <bandwidth> in this usage context")
        if self.type == "hostdev" and self.host_address is None:
            raise XMLError("missing source address type")
        if self.model is not None and re.search("[^A-Za-z0-9_-]", self.model):
            raise InvalidArg("Model name contains invalid characters")

    def check_local(self) -> None:
        """Raise XMLError unless it is known where a udp interface receives."""
        if self.local is None:
            raise XMLError("'<local>' element missing for 'udp' socket interface")
        for name in ("address", "port"):
            if getattr(self.local, name) is None:
                raise XMLError(f"Missing required attribute '{name}' in element 'local'")


REQUIRED = {
    "network": (("network", "network"),),
    "bridge": (("bridge", "bridge"),),
    "vhostuser": (("type", "source_type"), ("path", "path"), ("mode", "socket_mode")),
    "direct": (("dev", "source_dev"),),
    "vdpa": (("dev", "source_dev"),),
    "internal": (("name", "source_name"),),
    "server": (("port", "source_port"),),
    "client": (("port", "source_port"), ("address", "source_address")),
    "mcast": (("port", "source_port"), ("address", "source_address")),
    "udp": (("port", "source_port"), ("address", "source_address")),
}
"""Attributes of the source that each type cannot do without, and the fields that hold them."""
