"""libvirt's typed parameters: named values that keep their C type."""

import functools
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from . import constants as c
from .errors import InvalidArg, RPCError
from .wire import COUNT, STRING_MAX, Bus, Payload, Reader, Wire, bounded, counted

# kind: the struct form, the D-Bus signature
FORMS = {
    c.VIR_TYPED_PARAM_INT: (struct.Struct(">Ii"), "i"),
    c.VIR_TYPED_PARAM_UINT: (struct.Struct(">II"), "u"),
    c.VIR_TYPED_PARAM_LLONG: (struct.Struct(">Iq"), "x"),
    c.VIR_TYPED_PARAM_ULLONG: (struct.Struct(">IQ"), "t"),
    c.VIR_TYPED_PARAM_DOUBLE: (struct.Struct(">Id"), "d"),
    c.VIR_TYPED_PARAM_BOOLEAN: (struct.Struct(">Ii"), "b"),
}
KINDS = {signature: kind for kind, (_, signature) in FORMS.items()} | {"s": c.VIR_TYPED_PARAM_STRING}


class TypedParam(NamedTuple):
    """One of them; `kind` is VIR_TYPED_PARAM_*. Names may occur more than once in a list."""

    name: str
    kind: int
    value: Any

    @classmethod
    def int_(cls, name: str, value: int) -> "TypedParam":
        """A C int."""
        return cls(name, c.VIR_TYPED_PARAM_INT, value)

    @classmethod
    def uint(cls, name: str, value: int) -> "TypedParam":
        """A C unsigned int."""
        return cls(name, c.VIR_TYPED_PARAM_UINT, value)

    @classmethod
    def llong(cls, name: str, value: int) -> "TypedParam":
        """A C long long."""
        return cls(name, c.VIR_TYPED_PARAM_LLONG, value)

    @classmethod
    def ullong(cls, name: str, value: int) -> "TypedParam":
        """A C unsigned long long."""
        return cls(name, c.VIR_TYPED_PARAM_ULLONG, value)

    @classmethod
    def double(cls, name: str, value: float) -> "TypedParam":
        """A C double."""
        return cls(name, c.VIR_TYPED_PARAM_DOUBLE, value)

    @classmethod
    def boolean(cls, name: str, value: bool) -> "TypedParam":
        """Yes or no."""
        return cls(name, c.VIR_TYPED_PARAM_BOOLEAN, value)

    @classmethod
    def string(cls, name: str, value: str) -> "TypedParam":
        """Text."""
        return cls(name, c.VIR_TYPED_PARAM_STRING, value)


def values(params: Iterable[TypedParam]) -> dict[str, Any]:
    """Their values by name; of a name that occurs twice, the last."""
    return {param.name: param.value for param in params}


@functools.lru_cache(4096)
def _name(name: str) -> bytes:
    out = Payload()
    counted(name.encode(), STRING_MAX, out)
    return bytes(out)


class Params(Wire):
    """A list of at most `limit` typed parameters: `a{sv}` on D-Bus."""

    dbus = "a{sv}"

    def __init__(self, limit: int, xdr: str = "remote_typed_param") -> None:
        self.limit, self.xdr = limit, f"{xdr}<>"

    def pack(self, value: Any, out: Payload) -> None:
        if len(value) > self.limit:
            raise RPCError(f"Unable to encode message payload: {len(value)} items where {self.limit} are allowed")
        out += COUNT.pack(len(value))
        for name, kind, item in value:
            out += _name(name)
            if kind == c.VIR_TYPED_PARAM_STRING:
                out += COUNT.pack(kind)
                counted(item.encode(), STRING_MAX, out)
            else:
                out += FORMS[kind][0].pack(kind, item)

    def unpack(self, data: Reader) -> list[TypedParam]:
        return [self._one(data) for _ in range(data.count(self.limit))]

    def _one(self, data: Reader) -> TypedParam:
        name = self._text(data)
        (kind,) = COUNT.unpack_from(data.data, data.at)
        if kind == c.VIR_TYPED_PARAM_STRING:
            data.at += 4
            return TypedParam(name, kind, self._text(data))
        if kind not in FORMS:
            raise RPCError(f"Unable to decode message payload: a typed parameter of kind {kind}")
        value = data.take(FORMS[kind][0])[1]
        return TypedParam(name, kind, bool(value) if kind == c.VIR_TYPED_PARAM_BOOLEAN else value)

    def _text(self, data: Reader) -> str:
        raw = data.opaque(STRING_MAX)
        if 0 in raw:
            raise RPCError("Unable to decode message payload: a NUL in a string")
        return raw.decode()

    def to_bus(self, value: Any, bus: Bus) -> dict[str, Any]:
        return {
            name: bus.variant(
                FORMS[kind][1] if kind in FORMS else "s", bool(item) if kind == c.VIR_TYPED_PARAM_BOOLEAN else item
            )
            for name, kind, item in value
        }

    def from_bus(self, value: Any, bus: Bus) -> list[TypedParam]:
        return [self._of_variant(name, item) for name, item in bounded(value, self.limit).items()]

    def _of_variant(self, name: str, item: "Variant") -> TypedParam:
        if item.signature not in KINDS:
            raise InvalidArg(f"parameter '{name}' has the D-Bus type '{item.signature}', not one of {', '.join(KINDS)}")
        return TypedParam(name, KINDS[item.signature], item.value)

    def parse(self, text: str) -> list[TypedParam]:
        """From `name:u=5,other:s=text`, the letter being the D-Bus type."""
        return [self._of_text(part) for part in text.split(",") if part]

    def _of_text(self, part: str) -> TypedParam:
        head, _, raw = part.partition("=")
        name, _, letter = head.partition(":")
        if letter not in KINDS:
            raise InvalidArg(f"'{part}' is not a parameter like name:u=5, with one of {', '.join(KINDS)}")
        try:
            value = raw if letter == "s" else float(raw) if letter == "d" else int(raw, 0)
        except ValueError:
            raise InvalidArg(f"'{raw}' is not a number") from None
        return TypedParam(name, KINDS[letter], bool(value) if letter == "b" else value)

    def text(self, value: Any) -> str:
        return "\n".join(f"{name}: {item}" for name, _, item in value)


class Variant(Protocol):
    """A D-Bus variant of any library."""

    signature: str
    value: Any
