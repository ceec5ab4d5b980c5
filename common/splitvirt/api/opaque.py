"""Types that are bytes underneath: opaque data, C characters, maps of processors; and file descriptors beside them."""

import struct
from collections.abc import Sequence
from typing import Any

from .errors import InvalidArg, RPCError
from .wire import COUNT, Bus, Payload, Reader, String, Wire, bounded, counted


class Opaque(Wire):
    """Bytes, at most `limit`."""

    xdr, dbus = "opaque", "ay"

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def pack(self, value: Any, out: Payload) -> None:
        counted(value, self.limit, out)

    def unpack(self, data: Reader) -> bytes:
        return data.opaque(self.limit)

    def from_bus(self, value: Any, bus: Bus) -> bytes:
        return bytes(bounded(value, self.limit))

    def parse(self, text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise InvalidArg(f"'{text}' is not hexadecimal") from None

    def text(self, value: Any) -> str:
        return str(value.hex())


class Chars(Wire):
    """Text as C characters, four bytes each in XDR: `fixed` many with NULs behind, else a list of at most `limit`."""

    xdr, dbus = "char", "s"

    def __init__(self, limit: int, fixed: bool = False) -> None:
        self.limit, self.fixed = limit, fixed

    def pack(self, value: Any, out: Payload) -> None:
        raw = value.encode()[: self.limit - 1] + b"\0"
        raw = raw.ljust(self.limit, b"\0") if self.fixed else raw
        if not self.fixed:
            out += COUNT.pack(len(raw))
        out += struct.pack(f">{len(raw)}i", *raw)

    def unpack(self, data: Reader) -> str:
        size = self.limit if self.fixed else data.count(self.limit)
        raw = bytes(char & 0xFF for char in data.take(struct.Struct(f">{size}i")))
        return raw.split(b"\0", 1)[0].decode()

    def parse(self, text: str) -> str:
        return text


class Bitmap(Wire):
    """Processors: a truth value for each, from number 0 on; bytes of bits in XDR, lowest first."""

    xdr, dbus = "opaque", "ab"

    def __init__(self, limit: int) -> None:
        self.limit = limit

    @staticmethod
    def bits(value: Sequence[bool], size: int = 0) -> bytes:
        """As bytes, `size` many if given."""
        number = sum(1 << at for at, bit in enumerate(value) if bit)
        return number.to_bytes(max((len(value) + 7) // 8, size), "little")[: size or None]

    @staticmethod
    def read(raw: bytes) -> list[bool]:
        """The truth values in bytes."""
        return [bool(byte >> bit & 1) for byte in raw for bit in range(8)]

    def pack(self, value: Any, out: Payload) -> None:
        counted(self.bits(value), self.limit, out)

    def unpack(self, data: Reader) -> list[bool]:
        return self.read(data.opaque(self.limit))

    def from_bus(self, value: Any, bus: Bus) -> list[bool]:
        return list(bounded(value, self.limit * 8))

    def parse(self, text: str) -> list[bool]:
        chosen: set[int] = set()
        for part in filter(None, text.split(",")):
            low, dash, high = part.partition("-")
            high = high if dash else low
            if not (low.isdecimal() and high.isdecimal() and int(low) <= int(high) < self.limit * 8):
                raise InvalidArg(f"'{text}' is not a list of processors like 0-3,5")
            chosen.update(range(int(low), int(high) + 1))
        return [number in chosen for number in range(max(chosen, default=-1) + 1)]

    def text(self, value: Any) -> str:
        return ",".join(str(at) for at, bit in enumerate(value) if bit)


class CpuTextWire(String):
    """Processors as text like "0-3,5" in XDR and here; truth values on D-Bus."""

    dbus = "ab"

    def to_bus(self, value: Any, bus: Bus) -> list[bool]:
        return Bitmap(2048).parse(value)

    def from_bus(self, value: Any, bus: Bus) -> str:
        return Bitmap(2048).text(value)


class FdWire(Wire):
    """A file descriptor, or a list of them: no XDR bytes, they travel beside the payload."""

    def __init__(self, many: bool) -> None:
        self.many, self.dbus = many, "ah" if many else "h"

    def pack(self, value: Any, out: Payload) -> None:
        out.fds = [*out.fds, *(value if self.many else [value])]

    def unpack(self, data: Reader) -> Any:
        if self.many:
            taken, data.fds = data.fds, []
            return taken
        if not data.fds:
            raise RPCError("Unable to decode message payload: a file descriptor is missing")
        return data.fds.pop(0)

    def to_bus(self, value: Any, bus: Bus) -> Any:
        return [bus.attach(fd) for fd in value] if self.many else bus.attach(value)

    def from_bus(self, value: Any, bus: Bus) -> Any:
        return [bus.attached(at) for at in value] if self.many else bus.attached(value)
