"""The network format (formatnetwork): what `net-define` takes and `net-dumpxml` gives.

Addresses and MACs stand here as text; `virtnetworkd.prepare` checks them and spells them as libvirt does, because most
of its messages name the network.
"""

from typing import Annotated, Literal

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.element import LIVE, Element, Node, attr, child, children, foreign, text, texts
from splitvirt.xml.forms import Form, Hex1, Hex2, Hex4, Unsigned, Unsigned64, WrongValue, YesNo
from splitvirt.xml.metadata import Foreign
from splitvirt.xml.netparts import Bandwidth, Paired, PortOptions, Route, VirtualPort, Vlan
from splitvirt.xml.units import decimal

LeaseUnit = Literal["seconds", "minutes", "hours"]


def only_yes(raw: str) -> bool:
    return raw == "yes"


def either(on: str, off: str) -> Form:
    """A switch that counts as `on` unless it says `off`."""
    return Form(lambda raw: raw != off, lambda value: on if value else off)


def port_number(raw: str) -> int:
    if not decimal(raw) or int(raw) > 65535:
        raise WrongValue
    return int(raw)


PortNumber = Annotated[int, Form(port_number, str)]
Lenient = Annotated[bool, Form(only_yes, lambda value: "yes" if value else "no")]
Stp = Annotated[bool, either("on", "off")]
FORWARD_MODES = ("none", "nat", "route", "open", "bridge", "private", "vepa", "passthrough", "hostdev")


def forward_mode(raw: str) -> str:
    if raw and raw not in FORWARD_MODES:
        raise WrongValue
    return raw


ForwardMode = Annotated[str, Form(forward_mode, str)]


class NatAddress(Element, tag="address"):
    """The range of source addresses that outgoing traffic gets."""

    start: str | None = attr()
    end: str | None = attr()


class NatPort(Element, tag="port"):
    """The range of source ports that outgoing traffic gets."""

    start: str | None = attr()
    end: str | None = attr()


class Nat(Element, tag="nat", hide_empty=True):
    """How the source of outgoing traffic is rewritten."""

    ipv6: YesNo | None = attr()
    addresses: list[NatAddress] = children()
    ports: list[NatPort] = children()


class PhysicalFunction(Element, tag="pf"):
    """The card whose virtual functions are the pool."""

    dev: str | None = attr()


class ForwardInterface(Element, tag="interface"):
    """A host interface of the pool; `connections` is written for running networks only."""

    dev: str | None = attr()
    connections: int | None = attr(mode=LIVE)


class ForwardAddress(Element, tag="address"):
    """A PCI device of the pool."""

    type: str | None = attr()
    domain: Hex4 = attr(default=0)
    bus: Hex2 = attr(default=0)
    slot: Hex2 = attr(default=0)
    function: Hex1 = attr(default=0)
    connections: int | None = attr(mode=LIVE)

    def check(self, node: Node) -> None:
        for name, value, limit in (("bus", self.bus, 0xFF), ("slot", self.slot, 0x1F), ("function", self.function, 7)):
            if value > limit:
                raise XMLError(f"Invalid PCI address {name}='0x{value:x}', must be <= {limit:#X}".replace("0X", "0x"))

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function:x}"


class Forward(Element, tag="forward"):
    """How the network reaches beyond the host."""

    dev: str | None = attr()
    mode: ForwardMode | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown forwarding type '{raw}'", domain=VIR_FROM_NETWORK)
    )
    managed: Lenient | None = attr()
    nats: list[Nat] = children()
    driver: str | None = attr("driver/@name")
    pfs: list[PhysicalFunction] = children()
    interfaces: list[ForwardInterface] = children()
    addresses: list[ForwardAddress] = children()

    @property
    def nat(self) -> Nat | None:
        """The rewriting rules; a checked network has one at most."""
        return self.nats[0] if self.nats else None


class Bridge(Element, tag="bridge"):
    """The host's bridge of the network; `delay` in seconds."""

    name: str | None = attr()
    zone: str | None = attr()
    stp: Stp | None = attr()
    delay: str | None = attr()
    mac_table_manager: str | None = attr("@macTableManager")


class DnsDomain(Element, tag="domain"):
    """The network's DNS domain; `local_only`: never asked of other servers."""

    name: str | None = attr()
    local_only: YesNo | None = attr("@localOnly")


class Forwarder(Element, tag="forwarder"):
    """A server for all queries, or for those of one domain; without address: answered here."""

    domain: str | None = attr()
    addr: str | None = attr()


class DnsTxt(Element, tag="txt"):
    """A TXT record."""

    name: str | None = attr()
    value: str | None = attr()


class DnsSrv(Element, tag="srv"):
    """A SRV record; without target the service is decidedly not available."""

    service: str | None = attr()
    protocol: str | None = attr()
    domain: str | None = attr()
    target: str | None = attr()
    port: str | None = attr()
    priority: str | None = attr()
    weight: str | None = attr()


class DnsHost(Element, tag="host"):
    """Names of an address."""

    ip: str | None = attr()
    hostnames: list[str] = texts("hostname")


class Dns(Element, tag="dns", hide_empty=True):
    """The network's DNS server."""

    enable: YesNo | None = attr()
    forward_plain_names: YesNo | None = attr("@forwardPlainNames")
    forwarders: list[Forwarder] = children()
    txts: list[DnsTxt] = children()
    srvs: list[DnsSrv] = children()
    hosts: list[DnsHost] = children()


class Lease(Element, tag="lease"):
    """How long an address is lent; 0 is for ever. The unit is minutes unless it says otherwise."""

    expiry: Unsigned64 | None = attr()
    unit: LeaseUnit | None = attr()

    def seconds(self) -> int:
        """The time in seconds."""
        return (self.expiry or 0) * {"seconds": 1, "minutes": 60, "hours": 3600}[self.unit or "minutes"]

    def check(self, node: Node) -> None:
        if self.expiry and self.seconds() < 120:
            raise ConfigUnsupported("The minimum lease time should be greater than 2 minutes", domain=VIR_FROM_NETWORK)
        if self.expiry == 0:
            self.unit = None
        elif self.expiry:
            self.unit = self.unit or "minutes"


class DhcpRange(Element, tag="range"):
    """Addresses to lend."""

    start: str | None = attr()
    end: str | None = attr()
    lease: Lease | None = child()


class DhcpHost(Element, tag="host"):
    """An address kept for one client."""

    mac: str | None = attr()
    id: str | None = attr()
    name: str | None = attr()
    ip: str | None = attr()
    lease: Lease | None = child()


class Bootp(Element, tag="bootp"):
    """What a client boots from the network."""

    file: str | None = attr()
    server: str | None = attr()


class Dhcp(Element, tag="dhcp", hide_empty=True):
    """What an address range lends."""

    ranges: list[DhcpRange] = children()
    hosts: list[DhcpHost] = children()
    bootp: Bootp | None = child()


class NetworkIP(Paired, tag="ip"):
    """An address of the bridge, and what is served behind it."""

    family: str | None = attr()
    address: str | None = attr()
    netmask: str | None = attr()
    prefix: Unsigned | None = attr()
    local_ptr: YesNo | None = attr("@localPtr")
    tftp_root: str | None = attr("tftp/@root")
    dhcp: Dhcp | None = child()


class PortGroup(Paired, tag="portgroup"):
    """Settings that an interface picks by name."""

    name: str | None = attr()
    default: Lenient | None = attr(omit=False)
    trust_guest_rx_filters: YesNo | None = attr("@trustGuestRxFilters")
    vlan: Vlan | None = child()
    virtualport: VirtualPort | None = child()
    bandwidth: Bandwidth | None = child()


class DnsmasqOption(Element, tag="dnsmasq:option"):
    """A line of dnsmasq's configuration."""

    value: str | None = attr()


class DnsmasqOptions(Element, tag="dnsmasq:options", hide_empty=True):
    """Lines that go into dnsmasq's configuration as they are."""

    options: list[DnsmasqOption] = children()


class Network(Element, tag="network"):
    """A virtual network."""

    xmlns_dnsmasq: str | None = attr("@xmlns:dnsmasq")
    connections: int | None = attr(mode=LIVE)
    ipv6: str | None = attr(omit="no")
    trust_guest_rx_filters: YesNo | None = attr("@trustGuestRxFilters")
    name: str | None = text()
    uuid: str | None = text()
    metadata: Foreign | None = foreign()
    forward: Forward | None = child()
    bridge: Bridge | None = child()
    mtu: str | None = attr("mtu/@size")
    mac: str | None = attr("mac/@address")
    domain: DnsDomain | None = child()
    dns: Dns | None = child()
    vlan: Vlan | None = child()
    bandwidth: Bandwidth | None = child()
    port: PortOptions | None = child()
    ips: list[NetworkIP] = children()
    routes: list[Route] = children()
    virtualport: VirtualPort | None = child()
    portgroups: list[PortGroup] = children()
    dnsmasq: DnsmasqOptions | None = child()

    @property
    def mode(self) -> str:
        """How it forwards: "none" for an isolated network."""
        return "none" if self.forward is None else self.forward.mode or "nat"

    @property
    def bridge_name(self) -> str | None:
        """The bridge's name, if it has one."""
        return self.bridge.name if self.bridge else None
