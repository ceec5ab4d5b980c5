"""Every call and event there and back, and what is cut short, over-long or too much is refused."""

import contextlib
import struct
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.declared import CONTRACTS, all_calls, plain, values

from splitvirt.api import constants as c
from splitvirt.api.call import Call
from splitvirt.api.domain import Domain
from splitvirt.api.errors import InvalidArg, RPCError
from splitvirt.api.event import Event, events
from splitvirt.api.opaque import Bitmap, Opaque
from splitvirt.api.params import Params, TypedParam
from splitvirt.api.record import Layout, Ref
from splitvirt.api.shape import Room
from splitvirt.api.wire import Many, Payload, Reader, String, Wire

CALLS = all_calls()
BY_NAME = {(made.on.__name__, made.name): made for made in CALLS}
EVENT_LIST = [one for contract in CONTRACTS for one in events(contract)]
QUICK = settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def arguments(made: Call) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(*(values(kind) for _, kind in made.params))


def quiet(made: Call, given: tuple[Any, ...]) -> list[Any]:
    """The flags without the bit that is not the method's."""
    clean = list(given)
    if isinstance(made.shape, Room) or made.name == "cpu_stats":
        names = [name for name, _ in made.params]
        if "flags" in names:
            clean[names.index("flags")] &= ~c.VIR_TYPED_PARAM_STRING_OKAY
    if made.name == "cpu_stats":
        clean[2] %= 100
    return clean


@pytest.mark.parametrize("made", CALLS, ids=repr)
@QUICK
@given(data=st.data())
def test_there_and_back(made: Call, data: st.DataObject) -> None:
    given = quiet(made, data.draw(arguments(made)))
    payload = made.pack_args(given)
    assert len(payload) % 4 == 0
    read, note = made.unpack_args(payload, payload.fds)
    assert plain(read) == plain(given)
    if made.result is None or made.name == "cpu_stats":
        return
    result = data.draw(values(made.result))
    if made.name == "cpu_map":
        result = result[:8]
    answer = made.pack_result(result, note)
    assert plain(expected(made, made.unpack_result(answer, answer.fds))) == plain(expected(made, result))


def expected(made: Call, result: Any) -> Any:
    """Maps of processors come back as long as there was room."""
    if made.name in ("vcpu_pins", "emulator_pin", "vcpus"):
        return str(result).replace(", False", "").replace("False", "")
    return result


@pytest.mark.parametrize("made", EVENT_LIST, ids=repr)
@QUICK
@given(data=st.data())
def test_events_there_and_back(made: Event, data: st.DataObject) -> None:
    *_, subject = (data.draw(values(kind)) for kind in made.layout.wires[1 + made.lead : 2 + made.lead])
    told = [data.draw(values(kind)) for _, kind in made.fields]
    callback, who, what = made.unpack(made.pack(7, subject, told))
    assert (callback, plain(who), plain(what)) == (7, plain(subject), plain(told))


@pytest.mark.parametrize("made", CALLS, ids=repr)
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_requests(made: Call, data: st.DataObject) -> None:
    """A request that ends early, or goes on, is an RPC error and nothing else."""
    payload = bytes(made.pack_args(quiet(made, data.draw(arguments(made)))))
    with pytest.raises(RPCError):
        made.unpack_args(payload + bytes(4), [3])
    for end in range(0, len(payload), 4):
        with pytest.raises(RPCError):
            made.unpack_args(payload[:end], [3])


@pytest.mark.parametrize("made", CALLS, ids=repr)
@QUICK
@given(data=st.binary(max_size=200))
def test_noise(made: Call, data: bytes) -> None:
    for read in (made.unpack_args, made.unpack_result):
        with contextlib.suppress(RPCError, InvalidArg):
            read(data, [3])


@pytest.mark.parametrize("made", CALLS, ids=repr)
@QUICK
@given(data=st.data())
def test_mutations(made: Call, data: st.DataObject) -> None:
    """Bytes of a right message changed: it reads, or is refused, and nothing else; on either side."""
    given = quiet(made, data.draw(arguments(made)))
    request = made.pack_args(given)
    _, note = made.unpack_args(request, request.fds)
    answer = bytes(4)
    if made.result is not None and made.name != "cpu_stats":
        answer = bytes(made.pack_result(data.draw(values(made.result)), note))
    changes = data.draw(
        st.lists(st.tuples(st.integers(0, 2**16), st.sampled_from([0, 1, 4, 127, 128, 255])), max_size=3)
    )
    for message, read in ((bytearray(request), made.unpack_args), (bytearray(answer), made.unpack_result)):
        for at, byte in changes:
            if message:
                message[at % len(message)] = byte
        with contextlib.suppress(RPCError, InvalidArg):
            read(message, [3, 4, 5])


def bounded(kind: Wire) -> list[Wire]:
    """The types within a type that count."""
    found = [kind] if hasattr(kind, "limit") else []
    inner = [vars(kind).get(name) for name in ("of", "key", "value")]
    inner += getattr(vars(kind).get("layout"), "wires", ())
    return found + [deep for one in inner if isinstance(one, Wire) for deep in bounded(one)]


BOUNDED = {
    id(kind): kind for made in CALLS for _, field in made.args for kind in bounded(field)
} | {id(kind): kind for made in CALLS for field in made.answer for kind in bounded(field)}  # fmt: skip


@pytest.mark.parametrize("kind", BOUNDED.values(), ids=lambda kind: f"{kind.xdr}-{kind.limit}")
def test_bounds(kind: Any) -> None:
    if getattr(kind, "fixed", False):
        return
    too_many = struct.pack(">I", kind.limit + 1)
    for payload in (too_many, too_many + bytes(64), b"\xff\xff\xff\xff"):
        with pytest.raises(RPCError):
            Layout([kind]).read(Reader(payload))


@pytest.mark.parametrize("kind", [Opaque(4), Bitmap(4), Many(String(), 4), Params(4), String()], ids=lambda k: k.xdr)
def test_too_much_is_not_sent(kind: Any) -> None:
    values = {"opaque": bytes(5), "ab": [True] * 33, "as": ["x"] * 5, "s": "x" * 4194305}
    value = values.get(kind.dbus) or values.get(kind.xdr) or [TypedParam.uint("x", 1)] * 5
    with pytest.raises(RPCError):
        Layout([kind]).write([value])


@pytest.mark.parametrize("raw", [b"a\0b\0", b"\xff\xfe\0\0"])
def test_strings_that_are_none(raw: bytes) -> None:
    with pytest.raises(RPCError):
        Layout([String()]).read(Reader(struct.pack(">I", 3) + raw))


def test_wrong_values_are_not_sent() -> None:
    create = BY_NAME["Hypervisor", "create"]
    for wrong in (["<x/>", -1], ["<x/>", 2**32], [None, 0], ["<x/>"], [5, 0], ["\udc80", 0]):
        with pytest.raises(RPCError):
            create.pack_args(wrong)


def test_a_driver_that_answers_nonsense_is_told_apart() -> None:
    """Its fault is no RPC error: it is an exception that a daemon logs whole."""
    for nonsense in (None, 5, object(), [object()]):
        with pytest.raises((TypeError, AttributeError)):
            BY_NAME["Hypervisor", "domains"].pack_result(nonsense, 1)
    with pytest.raises(struct.error):
        BY_NAME["Hypervisor", "version"].pack_result(-1)


def test_listing_and_its_older_forms() -> None:
    """One method answers today's list, yesterday's names and ids, and the counts."""
    domains = BY_NAME["Hypervisor", "domains"]
    two = [Ref(Domain, {"name": name, "uuid": UUID(int=1), "id": number}) for name, number in (("a", 1), ("b", 2))]
    assert bytes(domains.pack_result(two, 0)) == bytes(4) + struct.pack(">I", 2)
    assert len(domains.unpack_result(domains.pack_result(two, 1))) == 2
    older = {made.rpc: made for made in domains.older}
    given, note = older[37].unpack_args(struct.pack(">i", 1))
    assert given == [c.VIR_CONNECT_LIST_DOMAINS_ACTIVE]
    assert bytes(older[37].pack_result(two, note)) == struct.pack(">II", 1, 1)
    assert bytes(older[51].pack_result(two, None)) == struct.pack(">I", 2)
    given, note = older[21].unpack_args(struct.pack(">i", 5))
    assert bytes(older[21].pack_result(two, note)) == struct.pack(">I", 2) + b"\0\0\0\1a\0\0\0" + b"\0\0\0\1b\0\0\0"
    with pytest.raises(InvalidArg):
        older[21].unpack_args(struct.pack(">i", -1))


def test_room_for_parameters() -> None:
    """Asked with no room: how many. Strings only to those who know them. Never more than there is room for."""
    params = BY_NAME["Domain", "memory_params"]
    told = [TypedParam.ullong("hard_limit", 5), TypedParam.string("who", "me"), TypedParam.ullong("soft_limit", 6)]
    assert bytes(params.pack_result(told, (0, True))) == bytes(4) + struct.pack(">I", 3)
    assert params.unpack_result(params.pack_result(told, (2, True))) == told[:2]
    assert params.unpack_result(params.pack_result(told, (16, False))) == [told[0], told[2]]


def test_processors() -> None:
    stats = BY_NAME["Domain", "cpu_stats"]
    each = [[TypedParam.ullong("cpu_time", 1)], [TypedParam.ullong("cpu_time", 2)]]
    assert stats.unpack_result(stats.pack_result(each, (16, 2))) == each
    assert bytes(stats.pack_result(each, (0, 0))) == bytes(4) + struct.pack(">I", 2)
    assert bytes(stats.pack_result(each[:1], (0, 1))) == bytes(4) + struct.pack(">I", 1)
    pins = BY_NAME["Domain", "vcpu_pins"]
    answer = bytes(pins.pack_result([[True, False, True], [False, True]], (2, 1)))
    assert answer == struct.pack(">I", 2) + b"\5\2\0\0" + struct.pack(">I", 2)


def test_older_values() -> None:
    attach = BY_NAME["Domain", "attach_device"]
    (old,) = attach.older
    domain = Layout([attach.params[0][1]])
    ref = Ref(Domain, {"name": "a", "uuid": UUID(int=1), "id": 1})
    out = Payload()
    domain.pack([ref], out)
    String().pack("<disk/>", out)
    assert plain(old.unpack_args(out)[0]) == [plain(ref), "<disk/>", c.VIR_DOMAIN_AFFECT_LIVE]
    assert bytes(old.pack_result(None)) == b""
