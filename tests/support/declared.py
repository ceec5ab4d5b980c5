"""What the tests need of the declarations: all contracts, the types as flat facts, values of every type."""

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from splitvirt.api import constants as c
from splitvirt.api.admin import Admin
from splitvirt.api.call import Call, calls
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.interface import Interfaces
from splitvirt.api.network import Networks
from splitvirt.api.nodedev import NodeDevices
from splitvirt.api.nwfilter import NWFilters
from splitvirt.api.opaque import Bitmap, Chars, CpuTextWire, FdWire, Opaque
from splitvirt.api.params import Params, TypedParam
from splitvirt.api.program import PROGRAMS
from splitvirt.api.record import ObjectWire, Record, RecordWire, Ref
from splitvirt.api.secret import Secrets
from splitvirt.api.shape import INT, UINT
from splitvirt.api.storage import Storage
from splitvirt.api.wire import Boolean, Many, Number, Optional, Pairs, String, UuidWire, Wire

CONTRACTS: tuple[type, ...] = (
    Hypervisor, Networks, Storage, NodeDevices, Secrets, Interfaces, NWFilters, Admin,
)  # fmt: skip
NUMBERS = {"int": "int", "unsigned int": "uint", "hyper": "hyper", "unsigned hyper": "uhyper", "double": "double"}
NUMBERS |= {"char": "char", "unsigned char": "uchar", "unsigned short": "ushort"}
PROGRAM_NAMES = {number: name for name, number in PROGRAMS.items()}


def all_calls() -> list[Call]:
    """Every declared call once, without the older procedures."""
    found: dict[tuple[int, int], Call] = {}
    for contract in CONTRACTS:
        for made in calls(contract):
            if made.rpc:
                found.setdefault((made.program, made.rpc), made)
    return list(found.values())


def bus_calls() -> list[Call]:
    """Every declared call that only D-Bus has."""
    return [made for contract in CONTRACTS for made in calls(contract) if not made.rpc]


def facts(wire: Wire) -> str:
    """A type in the words of wire.json; fields that only the wire has are `count`, whatever their sign."""
    match wire:
        case _ if wire.xdr and wire.__dict__ in (INT.__dict__, UINT.__dict__) and wire in (INT, UINT):
            return "count"
        case Number():
            return NUMBERS[wire.xdr]
        case Boolean():
            return "int"
        case CpuTextWire() | String():
            return "string"
        case Optional():
            return f"{facts(wire.of)}?"
        case UuidWire():
            return "uuid"
        case Opaque() | Bitmap():
            return f"opaque<{wire.limit}>"
        case Chars():
            return f"char[{wire.limit}]" if wire.fixed else f"char<{wire.limit}>"
        case Params():
            return f"[{wire.limit}: string value]"
        case Many():
            return f"[{wire.limit}: {facts(wire.of)}]"
        case Pairs():
            return f"[{wire.limit}: {facts(wire.key)} {facts(wire.value)}]"
        case RecordWire() | ObjectWire():
            return " ".join(filter(None, map(facts, wire.layout.wires)))
        case FdWire():
            return ""
    raise TypeError(wire)


def same(ours: str, theirs: str) -> bool:
    """Whether two lines of facts are the same; `count` stands for either sign."""
    one, other = ours.split(), theirs.split()
    return len(one) == len(other) and all(
        a == b or (a == "count" and b in ("int", "uint")) for a, b in zip(one, other, strict=True)
    )


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PARAM = st.one_of(
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_INT), st.integers(-(2**31), 2**31 - 1)),
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_UINT), st.integers(0, 2**32 - 1)),
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_LLONG), st.integers(-(2**63), 2**63 - 1)),
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_ULLONG), st.integers(0, 2**64 - 1)),
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_DOUBLE), st.floats(allow_nan=False)),
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_BOOLEAN), st.booleans()),
    st.builds(TypedParam, TEXT, st.just(c.VIR_TYPED_PARAM_STRING), TEXT),
)


def values(wire: Wire) -> st.SearchStrategy[Any]:
    """Values that a type carries."""
    match wire:
        case Boolean():
            return st.booleans()
        case Number():
            return st.integers(int(wire.low), int(wire.high))
        case CpuTextWire():
            return st.sampled_from(["0", "0-3", "1,5-6"])
        case String():
            return TEXT
        case Optional():
            return st.none() | values(wire.of)
        case UuidWire():
            return st.uuids()
        case Opaque():
            return st.binary(max_size=9)
        case Bitmap():
            return st.lists(st.booleans(), min_size=8, max_size=8)
        case Chars():
            return st.text("abc", max_size=8)
        case Params():
            return st.lists(PARAM, max_size=4)
        case Many():
            return st.lists(values(wire.of), max_size=3)
        case Pairs():
            return st.dictionaries(values(wire.key), values(wire.value), max_size=3)
        case RecordWire():
            return st.builds(wire.kind, *map(values, wire.wires))
        case ObjectWire():
            kind, names = wire.kind, wire.names
            return st.tuples(*map(values, wire.layout.wires)).map(
                lambda got: Ref(kind, dict(zip(names, got, strict=True)))
            )
        case FdWire():
            return st.lists(st.integers(3, 9), max_size=3) if wire.many else st.integers(3, 9)
    raise TypeError(wire)


def plain(value: Any) -> Any:
    """A value with references and records taken apart, to be compared."""
    if isinstance(value, Ref):
        return (value.kind, {name: plain(item) for name, item in vars(value).items()})
    if isinstance(value, Record):
        return (type(value), [plain(item) for item in value])
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, UUID) else value
