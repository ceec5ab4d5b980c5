"""Address blocks against what the host already routes: collisions named, a free block found."""

import secrets
from collections.abc import Iterable

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError, OperationFailed
from splitvirt.host.netlink import Netlink
from splitvirt.xml.netaddress import IPV4, Address, at, check_route, parse_address
from splitvirt.xml.network import Network

from .prepare.ip import block

Block = tuple[Address, int]


def overlap(one: Block, other: Block) -> bool:
    """Whether two blocks share an address."""
    shorter = min(one[1], other[1])
    return one[0].family == other[0].family and one[0].within(other[0], shorter)


def routed(link: Netlink) -> list[tuple[Block, str]]:
    """The blocks that the host routes, each with the name of the interface; default routes are not counted."""
    names = {entry.number: entry.name for entry in link.links()}
    found = []
    for route in link.routes():
        address = parse_address(route.dst)
        if address is None or route.prefix == 0 or (route.family == 6 and route.dst.startswith("fe80")):
            continue
        found.append(((address, route.prefix), names.get(route.number, "")))
    return found


def check_collision(link: Netlink, net: Network, owners: dict[str, str]) -> None:
    """Refuse a network whose blocks the host already reaches otherwise.

    `owners` are the bridges of our running networks, with their networks' names. Raises InternalError, as libvirt does.
    """
    taken = [(other, name) for other, name in routed(link) if name != net.bridge_name]
    for ip in net.ips:
        mine = block(ip)
        for other, name in taken:
            if mine[1] >= 0 and overlap(mine, other):
                whose = f" of network '{owners[name]}'" if name in owners else ""
                raise InternalError(
                    f"Network is already in use by interface {name}{whose}"
                    f" ({other[0].text}/{other[1]} overlaps {mine[0].network(mine[1]).text}/{mine[1]})",
                    domain=VIR_FROM_NETWORK,
                )
    for route in net.routes:
        address, prefix, _ = check_route(route, net.name or "")
        for other, name in taken:
            if other[0].value == address.value and other[1] == prefix and other[0].family == address.family:
                raise InternalError(
                    f"Route address '{address.text}' conflicts with IP address for '{name}'", domain=VIR_FROM_NETWORK
                )


def candidates(family: int) -> Iterable[tuple[int, int]]:
    """First addresses and prefixes to try: libvirt's own and its neighbours, then all private ones; or random ULAs."""
    if family != IPV4:
        for _ in range(64):
            yield (0xFD << 120) | (secrets.randbits(40) << 80), 64
        return
    for third in [*range(122, 255), *range(1, 122)]:
        yield (192 << 24) | (168 << 16) | (third << 8), 24
    for second in range(16, 32):
        for third in range(256):
            yield (172 << 24) | (second << 16) | (third << 8), 24


def choose(link: Netlink, family: int, defined: Iterable[Block]) -> tuple[str, int]:
    """A block that neither the host's routes nor the networks that are `defined` use: its gateway and prefix.

    Raises OperationFailed when every private block is taken.
    """
    taken = [other for other, _ in routed(link)] + list(defined)
    for value, prefix in candidates(family):
        mine = (at(family, value), prefix)
        if not any(overlap(mine, other) for other in taken if other[1] >= 0):
            return at(family, value + 1).text, prefix
    raise OperationFailed(f"no free private IPv{family} block of addresses is left", domain=VIR_FROM_NETWORK)
