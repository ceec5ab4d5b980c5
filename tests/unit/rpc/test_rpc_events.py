"""Registration of events on the wire, the newer and the older ways, and who is told what."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
from support.rpc_house import House, serving, until
from support.small import Thing
from support.wire import RawClient, xdr_string

from splitvirt.access.rules import Access
from splitvirt.rpc.message import MESSAGE

REGISTER, DEREGISTER = 316, 317


def number(value: int) -> bytes:
    return struct.pack(">i", value)


def thing(name: str, at: int) -> bytes:
    return xdr_string(name) + bytes(15) + bytes([at]) + number(at)


async def complaint(client: RawClient, procedure: int, payload: bytes = b"") -> tuple[int, int, str]:
    found = (await client.ask(procedure, payload)).error
    return found.code, found.domain, str(found)


async def test_callback_numbers(house: House) -> None:
    client = await RawClient.connect(house.path)
    assert (await client.ask(REGISTER, number(0) + number(0))).payload == number(0)
    assert (await client.ask(REGISTER, number(0) + number(1) + thing("two", 2))).payload == number(1)
    assert await complaint(client, REGISTER, number(99) + number(0)) == (
        1,
        7,
        "internal error: unsupported event ID 99",
    )
    gone = (1, 7, "internal error: domain event callback 77 not registered")
    assert await complaint(client, DEREGISTER, number(77)) == gone
    await house.driver.boxes[0].touch(3)
    event = await client.frame()
    assert (event.procedure, event.type, event.serial, event.status) == (318, MESSAGE, 0, 0)
    assert event.payload == number(0) + thing("one", 1) + number(1) + number(3)
    await house.driver.boxes[1].touch(3)
    assert {(await client.frame()).payload[:4], (await client.frame()).payload[:4]} == {number(0), number(1)}
    assert (await client.ask(DEREGISTER, number(0))).status == 0
    await house.driver.boxes[0].touch(3)
    assert (await client.ask(157)).procedure == 157  # and not an event


async def test_an_object_that_is_not_there(house: House) -> None:
    client = await RawClient.connect(house.path)
    assert (await complaint(client, REGISTER, number(0) + number(1) + thing("nine", 9)))[0] == 42


async def test_older_ways(house: House) -> None:
    client = await RawClient.connect(house.path)
    assert (await client.ask(105)).payload == number(0)
    tracked = (8, 0, "invalid argument: event callback already tracked")
    assert await complaint(client, 105) == tracked
    assert await complaint(client, 167, number(0)) == tracked
    assert (await client.ask(167, number(1))).payload == b""
    assert await complaint(client, 167, number(20)) == (1, 7, "internal error: unsupported event ID 20")
    await house.driver.boxes[0].touch(3)
    event = await client.frame()
    assert (event.procedure, event.payload) == (107, thing("one", 1) + number(1) + number(3))
    house.driver.events.emit(Thing.rebooted, house.driver.boxes[1])
    event = await client.frame()
    assert (event.procedure, event.payload) == (169, thing("two", 2))
    assert (await client.ask(106)).payload == number(0)
    assert await complaint(client, 106) == (1, 7, "internal error: domain event 0 not registered")
    assert (await client.ask(168, number(1))).status == 0
    assert await complaint(client, 168, number(1)) == (1, 7, "internal error: domain event 1 not registered")


class Slow(Access):
    """Decides about events later, and against those of "two"."""

    def allowed(self, caller: Any, readonly: bool, permission: str, on: Any) -> Any:
        if permission == "domain:getattr" and isinstance(on, Thing):
            return self.later(on) if on.name != "at once" else True
        return True

    async def later(self, on: Any) -> bool:
        await asyncio.sleep(0.01)
        return bool(on.name != "two")


async def test_events_stay_in_order_and_are_filtered(tmp_path: Path) -> None:
    async with serving(tmp_path, access=Slow("SMALL")) as house:
        client = await RawClient.connect(house.path)
        await client.ask(REGISTER, number(0) + number(0))
        one, two = house.driver.boxes
        for _ in range(3):
            await one.touch()
            await two.touch()
        one.name = "at once"
        await one.touch()
        details = [struct.unpack(">i", (await client.frame()).payload[-8:-4])[0] for _ in range(4)]
        assert details == [1, 3, 5, 7]


async def test_registrations_end_with_the_client(house: House) -> None:
    client = await RawClient.connect(house.path)
    await client.ask(REGISTER, number(0) + number(0))
    await client.ask(105)
    assert len(house.driver.events.subscriptions) == 2
    client.close()
    await until(lambda: not house.driver.events.subscriptions)


@pytest.mark.parametrize("cut", range(0, 40, 7))
async def test_cut_registrations(house: House, cut: int) -> None:
    client = await RawClient.connect(house.path)
    whole = number(0) + number(1) + thing("two", 2)
    reply = await client.ask(REGISTER, whole[:cut])
    assert (reply.status, reply.error.code) == (1, 39)
