"""dnsmasq's own lease file, read when somebody asks: no program runs per lease, nothing is kept twice."""

from pathlib import Path
from typing import NamedTuple

from splitvirt.xml.netaddress import parse_address, parse_mac


class Entry(NamedTuple):
    """One lease: its end in seconds since 1970 (0: never); `mac` is "" where an IPv6 client's id has none in it."""

    expires: int
    family: int
    mac: str
    iaid: str | None
    address: str
    hostname: str | None
    client_id: str | None


def mac_of_duid(duid: str) -> str:
    """The MAC address in a DHCPv6 client's id, where its kind has one: 1 with a time, 3 without."""
    parts = duid.split(":")
    skip = {("00", "01"): 8, ("00", "03"): 4}.get((parts[0], parts[1]) if len(parts) > 1 else ("", ""))
    return parse_mac(":".join(parts[skip:])) or "" if skip and len(parts) == skip + 6 else ""


def read(path: Path) -> list[Entry]:
    """The leases of a file; none if there is no file. Lines that make no sense are passed over."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        words = line.split()
        if len(words) != 5 or not words[0].isdigit():
            continue  # "duid ..." is the server's own id
        expires, who, where, name, client = words
        address = parse_address(where)
        if address is None:
            continue
        six = address.family == 6
        known = None if client == "*" else client
        mac = mac_of_duid(client) if six else parse_mac(who.rpartition("-")[2]) or ""
        found.append(
            Entry(
                int(expires), address.family, mac, who.lstrip("T") if six else None, address.text,
                None if name == "*" else name, known,
            )
        )  # fmt: skip
    return found
