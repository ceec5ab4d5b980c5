"""A network's packet filter and address translation: our own nftables table, in transactions of all or nothing.

The table `inet splitvirt` has one chain per hook that looks the bridge up in a map and jumps to that network's chain:
a packet's way does not grow with the number of networks, and a network comes and goes without touching any other.
"""

import json
import logging
import re

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import ConfigUnsupported
from splitvirt.host import nft
from splitvirt.xml.netaddress import IPV4
from splitvirt.xml.network import Nat, NatPort, Network

from .prepare.ip import block

log = logging.getLogger(__name__)
TABLE = "inet splitvirt"
FIRST_PORT, LAST_PORT = "1024", "65535"

BASE = f"""add table {TABLE}
add map {TABLE} from {{ type ifname : verdict; }}
add map {TABLE} into {{ type ifname : verdict; }}
add map {TABLE} shape {{ type ifname : verdict; }}
add map {TABLE} nat {{ type ifname : verdict; }}
add chain {TABLE} prerouting {{ type filter hook prerouting priority filter; policy accept; }}
add chain {TABLE} forward {{ type filter hook forward priority filter; policy accept; }}
add chain {TABLE} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
flush chain {TABLE} prerouting
flush chain {TABLE} forward
flush chain {TABLE} postrouting
add rule {TABLE} prerouting iifname vmap @shape
add rule {TABLE} forward iifname vmap @from
add rule {TABLE} forward oifname vmap @into
add rule {TABLE} postrouting iifname vmap @nat
"""

CHAINS = ("from", "into", "nat", "shape")


def chain(bridge: str, which: str) -> str:
    """The name of one of a network's chains: letters that nft takes, unique per bridge."""
    plain = re.sub(r"[^A-Za-z0-9.]", lambda m: f"_{ord(m.group()):x}", bridge)
    return f"n-{plain}-{which}"


def blocks(net: Network, family: int) -> list[str]:
    """The network's address blocks of a family, as nft writes them."""
    found = [block(ip) for ip in net.ips]
    return [f"{a.network(p).text}/{p}" for a, p in found if a.family == family and p >= 0]


def nat_families(net: Network) -> list[int]:
    """The families whose source addresses are rewritten."""
    if net.mode != "nat":
        return []
    nat = net.forward.nat if net.forward else None
    return [4, 6] if nat is not None and nat.ipv6 else [4]


def check_device(name: str) -> str:
    """A device's name as a rule may hold it: no pattern of names. Raises ConfigUnsupported."""
    if not re.fullmatch(r"[^\s/\"{};\\*]{1,15}", name):
        raise ConfigUnsupported(f"'{name}' is not the name of a network device", domain=VIR_FROM_NETWORK)
    return name


def rules(net: Network) -> list[str]:
    """What goes into the network's chains, one command a line. Raises ConfigUnsupported for impossible devices."""
    bridge = check_device(net.bridge_name or "")
    if net.forward and net.forward.dev:
        check_device(net.forward.dev)
    lines: list[str] = []

    def add(which: str, rule: str) -> None:
        lines.append(f"add rule {TABLE} {chain(bridge, which)} {rule}")

    if net.mode in ("none", "nat", "route"):
        device = net.forward.dev if net.forward else None
        out, back = (f'oifname "{device}" ', f'iifname "{device}" ') if device else ("", "")
        add("from", f'oifname "{bridge}" accept')
        add("into", f'iifname "{bridge}" accept')
        for family, word in ((4, "ip"), (6, "ip6")):
            for subnet in blocks(net, family) if net.mode != "none" else []:
                state = "ct state related,established " if family in nat_families(net) else ""
                add("from", f"{out}{word} saddr {subnet} return")
                add("into", f"{back}{word} daddr {subnet} {state}return")
        if not net.ips and net.ipv6 == "yes":
            add("from", f'meta nfproto ipv6 oifname "{bridge}" accept')
        add("from", "reject with icmpx port-unreachable")
        add("into", "reject with icmpx port-unreachable")
        lines.append(f'add element {TABLE} from {{ "{bridge}" : jump {chain(bridge, "from")} }}')
        lines.append(f'add element {TABLE} into {{ "{bridge}" : jump {chain(bridge, "into")} }}')
    lines += nat_rules(net)
    lines += shape_rules(net)
    return lines


def nat_rules(net: Network) -> list[str]:
    """How outgoing traffic's source is rewritten; local multicast and broadcast keep theirs."""
    bridge, lines = net.bridge_name or "", []
    name = chain(bridge, "nat")
    device = net.forward.dev if net.forward else None
    out = f'oifname "{device}" ' if device else ""
    for family in nat_families(net):
        word = "ip" if family == IPV4 else "ip6"
        for group in ("224.0.0.0/24", "255.255.255.255") if family == IPV4 else ("ff02::/16",):
            lines.append(f"add rule {TABLE} {name} {word} daddr {group} return")
        for subnet in blocks(net, family):
            match = f"{out}{word} saddr {subnet} {word} daddr != {subnet}"
            lines += [f"add rule {TABLE} {name} {match} {action}" for action in nat_actions(net, family)]
    if lines:
        lines.append(f'add element {TABLE} nat {{ "{bridge}" : jump {name} }}')
    return lines


def settle_nat(net: Network) -> None:
    """Write the range of ports that is used where none is told into a network that is about to run."""
    forward = net.forward
    if forward is None or not any(blocks(net, family) for family in nat_families(net)):
        return
    forward.nats = forward.nats or [Nat()]
    forward.nats[0].ports = forward.nats[0].ports or [NatPort(start=FIRST_PORT, end=LAST_PORT)]


def nat_actions(net: Network, family: int) -> list[str]:
    """The rewriting, with the port range for the protocols that have ports."""
    nat = net.forward.nat if net.forward else None
    low, high = (nat.ports[0].start, nat.ports[0].end) if nat and nat.ports else (FIRST_PORT, LAST_PORT)
    ports = f":{low}-{high}"
    if nat and nat.addresses and family == IPV4:
        first, last = nat.addresses[0].start, nat.addresses[0].end
        pool = f"snat ip to {first}" + (f"-{last}" if last != first else "")
        return [f"meta l4proto {proto} {pool}{ports}" for proto in ("tcp", "udp")] + [pool]
    return [f"meta l4proto {proto} masquerade to {ports}" for proto in ("tcp", "udp")] + ["masquerade"]


def shape_rules(net: Network) -> list[str]:
    """The limit of what guests send into the bridge."""
    limit = net.bandwidth.outbound if net.bandwidth else None
    if limit is None or not limit.average:
        return []
    bridge = net.bridge_name or ""
    name = chain(bridge, "shape")
    burst = limit.burst or max(limit.average // 10, 64)
    return [
        f"add rule {TABLE} {name} limit rate over {limit.average} kbytes/second burst {burst} kbytes drop",
        f'add element {TABLE} shape {{ "{bridge}" : jump {name} }}',
    ]


def fill(net: Network, *, new: bool = False) -> str:
    """Commands that put the network in; unless it is `new`, in place of what is there of it.

    A flush makes the kernel wait for packets under way (10-20 ms), so what is new goes without.
    """
    bridge, verbs = net.bridge_name or "", ("add",) if new else ("add", "flush")
    lines = [f"{verb} chain {TABLE} {chain(bridge, which)}" for verb in verbs for which in CHAINS]
    return "\n".join([*lines, *rules(net)]) + "\n"


def clear(net: Network) -> str:
    """Commands that take out exactly this network, which must be in."""
    bridge = net.bridge_name or ""
    lines = [re.sub(" : jump .*", " }", line.replace("add", "delete", 1)) for line in elements(net)]
    lines += [f"{verb} chain {TABLE} {chain(bridge, which)}" for verb in ("flush", "delete") for which in CHAINS]
    return "\n".join(lines) + "\n"


def elements(net: Network) -> list[str]:
    """The commands of `rules` that enter the network in the maps."""
    return [line for line in rules(net) if line.startswith("add element")]


def filtered(net: Network) -> bool:
    """Whether we have rules for a network."""
    return net.mode != "open" or bool(shape_rules(net))


def add(net: Network, others: list[Network]) -> None:
    """Put a new network's rules beside those of the `others` that run. Raises NftError."""
    if not filtered(net):
        return
    if any(map(filtered, others)):
        try:
            nft.run(fill(net, new=True))
        except nft.NftError:  # somebody flushed our table
            rebuild([*others, net])
    else:
        nft.run(BASE + fill(net, new=True))


def change(net: Network) -> None:
    """Put a running network's new rules in place of its old ones. Raises NftError."""
    if filtered(net):
        nft.run(BASE + fill(net))


def rebuild(nets: list[Network], *, others: bool = False) -> None:
    """Make the whole table anew, for a start of the daemon or after somebody flushed it. Raises NftError.

    With `others` there may be networks in it that are not among `nets`: theirs stay as they are.
    """
    if others:
        nft.run(BASE + "".join(map(fill, filter(filtered, nets))))
        return
    text = f"add table {TABLE}\ndelete table {TABLE}\n"
    chosen = list(filter(filtered, nets))
    nft.run(text + (BASE + "".join(fill(net, new=True) for net in chosen) if chosen else ""))


def remove(net: Network, *, last: bool) -> None:
    """Take the network's rules out; with the last one goes the table. Raises NftError."""
    if last:
        nft.run(f"add table {TABLE}\ndelete table {TABLE}\n")
    elif filtered(net):
        nft.run(BASE + fill(net))  # what may be in by half is in whole, then goes
        nft.run(clear(net))


def obstacles() -> list[str]:
    """Other firewalls on this host that drop what a network would forward, each with its remedy."""
    try:
        found = json.loads(nft.run("list chains", flags=nft.JSON) or "{}").get("nftables", [])
    except (OSError, ValueError) as error:
        return [f"the firewall could not be read: {error}"]
    chains = [entry["chain"] for entry in found if "chain" in entry]
    names = {c["name"] for c in chains} | {c["table"] for c in chains}
    return [
        f"{owner(c, names)} drops forwarded packets by default (table {c['family']} {c['table']}, chain {c['name']}):"
        f" {remedy(c, names)}"
        for c in chains
        if c.get("hook") == "forward" and c.get("policy") == "drop" and c["table"] != "splitvirt"
    ]


def owner(found: dict[str, str], names: set[str]) -> str:
    """Whose chain that is."""
    if found["table"] == "firewalld":
        return "firewalld"
    if any(name.startswith("ufw") for name in names):
        return "ufw"
    return "docker" if any(name.startswith("DOCKER") for name in names) else "another firewall"


def remedy(found: dict[str, str], names: set[str]) -> str:
    """The command that lets a network's traffic pass."""
    who = owner(found, names)
    program = "ip6tables" if found["family"] == "ip6" else "iptables"
    if who == "firewalld":
        return "firewall-cmd --permanent --zone=libvirt --add-interface=BRIDGE && firewall-cmd --reload"
    if who == "ufw":
        return "ufw route allow in on BRIDGE && ufw route allow out on BRIDGE"
    if who == "docker":
        return f"{program} -I DOCKER-USER -i BRIDGE -j ACCEPT && {program} -I DOCKER-USER -o BRIDGE -j ACCEPT"
    return f"nft insert rule {found['family']} {found['table']} {found['name']} iifname BRIDGE accept (and oifname)"
