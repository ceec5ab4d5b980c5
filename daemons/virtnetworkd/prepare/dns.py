"""The network's DNS section."""

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import XMLDetail, XMLError
from splitvirt.xml.netaddress import parse_address
from splitvirt.xml.network import Dns, DnsHost, DnsSrv, DnsTxt, Forwarder
from splitvirt.xml.units import unsigned

SERVICE_MAX = 482
"""512 bytes of a message, less what is around the name in it (RFC 2782)."""


def detail(text: str) -> XMLDetail:
    """libvirt's kind of error for records."""
    return XMLDetail(text, domain=VIR_FROM_NETWORK)


def check_dns(dns: Dns, network: str) -> None:
    """Every part; a switched-off server may have none."""
    for forwarder in dns.forwarders:
        check_forwarder(forwarder, network)
    for host in dns.hosts:
        check_host(host, network)
    for srv in dns.srvs:
        check_srv(srv, network)
    for txt in dns.txts:
        check_txt(txt, network)
    if dns.enable is False and (dns.forwarders or dns.hosts or dns.srvs or dns.txts):
        raise XMLError(f"Extra data in disabled network '{network}'", domain=VIR_FROM_NETWORK)


def check_forwarder(forwarder: Forwarder, network: str) -> None:
    """A server's address."""
    if forwarder.addr is not None:
        address = parse_address(forwarder.addr)
        if address is None:
            raise XMLError(
                f"Invalid forwarder IP address '{forwarder.addr}' in network '{network}'", domain=VIR_FROM_NETWORK
            )
        forwarder.addr = address.text
    elif forwarder.domain is None:
        raise XMLError(
            "Invalid forwarder element, must contain at least one of addr or domain", domain=VIR_FROM_NETWORK
        )


def check_host(host: DnsHost, network: str, *, partial: bool = False) -> None:
    """An address and its names; a `partial` one picks records to delete and needs only one of both."""
    host.hostnames = [name for name in host.hostnames if name]
    if host.ip is None and not partial:
        raise detail(f"Missing IP address in network '{network}' DNS HOST record")
    if host.ip is not None:
        address = parse_address(host.ip)
        if address is None:
            raise detail(f"Invalid IP address in network '{network}' DNS HOST record")
        host.ip = address.text
    if not host.hostnames and not partial:
        raise detail(f"Missing hostname in network '{network}' DNS HOST record")
    if host.ip is None and not host.hostnames:
        raise detail(f"Missing ip and hostname in network '{network}' DNS HOST record")


def check_txt(txt: DnsTxt, network: str, *, partial: bool = False) -> None:
    """A name without blank and comma, and a value."""
    if txt.name is None and not partial:
        raise detail(f"missing required name attribute in DNS TXT record of network {network}")
    if txt.name is not None and any(c in " ," for c in txt.name):
        raise detail(f"prohibited character in DNS TXT record name '{txt.name}' of network {network}")
    if txt.value is None and not partial:
        raise detail(f"missing required value attribute in DNS TXT record named '{txt.name}' of network {network}")
    if txt.name is None and txt.value is None:
        raise detail(f"Missing required name or value in DNS TXT record of network {network}")


def plain(word: str) -> bool:
    """What a service or protocol may be made of."""
    return all(c.isascii() and (c.isalnum() or c in "_-+/") for c in word)


def check_srv(srv: DnsSrv, network: str, *, partial: bool = False) -> None:
    """A service's record; numbers only with a target."""
    if srv.service is None and not partial:
        raise detail(f"missing required service attribute in DNS SRV record of network '{network}'")
    if srv.service is not None:
        if len(srv.service.encode()) > SERVICE_MAX:
            raise detail(
                f"service attribute '{srv.service}' in network '{network}' is too long, limit is {SERVICE_MAX} bytes"
            )
        if not plain(srv.service):
            raise detail(
                f"invalid character in service attribute '{srv.service}' in DNS SRV record of network '{network}'"
            )
    if srv.protocol is None and not partial:
        raise detail(f"missing required protocol attribute in DNS SRV record '{srv.service}' of network '{network}'")
    if srv.protocol is not None and not plain(srv.protocol):
        raise detail(
            f"invalid character in protocol attribute '{srv.protocol}' in DNS SRV record of network '{network}'"
        )
    for name, word in (("port", "invalid"), ("priority", "Invalid"), ("weight", "invalid")):
        raw = getattr(srv, name)
        if raw is None:
            continue
        number = unsigned(raw)
        if number is None or not (name == "port") <= number <= 65535:
            raise detail(f"{word} DNS SRV {name} attribute for service '{srv.service}' in network '{network}'")
        if srv.target is None:
            raise detail(
                f"DNS SRV {name} attribute not permitted without target for service '{srv.service}'"
                f" in network '{network}'"
            )
        setattr(srv, name, str(number) if number else None)
