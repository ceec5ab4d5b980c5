"""Callers on a real bus: decided anew at each call, told apart from those who only claim, and kept within limits."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus
from support.lamps import Lamp, Lamps
from support.lampsbus import BASE, NAME, POLKIT, ROOT, path_of, readonly, served, until

from splitvirt.access.rules import MANAGE, MONITOR
from splitvirt.api.errors import AuthFailed, AuthUnavailable, ServiceError, VirtError
from splitvirt.dbus import names
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message
from splitvirt.dbus.proxy import connect_bus


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        yield address


async def test_a_changed_rule_holds_from_the_next_call_on(address: str) -> None:
    async with served(address) as (_, _, authority, connect):
        client = await connect()
        assert not await readonly(client)
        assert not await readonly(client)
        assert authority.asked == [MANAGE], "the answer is good for a while"
        for granted, sees in (({MONITOR}, True), ({MONITOR, MANAGE}, False)):
            authority.granted = granted
            authority.changed()
            await authority.bus.call_bus("GetId")  # what it said is on its way before we call
            assert await readonly(client) is sees
        authority.granted = set()
        authority.changed()
        await authority.bus.call_bus("GetId")
        with pytest.raises(AuthFailed, match="access denied by policy"):
            await readonly(client)


async def test_a_polkit_that_starts_again_is_asked_again(address: str) -> None:
    async with served(address) as (_, _, authority, connect):
        client = await connect()
        assert not await readonly(client)
        await authority.bus.release_name(POLKIT)
        authority.granted = {MONITOR}
        await authority.bus.request_name(POLKIT)
        assert await readonly(client)


async def test_signals_stop_with_the_permission_to_look(address: str) -> None:
    async with served(address) as (room, export, authority, connect):
        client, heard = await connect(), []
        client.on_signal_of("org.splitvirt.Lamp1", "Changed", lambda message: heard.append(message.body[0]))
        await readonly(client)
        lamp = next(iter(room.all.values()))
        for n in range(200):
            room.events.emit(Lamp.changed, lamp, n % 3 == 0)
        await until(lambda: len(heard) == 200)
        assert heard == [n % 3 == 0 for n in range(200)], "in their order"
        authority.granted = set()
        authority.changed()
        await authority.bus.call_bus("GetId")
        await export.bus.call_bus("GetId")
        room.events.emit(Lamp.changed, lamp, True)
        await until(lambda: not any(caller.admitted or caller.untold for caller in export.callers.known.values()))
        await client.call_bus("GetId")
        assert len(heard) == 200


@pytest.mark.parametrize("said", [("s", ["yes"]), ("(bb)", [[True, True]]), ("bba{ss}", [True, False, {}]), ("", [])])
async def test_a_polkit_that_talks_nonsense_denies(address: str, said: tuple[str, list[Any]]) -> None:
    async with served(address) as (_, export, authority, connect):
        client = await connect()
        authority.answer = said
        with pytest.raises(AuthUnavailable, match="what it said is no answer"):
            await readonly(client)
        authority.answer = None
        assert not await readonly(client)
        assert export.bus.connected


async def test_a_silent_polkit_denies_in_time(address: str) -> None:
    async with served(address) as (_, _, authority, connect):
        client = await connect()
        authority.silent = True
        async with asyncio.timeout(60):
            with pytest.raises(AuthUnavailable, match=r"longer than 0\.5 s"):
                await readonly(client)


async def test_who_only_says_that_another_has_gone_is_not_believed(address: str) -> None:
    async with served(address) as (room, export, _, connect):
        client, liar = await connect(), await connect()
        (fd,) = await client.call(NAME, BASE, ROOT, "OpenPipe", "s", ["x"])
        os.close(fd)
        claim = Message.new_signal(
            names.BUS_PATH, names.BUS, "NameOwnerChanged", "sss", [client.unique_name] * 2 + [""]
        )
        claim.destination = NAME
        liar.send(claim)
        await readonly(liar)  # it has arrived
        assert not room.left
        assert client.unique_name in export.callers.known
        client.close()
        await until(lambda: bool(room.left))
        assert client.unique_name not in export.callers.known


async def test_signals_that_another_sends_are_not_the_service_s(address: str) -> None:
    async with served(address) as (room, export, _, connect):
        client, liar = await connect(), await connect()
        far: Any = await connect_bus(Lamps, client, NAME, BASE, events=True)
        heard: list[Any] = []
        far.events.subscribe(lambda event, subject, values: heard.append(values))
        claim = Message.new_signal(path_of(room), "org.splitvirt.Lamp1", "Changed", "b", [True])
        claim.destination = client.unique_name
        liar.send(claim)
        await liar.call_bus("GetId")
        room.events.emit(Lamp.changed, next(iter(room.all.values())), False)
        await until(lambda: bool(heard))
        assert heard == [(False,)]
        await export.bus.release_name(NAME)  # and from its successor on they are
        await liar.request_name(NAME)
        liar.send(claim)
        await until(lambda: len(heard) == 2)


async def test_more_callers_than_a_bus_keeps_match_rules(tmp_path: Path) -> None:
    """The system bus takes 512 rules of a connection: no rule for each caller, then."""
    with private_bus(tmp_path, max_match_rules_per_connection=8) as address:
        async with served(address) as (_, export, _, connect):
            clients = [await connect() for _ in range(20)]
            for client in clients:
                assert not await readonly(client)
            assert len(export.callers.known) == 20
            for client in clients:
                client.close()
            await until(lambda: not export.callers.known)


async def test_calls_of_one_connection_and_of_one_user_have_a_limit(address: str) -> None:
    async with served(address) as (_, export, _, connect):
        export.callers.limits = lambda: (10, 15)
        first, second = await connect(), await connect()

        def sleeping(client: Bus, count: int) -> list["asyncio.Future[Any]"]:
            return [asyncio.ensure_future(client.call(NAME, BASE, ROOT, "Sleep", "u", [60_000])) for _ in range(count)]

        pending = sleeping(first, 10)
        await until(lambda: len(export.running) == 10)
        with pytest.raises(ServiceError, match=r"LimitsExceeded: 10 calls of connection :1\.\d+ are under way"):
            await readonly(first)
        pending += sleeping(second, 5)
        await until(lambda: len(export.running) == 15)
        with pytest.raises(ServiceError, match=rf"LimitsExceeded: 15 calls of user {os.getuid()} are under way"):
            await readonly(second)
        export.callers.limits = lambda: (11, 17)
        assert not await readonly(first)
        for one in pending:
            one.cancel()


async def test_the_daemon_s_own_user_is_limited_by_connection_alone(address: str) -> None:
    async with served(address) as (_, export, _, connect):
        export.callers.access.trusts = lambda peer: True  # type: ignore[method-assign]
        export.callers.limits = lambda: (500, 0)
        assert not await readonly(await connect())


async def test_a_caller_that_leaves_while_the_bus_is_asked_is_let_go(address: str) -> None:
    async with served(address) as (_, export, _, connect):
        for _ in range(20):
            client = await connect()
            client.send(Message(NAME, BASE, ROOT, "WhoAmI"))
            with contextlib.suppress(VirtError):
                await client.call_bus("GetId")
            client.close()
        await until(lambda: not export.running and not export.callers.known)
