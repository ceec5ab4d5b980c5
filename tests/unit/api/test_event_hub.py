"""Telling what happened: who hears it, and who is not hurt."""

import asyncio
import logging
import subprocess
import sys

import pytest
from support.declared import all_calls

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import (
    DomainExists,
    InternalError,
    Kind,
    NoDomain,
    OperationFailed,
    VirtError,
    XMLDetail,
)
from splitvirt.api.event import Event, Hub
from splitvirt.api.record import Record
from splitvirt.api.stream import Stream, pipe
from splitvirt.api.types import I32, Str


class Bell(Domain):
    """A domain of the test's."""

    def __init__(self, uuid: str) -> None:
        self.uuid, self.name = uuid, "bell"  # type: ignore[assignment]


def test_order_and_choice(caplog: pytest.LogCaptureFixture) -> None:
    hub, heard, one, other = Hub(), list[str](), Bell("1"), Bell("2")

    def broken(event: Event, subject: object, values: object) -> None:
        raise ValueError("a listener's own fault")

    hub.subscribe(lambda event, subject, values: heard.append(f"all {event.name} {values}"))
    with caplog.at_level(logging.CRITICAL):
        hub.subscribe(broken)
        mine = hub.subscribe(lambda *_: heard.append("mine"), Domain.lifecycle, Bell("1"))
        hub.emit(Domain.lifecycle, one, 2, 0)
        hub.emit(Domain.lifecycle, other, 2, 0)
        hub.emit(Domain.rebooted, one)
        mine.close()
        mine.close()
        hub.emit(Domain.lifecycle, one, 5, 1)
    assert heard == ["all lifecycle (2, 0)", "mine", "all lifecycle (2, 0)", "all rebooted ()", "all lifecycle (5, 1)"]


async def test_watching() -> None:
    hub = Hub()
    watched = hub.watch(Domain.lifecycle)
    first = asyncio.ensure_future(anext(watched))
    await asyncio.sleep(0)
    hub.emit(Domain.rebooted, Bell("1"))
    hub.emit(Domain.lifecycle, Bell("1"), 2, 0)
    notice = await asyncio.wait_for(first, 60)
    assert (notice.event, notice.values) == (Domain.lifecycle, (2, 0))
    await watched.aclose()  # type: ignore[attr-defined]
    assert not hub.subscriptions


def test_errors() -> None:
    assert str(InternalError("x")) == "internal error: x"
    assert str(NoDomain()) == "Domain not found"
    assert (XMLDetail("x").message, XMLDetail("x", domain=c.VIR_FROM_QEMU).domain) == ("x", c.VIR_FROM_QEMU)
    assert DomainExists("x").code == OperationFailed("x").code == c.VIR_ERR_OPERATION_FAILED
    again = VirtError.of(c.VIR_ERR_NO_DOMAIN, 10, "Domain not found: x")
    assert (type(again), str(again), again.domain) == (NoDomain, "Domain not found: x", 10)
    assert type(VirtError.of(9, 0, "")) is OperationFailed
    assert type(VirtError.of(999, 0, "")) is VirtError


def test_every_error_says_its_code() -> None:
    kinds = [kind for kind in Kind.__subclasses__() if "CODE" in vars(kind)]
    assert len(kinds) == len({kind.CODE for kind in kinds}) > 40
    for kind in kinds:
        error = kind("detail")
        assert error.code in {value for name, value in vars(c).items() if name.startswith("VIR_ERR_")}
        assert str(error).endswith("detail")


class Point(Record):
    """A record of the test's."""

    x: I32
    name: Str


def test_records() -> None:
    point = Point(1, name="a")
    x, name = point
    assert (x, name, point) == (1, "a", Point(x=1, name="a"))
    assert point != Point(2, "a")
    assert hash(point) == hash(Point(1, "a"))
    assert repr(point) == "Point(x=1, name='a')"
    for wrong in ((), (1,), (1, "a", 3)):
        with pytest.raises(TypeError):
            Point(*wrong)
    with pytest.raises(TypeError):
        Point(1, z=2)  # type: ignore[call-arg]


def test_binding() -> None:
    create = next(made for made in all_calls() if made.name == "define" and made.on.__name__ == "Hypervisor")
    assert create.bind(("<x/>",), {}) == ["<x/>", 0]
    assert create.bind((), {"xml": "<x/>", "flags": 1}) == ["<x/>", 1]
    for values, named in (((), {}), (("a", 0, 1), {}), (("a",), {"xml": "b"}), (("a",), {"no": 1})):
        with pytest.raises(TypeError):
            create.bind(values, named)


async def test_pipe() -> None:
    near, far = pipe(window=8)
    assert isinstance(near, Stream)
    await near.write(b"hello")
    await near.write(b"world")
    blocked = asyncio.ensure_future(near.write(b"!"))
    await asyncio.sleep(0)
    assert not blocked.done()
    assert [await far.read(3), await far.read(), await far.read()] == [b"hel", b"lo", b"world"]
    await asyncio.wait_for(blocked, 60)
    await near.hole(3)
    await near.finish()
    assert [await far.read(), await far.read(), await far.read()] == [b"!", bytes(3), b""]
    await far.write(b"back")
    assert await near.read() == b"back"


async def test_pipe_aborted() -> None:
    near, far = pipe()
    waiting = asyncio.ensure_future(far.read())
    await asyncio.sleep(0)
    near.abort(NoDomain("gone"))
    with pytest.raises(NoDomain):
        await asyncio.wait_for(waiting, 60)
    with pytest.raises(NoDomain):
        await far.write(b"x")


def test_an_event_knows_its_kind_from_the_first_use() -> None:
    """Declared in a group, or inherited by a driver's class: it is the contract's."""
    code = (
        "from splitvirt.api.domain import Domain\n"
        "class Mine(Domain): pass\n"
        "print(Mine.lifecycle is Domain.lifecycle, Mine.lifecycle.filter, Domain.rebooted.on.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "domain:getattr", "Domain"]
