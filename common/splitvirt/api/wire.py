"""How values travel. Each type is one object with three faces: XDR, D-Bus and text.

Every count and length is bounded; what does not fit, or is not there, is an `RPCError`.
"""

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from .errors import InvalidArg, RPCError
from .meaning import word

if TYPE_CHECKING:
    from .record import Object

STRING_MAX = 4194304
COUNT = struct.Struct(">I")
Data = bytes | bytearray | memoryview
Make = Callable[[type["Object"], dict[str, Any]], Any]


class Bus(Protocol):
    """What the D-Bus side supplies to the types."""

    def path(self, target: "Object") -> str:
        """The path of an object."""

    def ref(self, kind: type["Object"], path: str) -> Any:
        """What a path refers to."""

    def variant(self, signature: str, value: Any) -> Any:
        """The library's variant; what it gives back has `signature` and `value` too."""

    def attach(self, fd: int) -> int:
        """Have the message carry a descriptor; its place among those of the message."""

    def attached(self, at: int) -> int:
        """The descriptor at a place among those of the message; it stays the message's."""


class Payload(bytearray):
    """An XDR payload being written, and the file descriptors that go beside it."""

    fds: Sequence[int] = ()


class Reader:
    """A cursor over one XDR payload and the file descriptors that came with it.

    `make(kind, fields)` builds what a reference to an object becomes.
    """

    __slots__ = ("at", "data", "fds", "make")

    def __init__(self, data: Data, fds: Sequence[int] = (), make: Make | None = None) -> None:
        self.data, self.at, self.fds, self.make = data, 0, list(fds), make

    def take(self, form: struct.Struct) -> tuple[Any, ...]:
        """The next values of a fixed form."""
        at = self.at
        self.at = at + form.size
        return form.unpack_from(self.data, at)

    def opaque(self, limit: int) -> bytes:
        """The next counted bytes, at most `limit`."""
        (size,) = COUNT.unpack_from(self.data, self.at)
        start = self.at + 4
        if size > limit or start + size > len(self.data):
            raise RPCError(f"Unable to decode message payload: {size} bytes where {limit} are allowed")
        self.at = start + size + (-size & 3)
        return bytes(self.data[start : start + size])

    def count(self, limit: int) -> int:
        """The next list's length, at most `limit`."""
        (size,) = COUNT.unpack_from(self.data, self.at)
        if size > limit:
            raise RPCError(f"Unable to decode message payload: {size} items where {limit} are allowed")
        self.at += 4
        return int(size)

    def finish(self) -> None:
        """Refuse what is left over."""
        if self.at != len(self.data):
            raise RPCError(f"Unable to decode message payload: {len(self.data)} bytes where {self.at} were expected")


def bounded(value: Any, limit: int) -> Any:
    """A list, mapping or bytes that came over D-Bus. InvalidArg when it is longer than `limit`."""
    if len(value) > limit:
        raise InvalidArg(f"{len(value)} items where {limit} are allowed")
    return value


def counted(data: bytes, limit: int, out: Payload) -> None:
    """Write bytes with their count, padded to four."""
    if len(data) > limit:
        raise RPCError(f"Unable to encode message payload: {len(data)} bytes where {limit} are allowed")
    out += COUNT.pack(len(data))
    out += data
    out += bytes(-len(data) & 3)


class Wire:
    """One type. `xdr` is its name in the protocol, `dbus` its signature."""

    xdr = ""
    dbus = ""
    form = ""  # the struct letters of a type of fixed size whose value is one struct item

    def pack(self, value: Any, out: Payload) -> None:
        """Append the XDR form."""
        raise NotImplementedError

    def unpack(self, data: Reader) -> Any:
        """Read the XDR form."""
        raise NotImplementedError

    def to_bus(self, value: Any, bus: Bus) -> Any:
        """The D-Bus form."""
        return value

    def from_bus(self, value: Any, bus: Bus) -> Any:
        """The value of a D-Bus form."""
        return value

    def parse(self, text: str) -> Any:
        """The value that a person typed."""
        raise InvalidArg(f"'{text}' cannot be given as text")

    def text(self, value: Any) -> str:
        """The value for a person to read."""
        return str(value)

    def on_bus(self, signature: str) -> "Wire":
        """The same type under another D-Bus signature of the same kind."""
        made: Wire = object.__new__(type(self))
        made.__dict__.update(vars(self), dbus=signature)
        return made


class Number(Wire):
    """An integer or a double; XDR widens the small ones to four bytes."""

    def __init__(self, xdr: str, dbus: str, form: str, low: float, high: float) -> None:
        self.xdr, self.dbus, self.form, self.low, self.high = xdr, dbus, form, low, high
        self.struct = struct.Struct(">" + form)

    def pack(self, value: Any, out: Payload) -> None:
        out += self.struct.pack(value)

    def unpack(self, data: Reader) -> Any:
        return data.take(self.struct)[0]

    def to_bus(self, value: Any, bus: Bus) -> Any:
        return value & 0xFFFFFFFF if self.dbus == "u" else value

    def from_bus(self, value: Any, bus: Bus) -> Any:
        return self._checked(value)

    def parse(self, text: str) -> Any:
        try:
            return self._checked(float(text) if self.form == "d" else int(text, 0))
        except ValueError:
            raise InvalidArg(f"'{text}' is not a number") from None

    def _checked(self, value: Any) -> Any:
        if not self.low <= value <= self.high:
            raise InvalidArg(f"{value} is not between {self.low} and {self.high}")
        return value


class Boolean(Wire):
    """Yes or no: an int in XDR."""

    xdr, dbus, form = "int", "b", "i"
    struct = struct.Struct(">i")

    def pack(self, value: Any, out: Payload) -> None:
        out += b"\0\0\0\1" if value else b"\0\0\0\0"

    def unpack(self, data: Reader) -> bool:
        return bool(data.take(self.struct)[0])

    def parse(self, text: str) -> bool:
        if text not in ("yes", "no", "true", "false", "1", "0"):
            raise InvalidArg(f"'{text}' is neither yes nor no")
        return text in ("yes", "true", "1")

    def text(self, value: Any) -> str:
        return "yes" if value else "no"


class String(Wire):
    """UTF-8 text without NUL, at most 4 MiB."""

    xdr, dbus = "remote_nonnull_string", "s"

    def pack(self, value: Any, out: Payload) -> None:
        counted(value.encode(), STRING_MAX, out)

    def unpack(self, data: Reader) -> str:
        raw = data.opaque(STRING_MAX)
        if 0 in raw:
            raise RPCError("Unable to decode message payload: a NUL in a string")
        return raw.decode()

    def parse(self, text: str) -> str:
        return text


class Optional(Wire):
    """A value or none: a counted pointer in XDR, an empty string on D-Bus."""

    def __init__(self, of: Wire, xdr: str) -> None:
        self.of, self.xdr, self.dbus = of, xdr, of.dbus

    def pack(self, value: Any, out: Payload) -> None:
        out += COUNT.pack(value is not None)
        if value is not None:
            self.of.pack(value, out)

    def unpack(self, data: Reader) -> Any:
        return self.of.unpack(data) if data.count(1) else None

    def to_bus(self, value: Any, bus: Bus) -> Any:
        return "" if value is None else self.of.to_bus(value, bus)

    def from_bus(self, value: Any, bus: Bus) -> Any:
        return None if value == "" else self.of.from_bus(value, bus)

    def parse(self, text: str) -> Any:
        return self.of.parse(text) if text else None

    def text(self, value: Any) -> str:
        return "" if value is None else self.of.text(value)


class UuidWire(Wire):
    """A UUID: sixteen bytes in XDR, a string on D-Bus."""

    xdr, dbus = "remote_uuid", "s"

    def pack(self, value: Any, out: Payload) -> None:
        out += value.bytes

    def unpack(self, data: Reader) -> UUID:
        start, data.at = data.at, data.at + 16
        if data.at > len(data.data):
            raise RPCError("Unable to decode message payload: it ends within a UUID")
        return UUID(bytes=bytes(data.data[start : data.at]))

    def to_bus(self, value: Any, bus: Bus) -> str:
        return str(value)

    def from_bus(self, value: Any, bus: Bus) -> UUID:
        return self.parse(value)

    def parse(self, text: str) -> UUID:
        try:
            return UUID(text)
        except ValueError:
            raise InvalidArg(f"malformed UUID '{text}'") from None


class Many(Wire):
    """A list of at most `limit`."""

    def __init__(self, of: Wire, limit: int) -> None:
        self.of, self.limit = of, limit
        self.xdr, self.dbus = f"{of.xdr}<>", f"a{of.dbus}"

    def pack(self, value: Any, out: Payload) -> None:
        if len(value) > self.limit:
            raise RPCError(f"Unable to encode message payload: {len(value)} items where {self.limit} are allowed")
        out += COUNT.pack(len(value))
        pack = self.of.pack
        for item in value:
            pack(item, out)

    def unpack(self, data: Reader) -> list[Any]:
        unpack = self.of.unpack
        return [unpack(data) for _ in range(data.count(self.limit))]

    def to_bus(self, value: Any, bus: Bus) -> list[Any]:
        return [self.of.to_bus(item, bus) for item in value]

    def from_bus(self, value: Any, bus: Bus) -> list[Any]:
        return [self.of.from_bus(item, bus) for item in bounded(value, self.limit)]

    def parse(self, text: str) -> list[Any]:
        return [self.of.parse(item) for item in text.split(",")] if text else []

    def text(self, value: Any) -> str:
        texts = [self.of.text(item) for item in value]
        return ("\n\n" if any("\n" in text for text in texts) else "\n").join(texts)


class Pairs(Wire):
    """A mapping of at most `limit` pairs: a list of records of two in XDR, named `xdr`, a dictionary on D-Bus.

    Keys that are numbers stand for the constants of the prefix `meaning`.
    """

    def __init__(self, key: Wire, value: Wire, limit: int, xdr: str, meaning: str = "") -> None:
        self.key, self.value, self.limit, self.meaning = key, value, limit, meaning
        self.xdr, self.dbus = f"{xdr}<>", f"a{{{key.dbus}{value.dbus}}}"

    def pack(self, value: Any, out: Payload) -> None:
        if len(value) > self.limit:
            raise RPCError(f"Unable to encode message payload: {len(value)} items where {self.limit} are allowed")
        out += COUNT.pack(len(value))
        for key, item in value.items():
            self.key.pack(key, out)
            self.value.pack(item, out)

    def unpack(self, data: Reader) -> dict[Any, Any]:
        return {self.key.unpack(data): self.value.unpack(data) for _ in range(data.count(self.limit))}

    def from_bus(self, value: Any, bus: Bus) -> dict[Any, Any]:
        return dict(bounded(value, self.limit))

    def text(self, value: Any) -> str:
        return "\n".join(f"{self._key(key)}: {item}" for key, item in value.items())

    def _key(self, key: Any) -> str:
        said = word(self.meaning, key) if self.meaning else ""
        return f"{said} ({key})" if said else str(key)
