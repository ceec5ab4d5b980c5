"""What a network's dnsmasq is told, written as libvirt writes it: configuration, kept addresses, host names."""

from pathlib import Path

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.netaddress import IPV4, Address, netmask, parse_address
from splitvirt.xml.network import Dhcp, DhcpHost, DnsSrv, Lease, Network, NetworkIP

from .prepare.ip import block

HEADER = """##WARNING:  THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
##OVERWRITTEN AND LOST.  Changes to this configuration should be made using:
##    virsh net-edit {name}
## or other application using the libvirt API.
##
## dnsmasq conf file created by libvirt
strict-order
"""


QUOTED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
"""libvirt spells the paths in its configuration as if they were XML."""


class Files:
    """Where one network's files lie: `lib` is .../lib/libvirt/dnsmasq, `run` is .../run/libvirt/network."""

    def __init__(self, name: str, lib: Path, run: Path) -> None:
        quoted = name.translate(QUOTED)
        self.conf = lib / f"{name}.conf"
        self.leases = lib / f"{name}.leases"
        self.hosts = lib / f"{quoted}.hostsfile"
        self.names = lib / f"{quoted}.addnhosts"
        self.pid = run / f"{quoted}.pid"

    def all(self) -> tuple[Path, ...]:
        """Every file, for removal."""
        return (self.conf, self.leases, self.hosts, self.names, self.pid)


def needed(net: Network) -> bool:
    """Whether the network serves anything."""
    if not net.ips:
        return False
    off = net.dns is not None and net.dns.enable is False
    return not off or any(ip.dhcp or ip.tftp_root is not None for ip in net.ips)


def configuration(net: Network, files: Files) -> str:
    """dnsmasq's configuration. Raises ConfigUnsupported where there can be no local reverse domain."""
    lines = [*_dns(net), f"pid-file={files.pid}", "except-interface=lo", "bind-dynamic"]
    if set(net.bridge_name or "") & set(",*\"'#\\"):  # a list, a pattern: it would serve other devices too
        raise ConfigUnsupported(f"dnsmasq cannot serve a bridge named '{net.bridge_name}'", domain=VIR_FROM_NETWORK)
    lines.append(f"interface={net.bridge_name}")
    if net.mode == "none":  # no router to offer, nobody to ask further, and a router advertisement of no router
        lines += ["dhcp-option=3", "no-resolv", "ra-param=*,0,0"]
    lines += _records(net)
    lines += _dhcp(net, files)
    lines += _router(net)
    lines += [option.value or "" for option in (net.dnsmasq.options if net.dnsmasq else [])]
    return HEADER.format(name=net.name) + written(lines)


LINE_MAX = 1023
"""Bytes of a line that dnsmasq reads as one (its MAXDNAME, less the line break and the final NUL)."""


def written(lines: list[str], longest: int = LINE_MAX) -> str:
    """Lines as a file. Raises ConfigUnsupported for one that would be several: it would say what nobody checked."""
    for line in lines:
        if "\n" in line or "\r" in line:
            raise ConfigUnsupported(f"a line break in '{line}' cannot be told to dnsmasq", domain=VIR_FROM_NETWORK)
        if len(line.encode()) > longest:
            raise ConfigUnsupported(
                f"'{line[:40]}...' is longer than the {longest} bytes of a line for dnsmasq", domain=VIR_FROM_NETWORK
            )
    return "".join(f"{line}\n" for line in lines)


def _dns(net: Network) -> list[str]:
    """Who answers for which names."""
    lines: list[str] = []
    dns = net.dns
    if dns is not None and dns.enable is False:
        lines.append("port=0")
    forwarders = dns.forwarders if dns else []
    for forwarder in forwarders:
        domain = f"/{forwarder.domain}/" if forwarder.domain is not None else ""
        lines.append(f"server={domain}{forwarder.addr or '#'}")
    if any(forwarder.domain is None for forwarder in forwarders):
        lines.append("no-resolv")
    if net.domain is not None:
        if net.domain.local_only:
            lines.append(f"local=/{net.domain.name}/")
        lines += [f"domain={net.domain.name}", "expand-hosts"]
    lines += [f"local=/{reverse_domain(ip)}/" for ip in net.ips if ip.local_ptr]
    if dns is not None and dns.forward_plain_names is False:
        lines += ["domain-needed", "local=//"]
    return lines


def reverse_domain(ip: NetworkIP) -> str:
    """The domain of an address block's names: whole bytes for IPv4, whole hex digits for IPv6."""
    address, prefix = block(ip)
    step = 8 if address.family == IPV4 else 4
    if prefix <= 0 or prefix % step:
        raise ConfigUnsupported(
            f"PTR domain for IPv{address.family} network with prefix {prefix} cannot be automatically created",
            domain=VIR_FROM_NETWORK,
        )
    if address.family == IPV4:
        return ".".join(reversed(address.text.split(".")[: prefix // 8])) + ".in-addr.arpa"
    return ".".join(reversed(f"{address.value:032x}"[: prefix // 4])) + ".ip6.arpa"


def _records(net: Network) -> list[str]:
    """TXT and SRV records."""
    if net.dns is None:
        return []
    lines = [f"txt-record={txt.name},{txt.value}" for txt in net.dns.txts]
    return lines + [_srv(srv) for srv in net.dns.srvs]


def _srv(srv: DnsSrv) -> str:
    line = f"srv-host=_{srv.service}._{srv.protocol}"
    if srv.domain is not None:
        line += f".{srv.domain}"
    if srv.target not in (None, "."):  # "." says that there is no such service
        line += f",{srv.target}"
        rest = [int(n or 0) for n in (srv.port, srv.priority, srv.weight)]
        while rest and not rest[-1]:
            rest.pop()
        if rest:
            rest[0] = rest[0] or 1  # dnsmasq knows no port 0; libvirt says 1 where none is given
        line += "".join(f",{number}" for number in rest)
    return line


def lent(lease: Lease | None) -> str:
    """A lease's length in dnsmasq's spelling, with the comma before it."""
    if lease is None or lease.expiry is None:
        return ""
    return ",infinite" if lease.expiry == 0 else f",{lease.expiry}{(lease.unit or 'minutes')[0]}"


def _dhcp(net: Network, files: Files) -> list[str]:
    """What is lent, for how long, and what a client boots."""
    lines: list[str] = []
    count = 0
    served = [(block(ip), ip.dhcp) for ip in net.ips if ip.dhcp]
    for ip in net.ips:
        if ip.tftp_root is not None:
            lines += ["enable-tftp", f"tftp-root={ip.tftp_root}"]
        if ip.dhcp is not None:
            lines += _ranges(*block(ip), ip.dhcp)
            count += sum(map(_count, ((r.start, r.end) for r in ip.dhcp.ranges)))
    if count:
        lines.append(f"dhcp-lease-max={count}")
    if served:
        lines.append(f"dhcp-hostsfile={files.hosts}")
    if net.dns is None or net.dns.enable is not False:
        lines.append(f"addn-hosts={files.names}")
    if net.mtu:
        lines.append(f"dhcp-option=option:mtu,{net.mtu}")
    return lines


def _ranges(address: Address, prefix: int, dhcp: Dhcp) -> list[str]:
    """One address block's ranges."""
    size = netmask(prefix) if address.family == IPV4 else str(prefix)
    lines = [f"dhcp-range={span.start},{span.end},{size}{lent(span.lease)}" for span in dhcp.ranges]
    if not dhcp.ranges:  # hosts alone: nobody else is lent an address
        lines.append(f"dhcp-range={address.text},static" + ("" if address.family == IPV4 else f",{prefix}"))
    if address.family == IPV4:
        lines += ["dhcp-no-override", "dhcp-authoritative"]
    if dhcp.bootp is not None:
        server = f",,{dhcp.bootp.server}" if dhcp.bootp.server else ""
        lines.append(f"dhcp-boot={dhcp.bootp.file}{server}")
    return lines


def _count(span: tuple[str | None, str | None]) -> int:
    start, end = parse_address(span[0]), parse_address(span[1])
    assert start is not None
    assert end is not None
    return end.value - start.value + 1


def _router(net: Network) -> list[str]:
    """IPv6 router advertisements: with DHCP or alone."""
    six = [ip for ip in net.ips if block(ip)[0].family != IPV4]
    if any(ip.dhcp for ip in six):
        return ["enable-ra"]
    return [f"dhcp-range={ip.address},ra-only" for ip in six]


def kept_hosts(net: Network) -> str:
    """The file of addresses kept for clients."""
    lines = [_kept(host, block(ip)[0].family) for ip in net.ips if ip.dhcp for host in ip.dhcp.hosts]
    return written(lines)


def _kept(host: DhcpHost, family: int) -> str:
    if family == IPV4:
        parts = [host.mac, host.ip, host.name] if host.mac else [host.name, host.ip]
    else:
        parts = [f"id:{host.id}" if host.id else None, host.name, f"[{host.ip}]"]
    return ",".join(part for part in parts if part) + lent(host.lease)


def host_names(net: Network) -> str:
    """The file of names that are not any client's."""
    names: dict[str | None, list[str]] = {}
    for host in net.dns.hosts if net.dns else []:
        names.setdefault(host.ip, []).extend(host.hostnames)
    lines = [f"{address}\t" + "".join(f"{name}\t" for name in there) for address, there in names.items()]
    return written(lines, longest=1 << 30)  # which dnsmasq reads word by word
