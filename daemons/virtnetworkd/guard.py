"""What a lent port may send: its own MAC address, its own IP addresses, nothing that only the network itself may say.

A table of the bridge family, one chain a port. Before a port's MAC address has a lease it may use any address of the
network that is nobody's; from then on its own alone.
"""

from collections.abc import Iterable
from typing import NamedTuple

from splitvirt.host import nft
from splitvirt.xml.netaddress import IPV4
from splitvirt.xml.netparts import Bandwidth
from splitvirt.xml.network import Network

from .firewall import blocks, chain
from .leasefile import Entry
from .prepare.ip import block

TABLE = "bridge splitvirt"
BASE = f"""add table {TABLE}
add map {TABLE} ports {{ type ifname : verdict; }}
add chain {TABLE} prerouting {{ type filter hook prerouting priority filter; policy accept; }}
flush chain {TABLE} prerouting
add rule {TABLE} prerouting iifname vmap @ports
"""


class Guarded(NamedTuple):
    """One port: its device, its MAC address and what it may send at most."""

    device: str
    mac: str
    bandwidth: Bandwidth | None


def owners(net: Network, leases: Iterable[Entry]) -> dict[str, set[str]]:
    """Every address that somebody has, with the MAC addresses that have it; the gateway's belong to none."""
    found: dict[str, set[str]] = {block(ip)[0].text: set() for ip in net.ips}
    for entry in leases:
        found.setdefault(entry.address, set()).add(entry.mac)
    for ip in net.ips:
        for host in ip.dhcp.hosts if ip.dhcp else []:
            found.setdefault(host.ip or "", set()).add((host.mac or "").lower())
    found.pop("", None)
    return found


def rules(net: Network, port: Guarded, leases: Iterable[Entry], *, new: bool = False) -> str:
    """Commands that make a port's chain; unless it is `new`, in place of what was there of it."""
    name, held = chain(port.device, "port"), owners(net, leases)
    lines = [f"add chain {TABLE} {name}"] + ([] if new else [f"flush chain {TABLE} {name}"])

    def add(rule: str) -> None:
        lines.append(f"add rule {TABLE} {name} {rule}")

    add(f"ether saddr != {port.mac} drop")
    add("ether daddr 01:80:c2:00:00:00 drop")  # spanning tree is the bridge's own
    add("ip protocol udp udp sport 67 drop")
    add("ip6 nexthdr udp udp sport 547 drop")
    add("icmpv6 type nd-router-advert drop")
    limit = port.bandwidth.outbound if port.bandwidth else None
    if limit is not None and limit.average:
        burst = limit.burst or max(limit.average // 10, 64)
        add(f"limit rate over {limit.average} kbytes/second burst {burst} kbytes drop")
    add(f"ether type arp arp saddr ether != {port.mac} drop")
    for family, matches, free in (
        (4, ("ip saddr", "arp saddr ip"), "0.0.0.0"),
        (6, ("ip6 saddr",), "::"),
    ):
        own = sorted(a for a, macs in held.items() if port.mac in macs and (":" in a) == (family == 6))
        others = sorted(a for a, macs in held.items() if port.mac not in macs and (":" in a) == (family == 6))
        for match in matches:
            add(f"{match} {free} accept")
            if family != IPV4:
                add(f"{match} fe80::/10 accept")
            if own:
                add(f"{match} {{ {', '.join(own)} }} accept")
                continue
            if others:
                add(f"{match} {{ {', '.join(others)} }} drop")
            for subnet in blocks(net, family):
                add(f"{match} {subnet} accept")
    add("drop")
    lines.append(f'add element {TABLE} ports {{ "{port.device}" : jump {name} }}')
    return "\n".join(lines) + "\n"


def add(net: Network, port: Guarded, leases: list[Entry], *, first: bool) -> None:
    """Guard a new port; the `first` brings the table with it. Raises NftError."""
    text = rules(net, port, leases, new=True)
    if not first:
        try:
            nft.run(text)
            return
        except nft.NftError:  # somebody flushed our table: the others come back with the next change or reload
            pass
    nft.run(BASE + text)


def change(net: Network, ports: Iterable[Guarded], leases: list[Entry]) -> None:
    """Guard ports anew. Raises NftError."""
    nft.run(BASE + "".join(rules(net, port, leases) for port in ports))


def remove(device: str, *, last: bool) -> None:
    """No longer guard a port that is guarded; with the last one goes the table. Raises NftError."""
    if last:
        nft.run(f"add table {TABLE}\ndelete table {TABLE}\n")
        return
    name = chain(device, "port")
    nft.run(f'delete element {TABLE} ports {{ "{device}" }}\nflush chain {TABLE} {name}\ndelete chain {TABLE} {name}\n')
