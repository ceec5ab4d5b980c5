"""The D-Bus and the text face of every type: what goes in comes out, and fits its signature."""

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.declared import CONTRACTS, all_calls, bus_calls, plain, values

from splitvirt.api.domain_device import InterfaceAddresses, IPAddress
from splitvirt.api.errors import InvalidArg
from splitvirt.api.event import events
from splitvirt.api.opaque import Bitmap, Chars, CpuTextWire, FdWire, Opaque
from splitvirt.api.params import Params
from splitvirt.api.record import NamedObject, Object, ObjectWire, RecordWire, Ref, wire
from splitvirt.api.types import I32, U32, Size, Uuid
from splitvirt.api.wire import Boolean, Many, Number, Optional, Pairs, String, UuidWire, Wire

QUICK = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ON_BUS = [made for made in [*all_calls(), *bus_calls()] if made.dbus or made.prop]
EVERY: dict[str, Wire] = {
    f"{made!r} {name}": kind for made in ON_BUS for name, kind in [*made.bus_params, ("result", made.result)] if kind
}
EVERY |= {f"{one!r} {name}": kind for root in CONTRACTS for one in events(root) for name, kind in one.bus_fields}


class Variant(NamedTuple):
    """A variant of no library."""

    signature: str
    value: Any


class Carrier:
    """What a message supplies: paths are kept with what they name."""

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}
        self.fds: list[int] = []

    def path(self, target: Object) -> str:
        return self.named.setdefault(f"/x/{len(self.named)}", target) and f"/x/{len(self.named) - 1}"

    def ref(self, kind: type[Object], path: str) -> Ref:
        found: Ref = self.named[path]
        return found

    def variant(self, signature: str, value: Any) -> Variant:
        return Variant(signature, value)

    def attach(self, fd: int) -> int:
        self.fds.append(fd)
        return len(self.fds) - 1

    def attached(self, at: int) -> int:
        return self.fds[at]


def exact(kind: Wire) -> bool:
    """Whether the D-Bus form keeps everything: not None for "", not what occurs twice, not an object by its name."""
    inner = [vars(kind).get(name) for name in ("of", "key", "value")] + list(vars(kind).get("wires", ()))
    lossy = isinstance(kind, (Optional, Params, NamedObject, CpuTextWire))
    return not lossy and kind.dbus != "u" and all(exact(one) for one in inner if isinstance(one, Wire))


@pytest.mark.parametrize("name", EVERY)
@QUICK
@given(data=st.data())
def test_bus(name: str, data: st.DataObject) -> None:
    kind, carrier = EVERY[name], Carrier()
    value = data.draw(values(kind))
    sent = kind.to_bus(value, carrier)
    assert fits(sent, *single(kind.dbus))
    if exact(kind):
        assert plain(kind.from_bus(sent, carrier)) == plain(value)


def single(signature: str) -> tuple[str, str]:
    """The first complete type of a signature, and the rest."""
    if signature[0] == "a":
        inner, rest = single(signature[1:])
        return "a" + inner, rest
    if signature[0] in "({":
        at = depth = 1
        while depth:
            depth += (signature[at] in "({") - (signature[at] in ")}")
            at += 1
        return signature[:at], signature[at:]
    return signature[0], signature[1:]


RANGES = {"y": (0, 255), "q": (0, 2**16 - 1), "i": (-(2**31), 2**31 - 1), "u": (0, 2**32 - 1)}
RANGES |= {"x": (-(2**63), 2**63 - 1), "t": (0, 2**64 - 1), "h": (0, 15)}


def fits(value: Any, signature: str, rest: str = "") -> bool:
    """Whether a value can be sent under a signature."""
    assert not rest
    head = signature[0]
    if head == "v":
        return fits(value.value, *single(value.signature))
    if signature == "ay":
        return isinstance(value, bytes)
    if signature.startswith("a{"):
        key, item = single(signature[2:-1])
        return all(fits(one, key) and fits(other, *single(item)) for one, other in value.items())
    if head == "a":
        return isinstance(value, list) and all(fits(item, signature[1:]) for item in value)
    if head == "(":
        parts, inner = [], signature[1:-1]
        while inner:
            part, inner = single(inner)
            parts.append(part)
        return len(parts) == len(value) and all(map(fits, value, parts))
    if head in "so":
        return isinstance(value, str)
    if head == "b":
        return isinstance(value, bool)
    if head == "d":
        return isinstance(value, float)
    low, high = RANGES[head]
    return isinstance(value, int) and low <= value <= high


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Opaque(3), b"1234"),
        (Bitmap(1), [True] * 9),
        (Many(String(), 1), ["a", "b"]),
        (Params(0), {"a": Variant("i", 1)}),
    ],
    ids=["bytes", "bits", "list", "parameters"],
)
def test_bounds_on_the_bus(kind: Wire, value: Any) -> None:
    with pytest.raises(InvalidArg):
        kind.from_bus(value, Carrier())


def test_what_the_bus_may_not_say() -> None:
    wrong: list[tuple[Any, Any]] = [(Size, 2**32), (I32, 2**31), (U32, -1), (Uuid, "no")]
    for hint, value in wrong:
        with pytest.raises(InvalidArg):
            wire(hint).from_bus(value, Carrier())
    with pytest.raises(InvalidArg):
        Params(3).from_bus({"a": Variant("ai", [1])}, Carrier())


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "16384", "0-99999999999", "1;2"])
def test_texts_that_are_no_processors(text: str) -> None:
    with pytest.raises(InvalidArg):
        Bitmap(2048).parse(text)


TYPED = (Number, Boolean, String, Optional, UuidWire, Opaque, Bitmap)


@pytest.mark.parametrize("name", [name for name, kind in EVERY.items() if isinstance(kind, TYPED)])
@QUICK
@given(data=st.data())
def test_text(name: str, data: st.DataObject) -> None:
    kind = EVERY[name]
    value = data.draw(values(kind))
    again = kind.parse(kind.text(value))
    if isinstance(kind, Bitmap):
        assert [at for at, bit in enumerate(again) if bit] == [at for at, bit in enumerate(value) if bit]
    else:
        assert again == (value or None if isinstance(kind, Optional) else value)


def test_every_kind_of_type_is_shown() -> None:
    """Nothing that a call answers is without a text."""
    for made in all_calls():
        assert made.result is None or isinstance(
            made.result, (*TYPED, Params, Pairs, Many, RecordWire, ObjectWire, Chars, FdWire)
        )


def test_records_in_text() -> None:
    made = next(made for made in all_calls() if made.name == "interface_addresses")
    assert made.result is not None
    told = [InterfaceAddresses("a", None, [IPAddress(0, "10.0.0.1", 8), IPAddress(0, "10.0.0.2", 8)])]
    assert made.result.text(told * 2).split("\n") == [
        "name: a", "mac: ", "addresses:", "  type: ipv4 (0)", "  address: 10.0.0.1", "  prefix: 8", "  ",
        "  type: ipv4 (0)", "  address: 10.0.0.2", "  prefix: 8", "",
        "name: a", "mac: ", "addresses:", "  type: ipv4 (0)", "  address: 10.0.0.1", "  prefix: 8", "  ",
        "  type: ipv4 (0)", "  address: 10.0.0.2", "  prefix: 8",
    ]  # fmt: skip
