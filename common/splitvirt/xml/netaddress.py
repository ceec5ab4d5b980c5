"""IP and MAC addresses as libvirt reads and prints them, and the checks of a static route."""

import re
import socket
from collections.abc import Callable
from typing import NamedTuple, Protocol

from splitvirt.api.errors import XMLError

IPV4, IPV6 = 4, 6
BITS = {IPV4: 32, IPV6: 128}


class Address(NamedTuple):
    """An address: its family (4 or 6), its number, and the text that libvirt prints."""

    family: int
    value: int
    text: str

    def network(self, prefix: int) -> "Address":
        """The first address of the block of `prefix` bits that this one is in."""
        host = BITS[self.family] - prefix
        return at(self.family, self.value >> host << host)

    def broadcast(self, prefix: int) -> "Address":
        """The last address of the block."""
        return at(self.family, self.value | (1 << (BITS[self.family] - prefix)) - 1)

    def within(self, other: "Address", prefix: int) -> bool:
        """Whether it is in the block that `other` is in."""
        host = BITS[self.family] - prefix
        return self.family == other.family and self.value >> host == other.value >> host


def parse_address(text: str | None) -> Address | None:
    """The address that a text stands for, in any spelling that C's getaddrinfo takes; None if it is none."""
    if not text or "\0" in text:
        return None
    try:
        found = socket.getaddrinfo(text, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    family, *_, where = found[0]
    shown = str(where[0])
    if "%" in text and "%" not in shown:
        shown += f"%{text.rpartition('%')[2]}"  # Python leaves the zone of a link-local address out
    packed = socket.inet_pton(family, shown.partition("%")[0])
    return Address(IPV4 if family == socket.AF_INET else IPV6, int.from_bytes(packed, "big"), shown)


def at(family: int, value: int) -> Address:
    """The address of that number."""
    kind = socket.AF_INET if family == IPV4 else socket.AF_INET6
    return Address(family, value, socket.inet_ntop(kind, value.to_bytes(BITS[family] // 8, "big")))


def mask_bits(mask: Address) -> int:
    """The length of a netmask's leading run of ones; -1 if ones follow a zero."""
    value = mask.value
    bits = 32 - (~value & 0xFFFFFFFF).bit_length()
    return bits if value == (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF else -1


def netmask(prefix: int) -> str:
    """An IPv4 prefix as a mask."""
    return at(IPV4, (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF).text


def natural_prefix(address: Address) -> int:
    """The prefix of an address that gives none: by class, or 64; -1 for a multicast address."""
    if address.family == IPV6:
        return 64
    top = address.value >> 24
    return 8 if top < 128 else 16 if top < 192 else 24 if top < 224 else -1


def parse_mac(text: str | None) -> str | None:
    """A MAC address as libvirt prints it, or None: six numbers of one or two hex digits."""
    parts = (text or "").split(":", 5)
    parts[-1] = re.split(r"\s", parts[-1])[0]  # where C's parser stops
    if len(parts) != 6 or not all(0 < len(p) <= 2 and all(c in "0123456789abcdefABCDEF" for c in p) for p in parts):
        return None
    return ":".join(f"{int(p, 16):02x}" for p in parts)


def is_multicast(mac: str) -> bool:
    """Whether a MAC address is a group's."""
    return int(mac[:2], 16) & 1 == 1


class RouteLike(Protocol):
    """What a route holds, as written."""

    family: str | None
    address: str | None
    netmask: str | None
    prefix: int | None
    gateway: str | None


def check_route(route: RouteLike, where: str) -> tuple[Address, int, Address]:
    """Spell a route's addresses as libvirt does; give its network, prefix and gateway.

    `where` begins the messages: a network's name, or "Domain interface". Raises XMLError.
    """

    def wrong(detail: str) -> XMLError:
        return XMLError(f"{where}: {detail}")

    if route.address is None:
        raise wrong("Missing required address attribute in route definition")
    if route.gateway is None:
        raise wrong("Missing required gateway attribute in route definition")
    address, gateway = parse_address(route.address), parse_address(route.gateway)
    if address is None:
        raise wrong(f"Bad network address '{route.address}' in route definition")
    if gateway is None:
        raise wrong(f"Bad gateway address '{route.gateway}' in route definition")
    mask = parse_address(route.netmask)
    if route.netmask is not None and mask is None:
        raise wrong(f"Bad netmask address '{route.netmask}' in route definition")
    _check_family(route, address, gateway, mask, wrong=wrong)
    prefix = _prefix(route, address, mask)
    network = address.network(prefix) if mask is None or mask_bits(mask) >= 0 else at(4, address.value & mask.value)
    if network.value != address.value:
        raise wrong(f"Address '{route.address}' in route definition is not a network address")
    route.address, route.gateway = address.text, gateway.text
    route.netmask = mask.text if mask else None
    return address, prefix, gateway


def _prefix(route: RouteLike, address: Address, mask: Address | None) -> int:
    if route.prefix is not None:
        return route.prefix
    if mask is not None:
        return max(mask_bits(mask), 0)
    return 0


def _check_family(
    route: RouteLike, address: Address, gateway: Address, mask: Address | None, *, wrong: Callable[[str], XMLError]
) -> None:
    if route.family in (None, "ipv4"):
        given = "No family" if route.family is None else "IPv4 family"
        if address.family != IPV4:
            raise wrong(f"{given} specified for non-IPv4 address '{route.address}' in route definition")
        if gateway.family != IPV4:
            raise wrong(f"{given} specified for non-IPv4 gateway '{address.text}' in route definition")
        if mask is not None and mask.family != IPV4:
            raise wrong(f"Invalid netmask '{route.netmask}' for address '{address.text}' (both must be IPv4)")
        if mask is not None and route.prefix is not None:
            raise wrong("Route definition cannot have both a prefix and a netmask")
        if (route.prefix or 0) > 32:
            raise wrong(f"Invalid prefix {route.prefix} specified in route definition, must be 0 - 32")
    elif route.family == "ipv6":
        if address.family != IPV6:
            raise wrong(f"ipv6 family specified for non-IPv6 address '{address.text}' in route definition")
        if mask is not None:
            raise wrong(f"Specifying netmask invalid for IPv6 address '{address.text}' in route definition")
        if gateway.family != IPV6:
            raise wrong(f"ipv6 specified for non-IPv6 gateway address '{gateway.text}' in route definition")
        if (route.prefix or 0) > 128:
            raise wrong(f"Invalid prefix {route.prefix} specified in route definition, must be 0 - 128")
    else:
        raise wrong(f"Unrecognized family '{route.family}' in route definition")
