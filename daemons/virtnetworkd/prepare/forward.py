"""How the network forwards: the devices behind it, the NAT ranges, and what each mode allows."""

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.netaddress import IPV4, Address, at, parse_address
from splitvirt.xml.network import Bridge, Forward, ForwardInterface, Network
from splitvirt.xml.units import unsigned

from .ip import range_size

ROUTED = ("none", "nat", "route", "open")
"""Modes whose bridge we make ourselves."""

DIRECT = ("private", "vepa", "passthrough", "bridge")


def wrong(text: str) -> XMLError:
    """An error of the document."""
    return XMLError(text, domain=VIR_FROM_NETWORK)


def check_forward(net: Network) -> None:
    """The forward element's parts."""
    forward, name = net.forward, net.name
    if forward is None:
        return
    forward.mode = forward.mode or "nat"
    forward.driver = forward.driver or None
    if forward.driver not in (None, "kvm", "vfio"):
        raise ConfigUnsupported(
            f"Unknown forward <driver name='{forward.driver}'/> in network {name}", domain=VIR_FROM_NETWORK
        )
    forward.managed = bool(forward.managed) if forward.mode == "hostdev" else None
    check_nat(forward, name or "")
    if (forward.addresses or forward.pfs) and forward.dev is not None:  # the name is missing in libvirt's own words
        raise wrong(
            "the <forward> 'dev' attribute cannot be used when <address> or <pf> sub-elements are present in network %s"
        )
    check_interfaces(forward, name or "")
    check_addresses(forward, name or "")
    if len(forward.pfs) > 1:
        raise wrong(f"Only one <pf> element is allowed in <forward> of network {name}")
    if any(pf.dev is None for pf in forward.pfs):
        raise wrong(f"Missing required dev attribute in <pf> element of network '{name}'")


def check_interfaces(forward: Forward, name: str) -> None:
    """Each interface once; the `dev` attribute is the first of them."""
    if forward.dev is not None and not forward.interfaces:
        forward.interfaces.append(ForwardInterface(dev=forward.dev))
    seen: set[str] = set()
    for number, interface in enumerate(forward.interfaces):
        interface.connections = None
        if interface.dev is None:
            raise wrong(f"Missing required dev attribute in <forward> <interface> element of network {name}")
        if number == 0 and forward.dev not in (None, interface.dev):
            raise wrong(
                f"<forward dev='{forward.dev}'> must match first <interface dev='{interface.dev}'/> in network {name}"
            )
        if interface.dev in seen:
            raise wrong(f"interface '{interface.dev}' can only be listed once in network {name}")
        seen.add(interface.dev)
    if forward.interfaces:
        forward.dev = forward.interfaces[0].dev


def check_addresses(forward: Forward, name: str) -> None:
    """Each PCI device once."""
    seen: set[str] = set()
    if forward.interfaces:  # libvirt looks at one kind only
        forward.addresses = []
    for address in forward.addresses:
        address.connections = None
        if address.type is None:
            raise wrong(f"missing address type in network {name}")
        if address.type != "pci":
            raise ConfigUnsupported(f"unknown address type '{address.type}' in network {name}", domain=VIR_FROM_NETWORK)
        if str(address) in seen:
            raise wrong(f"PCI device '{address}' can only be listed once in network {name}")
        seen.add(str(address))


def check_nat(forward: Forward, name: str) -> None:
    """The ranges that NAT picks from."""
    if not forward.nats:
        return
    if len(forward.nats) > 1:
        raise wrong(f"Only one <nat> element is allowed in <forward> of network {name}")
    if forward.mode != "nat":
        raise wrong(f"The <nat> element can only be used when <forward> 'mode' is 'nat' in network {name}")
    nat = forward.nats[0]
    if len(nat.addresses) > 1:
        raise wrong(f"Only one <address> element is allowed in <nat> in <forward> in network {name}")
    for span in nat.addresses:
        for word in ("start", "end"):
            if getattr(span, word) is None:
                raise wrong(f"missing '{word}' attribute in <address> element in <nat> in <forward> in network {name}")
        start = nat_address(span.start or "", "start", name)
        end = nat_address(span.end or "", "end", name)
        range_size(start, end)
        span.start, span.end = start.text, end.text
    if len(nat.ports) > 1:
        raise wrong(f"Only one <port> element is allowed in <nat> in <forward> in network {name}")
    for ports in nat.ports:
        first, last = nat_port(ports.start, "start", name), nat_port(ports.end, "end", name)
        if last < first:
            raise bad_port("end", name)
        ports.start, ports.end = str(first), str(last)
    nat.ports = [p for p in nat.ports if int(p.start or 0) or int(p.end or 0)]


def nat_address(text: str, word: str, name: str) -> Address:
    """One end of the range of addresses."""
    address = parse_address(text)
    if address is not None and address.family != IPV4 and address.value >> 32 == 0xFFFF:  # IPv4 in IPv6's clothes
        address = at(IPV4, address.value & 0xFFFFFFFF)
    if address is None or address.family != IPV4:
        raise wrong(f"Bad ipv4 {word} address '{text}' in <nat> in <forward> in network '{name}'")
    return address


def nat_port(text: str | None, word: str, name: str) -> int:
    """One end of the range of ports."""
    number = unsigned(text or "")
    if number is None or number > 65535:
        raise bad_port(word, name)
    return number


def bad_port(word: str, name: str) -> XMLDetail:
    return XMLDetail(
        f"Missing or invalid '{word}' attribute in <port> in <nat> in <forward> in network {name}",
        domain=VIR_FROM_NETWORK,
    )


def check_mode(net: Network) -> None:
    """What each mode needs and forbids."""
    mode, name = net.mode, net.name
    if mode in ("nat", "route", "open"):
        if not net.ips:
            raise wrong(f"{mode} forwarding requested, but no IP address provided for network '{name}'")
        check_routed(net)
    elif mode != "none":
        check_direct(net)
    if net.mtu is not None and mode not in ROUTED:
        raise wrong(f"mtu size only allowed in open, route, nat, and isolated mode, not in {mode} (network '{name}')")
    if mode in ROUTED:
        settle_bridge(net)
    if mode == "none":
        net.forward = None if not pool(net) else net.forward


def pool(net: Network) -> bool:
    """Whether an isolated network lists PCI devices, which `place` refuses by name."""
    return net.forward is not None and bool(net.forward.addresses)


def settle_bridge(net: Network) -> None:
    """A bridge of ours has STP on and no delay unless told."""
    bridge = net.bridge = net.bridge or Bridge()
    bridge.stp = True if bridge.stp is None else bridge.stp
    bridge.delay = bridge.delay or "0"


def check_routed(net: Network) -> None:
    """One way out at most, and none that the host's own rules should choose."""
    forward = net.forward
    assert forward is not None
    if len(forward.interfaces) > 1:
        raise wrong(f"multiple forwarding interfaces specified for network '{net.name}', only one is supported")
    if net.mode == "open" and (forward.interfaces or forward.addresses):
        raise wrong(f"forward dev not allowed for network '{net.name}' with forward mode='open'")


def check_direct(net: Network) -> None:
    """A host's bridge by name, or devices; its options are not ours to set."""
    mode, name, bridge = net.mode, net.name, net.bridge
    if bridge is None:
        return
    if mode != "bridge":
        if bridge.name:
            raise wrong(f"bridge name not allowed in {mode} mode (network '{name}')")
        if bridge.zone:
            raise wrong(f"bridge zone not allowed in {mode} mode (network '{name}')")
        if bridge.mac_table_manager:
            raise wrong(f"bridge macTableManager setting not allowed in {mode} mode (network '{name}')")
    if bridge.stp is not None or bridge.delay not in (None, "0") or bridge.zone:
        raise wrong(
            "bridge delay/stp/zone options only allowed in route, nat, and isolated mode,"
            f" not in {mode} (network '{name}')"
        )
    forward = net.forward
    assert forward is not None
    if bridge.name and (forward.interfaces or forward.pfs):
        raise wrong(
            f"A network with forward mode='{mode}' can specify a bridge name or a forward dev, but not both"
            f" (network '{name}')"
        )
    bridge.delay = None
    if not bridge.name and not bridge.mac_table_manager:
        net.bridge = None
