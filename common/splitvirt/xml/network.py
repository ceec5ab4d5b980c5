"""The network format (formatnetwork): what `net-define` takes and `net-dumpxml` gives.

Addresses and MACs stand here as text; `virtnetworkd.prepare` checks them and spells them as libvirt does, because most
of its messages name the network.
"""

from typing import Annotated

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.element import LIVE, Element, Node, attr, child, children, foreign, text, texts
from splitvirt.xml.forms import INTEGER, U64, Form, Unsigned, WrongValue, YesNo, integer, lenient
from splitvirt.xml.metadata import Foreign
from splitvirt.xml.netparts import Bandwidth, Paired, PciAddress, PortOptions, Route, VirtualPort, Vlan, only_yes
from splitvirt.xml.units import decimal

LEASE_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}


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
Told = Annotated[int, lenient(INTEGER)]
"""A number that we tell; what a document says there does not count."""
Expiry = Annotated[int, integer(0, U64, "Expected non-negative integer value", base=0)]
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
    connections: Told | None = attr(mode=LIVE)


class ForwardAddress(PciAddress, tag="address"):
    """A PCI device of the pool."""

    type: str | None = attr(order=-1)
    connections: Told | None = attr(mode=LIVE, last=True)


class Forward(Element, tag="forward"):
    """How the network reaches beyond the host."""

    dev: str | None = attr(blank=True)
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
    stp: Stp | None = attr(blank=True)
    delay: str | None = attr(blank=True)
    mac_table_manager: str | None = attr("@macTableManager", blank=True)


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
    port: str | None = attr(blank=True)
    priority: str | None = attr(blank=True)
    weight: str | None = attr(blank=True)


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

    expiry: Expiry | None = attr()
    unit: str | None = attr()

    def seconds(self) -> int:
        """The time in seconds."""
        return (self.expiry or 0) * LEASE_UNITS[self.unit or "minutes"]

    def check(self, node: Node) -> None:
        if self.expiry is None:
            self.unit = None
        if self.unit not in (None, *LEASE_UNITS):
            raise XMLError(f"Invalid value for attribute 'unit' in element 'lease': '{self.unit}'.")
        if self.expiry and self.seconds() < 120:
            raise ConfigUnsupported("The minimum lease time should be greater than 2 minutes", domain=VIR_FROM_NETWORK)
        if self.expiry == 0:
            self.unit = None
        elif self.expiry:
            self.unit = self.unit or "minutes"


def last_lease(node: Node) -> Lease | None:
    """Of several, the last that says how long."""
    leases = [Lease.parse(inner) for inner in node.children if inner.tag == "lease"]
    return next((lease for lease in reversed(leases) if lease.expiry is not None), None)


class DhcpRange(Element, tag="range"):
    """Addresses to lend."""

    start: str | None = attr()
    end: str | None = attr()
    lease: Lease | None = child()

    def check(self, node: Node) -> None:
        self.lease = last_lease(node)


class DhcpHost(Element, tag="host"):
    """An address kept for one client."""

    mac: str | None = attr()
    id: str | None = attr()
    name: str | None = attr()
    ip: str | None = attr()
    lease: Lease | None = child()

    def check(self, node: Node) -> None:
        self.lease = last_lease(node)


class Bootp(Element, tag="bootp"):
    """What a client boots from the network."""

    file: str | None = attr()
    server: str | None = attr()


class Dhcp(Element, tag="dhcp", hide_empty=True):
    """What an address range lends."""

    ranges: list[DhcpRange] = children()
    hosts: list[DhcpHost] = children()
    bootps: list[Bootp] = children()

    @property
    def bootp(self) -> Bootp | None:
        """What to boot; of several the last counts, and a checked network has no other."""
        return self.bootps[-1] if self.bootps else None


class NetworkIP(Paired, tag="ip"):
    """An address of the bridge, and what is served behind it."""

    family: str | None = attr()
    address: str | None = attr(blank=True)
    netmask: str | None = attr(blank=True)
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
    connections: Told | None = attr(mode=LIVE)
    ipv6: str | None = attr(omit="no", blank=True)
    trust_guest_rx_filters: YesNo | None = attr("@trustGuestRxFilters")
    name: str | None = text()
    uuid: str | None = text()
    metadata: Foreign | None = foreign()
    forward: Forward | None = child()
    bridge: Bridge | None = child()
    mtu: str | None = attr("mtu/@size", blank=True)
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
