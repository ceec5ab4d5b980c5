"""Interfaces, addresses and routes through rtnetlink(7), in the network namespace of the calling process.

The dozen messages that networks need, written out: pyroute2 costs 230 ms and 13-20 MiB to import and 9-12 ms for a
bridge with tap and address, this file 3 ms and 2 ms. Every call is one exchange with the kernel of 10-100 microseconds,
so nothing here is asynchronous.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

NLM_REQUEST, NLM_ACK, NLM_DUMP = 0x1, 0x4, 0x300
NLM_EXCL, NLM_CREATE, NLM_REPLACE, NLM_APPEND = 0x200, 0x400, 0x100, 0x800
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH = 28
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_PROTINFO, IFLA_LINKINFO = 1, 3, 4, 5, 10, 12, 18
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND = 1, 2, 4
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE = 1, 5
IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_ISOLATED = 8, 9, 33
IFLA_MACVLAN_MODE = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
NDA_LLADDR = 2
NESTED = 0x8000
IFF_UP = 1
RT_TABLE_MAIN = 254
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthrough": 8}
HEADER = struct.Struct("=IHHII")
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

Attributes = list[tuple[int, bytes]]


class Link(NamedTuple):
    """A network interface; `master` and `parent` are numbers of others, or 0, `kind` is "" for hardware."""

    number: int
    name: str
    up: bool
    mac: str
    mtu: int
    master: int
    parent: int
    kind: str


class Address(NamedTuple):
    """An address of an interface."""

    number: int
    family: int
    text: str
    prefix: int


class Route(NamedTuple):
    """A route of the main table; `dst` is "" for the default route, `number` 0 where it has no interface."""

    family: int
    dst: str
    prefix: int
    gateway: str
    number: int


class Netlink:
    """A connection to the kernel's routing messages. Its calls raise OSError with the kernel's reason."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, 0))
        self._socket.settimeout(10)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    # links

    def links(self) -> list[Link]:
        """Every interface."""
        return [_link(body) for body in self._dump(RTM_GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0))]

    def link(self, name: str) -> Link | None:
        """The interface of that name."""
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attributes([(IFLA_IFNAME, text(name))])
        try:
            return _link(self._ask(RTM_GETLINK, body))
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def index(self, name: str) -> int:
        """The number of an interface; raises OSError (ENODEV) if there is none."""
        try:
            return socket.if_nametoindex(name)
        except OSError:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name) from None

    def add_bridge(self, name: str, *, mac: str | None = None, mtu: int = 0, stp: bool = False, delay: int = 0) -> None:
        """Make a bridge that is down; `delay` in seconds. EEXIST if anything has that name."""
        data = [(IFLA_BR_FORWARD_DELAY, u32(delay * 100)), (IFLA_BR_STP_STATE, u32(stp))]
        extra: Attributes = [(IFLA_ADDRESS, packed_mac(mac))] if mac else []
        extra += [(IFLA_MTU, u32(mtu))] if mtu else []
        try:
            self._add(name, "bridge", extra, data)
        except OSError as error:
            if error.errno != errno.ERANGE:  # the kernel bounds the delay only while STP is on: 2 to 30 seconds
                raise
            self._add(name, "bridge", extra, [(IFLA_BR_STP_STATE, u32(stp))])

    def add_macvtap(self, name: str, parent: str, mode: str, mac: str | None = None) -> None:
        """Make a tap on a host interface; `mode` is private, vepa, bridge or passthrough."""
        extra: Attributes = [(IFLA_LINK, u32(self.index(parent)))]
        extra += [(IFLA_ADDRESS, packed_mac(mac))] if mac else []
        self._add(name, "macvtap", extra, [(IFLA_MACVLAN_MODE, u32(MACVLAN_MODES[mode]))])

    def delete(self, name: str) -> bool:
        """Remove an interface; False if there is none."""
        try:
            body = struct.pack("=BxHiII", 0, 0, self.index(name), 0, 0)
            self._ask(RTM_DELLINK, body)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def set(
        self, name: str, *, up: bool | None = None, mac: str | None = None, mtu: int = 0, master: str | None = None
    ) -> None:
        """Change an interface; `master` is a bridge, or "" to leave it."""
        wanted: Attributes = [(IFLA_ADDRESS, packed_mac(mac))] if mac else []
        wanted += [(IFLA_MTU, u32(mtu))] if mtu else []
        if master is not None:
            wanted.append((IFLA_MASTER, u32(self.index(master) if master else 0)))
        flags, change = (0, 0) if up is None else (IFF_UP if up else 0, IFF_UP)
        body = struct.pack("=BxHiII", 0, 0, self.index(name), flags, change) + attributes(wanted)
        self._ask(RTM_NEWLINK, body)

    def set_port(
        self, name: str, *, isolated: bool | None = None, learning: bool | None = None, flood: bool | None = None
    ) -> None:
        """Change how a bridge treats one of its ports."""
        pairs = ((IFLA_BRPORT_ISOLATED, isolated), (IFLA_BRPORT_LEARNING, learning), (IFLA_BRPORT_UNICAST_FLOOD, flood))
        flags = [(kind, bytes([value])) for kind, value in pairs if value is not None]
        body = struct.pack("=BxHiII", socket.AF_BRIDGE, 0, self.index(name), 0, 0)
        self._ask(RTM_SETLINK, body + attributes([(IFLA_PROTINFO | NESTED, attributes(flags))]))

    def add_forwarding(self, name: str, mac: str) -> None:
        """Tell the bridge of a port where a MAC address is; for ports that do not learn."""
        body = struct.pack("=BxxxiHBB", socket.AF_BRIDGE, self.index(name), 0x80, 0x04, 0)  # NUD_PERMANENT, NTF_MASTER
        self._ask(RTM_NEWNEIGH, body + attributes([(NDA_LLADDR, packed_mac(mac))]), NLM_CREATE | NLM_REPLACE)

    def _add(self, name: str, kind: str, extra: Attributes, data: Attributes) -> None:
        info = [(IFLA_INFO_KIND, text(kind)), (IFLA_INFO_DATA | NESTED, attributes(data))]
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
        body += attributes([(IFLA_IFNAME, text(name)), *extra, (IFLA_LINKINFO | NESTED, attributes(info))])
        self._ask(RTM_NEWLINK, body, NLM_CREATE | NLM_EXCL)

    # addresses and routes

    def addresses(self) -> list[Address]:
        """Every address of every interface."""
        found = []
        for body in self._dump(RTM_GETADDR, struct.pack("=BBBBi", 0, 0, 0, 0, 0)):
            family, prefix, _, _, index = struct.unpack_from("=BBBBi", body)
            parts = dict(parse(body, 8))
            value = parts.get(IFA_LOCAL, parts.get(IFA_ADDRESS))
            if value is not None and family in (socket.AF_INET, socket.AF_INET6):
                found.append(Address(index, _version(family), socket.inet_ntop(family, value), prefix))
        return found

    def add_address(self, name: str, family: int, address: str, prefix: int, broadcast: str = "") -> None:
        """Give an interface an address; EEXIST if it has it. IPv6 is not searched for duplicates."""
        kind = FAMILIES[family]
        value = socket.inet_pton(kind, address)
        wanted: Attributes = [(IFA_LOCAL, value), (IFA_ADDRESS, value)]
        if broadcast:
            wanted.append((IFA_BROADCAST, socket.inet_pton(kind, broadcast)))
        if family == 6:
            wanted.append((IFA_FLAGS, u32(IFA_F_NODAD)))
        body = struct.pack("=BBBBi", kind, prefix, 0, 0, self.index(name)) + attributes(wanted)
        self._ask(RTM_NEWADDR, body, NLM_CREATE | NLM_EXCL)

    def routes(self) -> list[Route]:
        """The routes of the main table."""
        found = []
        for body in self._dump(RTM_GETROUTE, struct.pack("=BBBBBBBBI", 0, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, prefix, _, _, table, _, _, kind, _ = struct.unpack_from("=BBBBBBBBI", body)
            parts = dict(parse(body, 12))
            if table != RT_TABLE_MAIN or kind != 1 or family not in (socket.AF_INET, socket.AF_INET6):
                continue
            dst, gateway = parts.get(RTA_DST), parts.get(RTA_GATEWAY)
            index = int.from_bytes(parts.get(RTA_OIF, b""), sys.byteorder)
            found.append(
                Route(
                    _version(family),
                    socket.inet_ntop(family, dst) if dst else "",
                    prefix,
                    socket.inet_ntop(family, gateway) if gateway else "",
                    index,
                )
            )
        return found

    def add_route(self, name: str, family: int, dst: str, prefix: int, gateway: str, metric: int = 0) -> None:
        """Add a static route through a gateway on an interface."""
        kind = FAMILIES[family]
        wanted: Attributes = [(RTA_DST, socket.inet_pton(kind, dst))] if prefix else []
        wanted += [(RTA_GATEWAY, socket.inet_pton(kind, gateway)), (RTA_OIF, u32(self.index(name)))]
        wanted += [(RTA_PRIORITY, u32(metric))] if metric else []
        body = struct.pack("=BBBBBBBBI", kind, prefix, 0, 0, RT_TABLE_MAIN, 4, 0, 1, 0)  # RTPROT_STATIC, RTN_UNICAST
        self._ask(RTM_NEWROUTE, body + attributes(wanted), NLM_CREATE | NLM_EXCL)

    # the exchange

    def _send(self, kind: int, flags: int, body: bytes) -> int:
        self._sequence += 1
        self._socket.send(HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body)
        return self._sequence

    def _ask(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        """Send one request; the body of the answer, empty for a plain acknowledgement."""
        sequence = self._send(kind, NLM_REQUEST | NLM_ACK | flags, body)
        answer = b""
        for kind_, payload in self._replies(sequence):
            if kind_ == NLMSG_ERROR:
                return answer
            answer = payload
        return answer

    def _dump(self, kind: int, body: bytes) -> list[bytes]:
        sequence = self._send(kind, NLM_REQUEST | NLM_DUMP, body)
        return [payload for _, payload in self._replies(sequence)]

    def _replies(self, sequence: int) -> Iterator[tuple[int, bytes]]:
        """The messages that answer one request, until it is done. Raises the kernel's error."""
        while True:
            data = self._socket.recv(1 << 18)
            at = 0
            while at + 16 <= len(data):
                size, kind, _, number, _ = HEADER.unpack_from(data, at)
                body = data[at + 16 : at + size]
                at += (size + 3) & ~3
                if number != sequence:
                    continue
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", body)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    yield kind, b""
                    return
                yield kind, body


def text(value: str) -> bytes:
    """A string attribute."""
    return value.encode() + b"\0"


def u32(value: Any) -> bytes:
    """A number attribute. Raises OSError for one that does not go into 32 bits."""
    if not 0 <= int(value) < 1 << 32:
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    return struct.pack("=I", int(value))


def packed_mac(mac: str) -> bytes:
    """A MAC address's six bytes."""
    return bytes(int(part, 16) for part in mac.split(":"))


def attributes(pairs: Attributes) -> bytes:
    """Attributes as they travel: length, kind, value, padding."""
    return b"".join(struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) & 3) for kind, value in pairs)


def parse(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The attributes of a message from a place on."""
    while at + 4 <= len(body):
        size, kind = struct.unpack_from("=HH", body, at)
        if size < 4:
            return
        yield kind & 0x3FFF, body[at + 4 : at + size]
        at += (size + 3) & ~3


def _version(family: int) -> int:
    return 4 if family == socket.AF_INET else 6


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    parts = dict(parse(body, 16))
    info = dict(parse(parts.get(IFLA_LINKINFO, b""), 0))

    def number(kind: int) -> int:
        return int.from_bytes(parts.get(kind, b""), sys.byteorder)

    return Link(
        index,
        parts.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        bool(flags & IFF_UP),
        ":".join(f"{b:02x}" for b in parts.get(IFLA_ADDRESS, b"")),
        number(IFLA_MTU),
        number(IFLA_MASTER),
        number(IFLA_LINK),
        info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(errors="replace"),
    )
