"""No user takes all the room that a server has: who comes too often waits or is told so, and others get in."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.rpc_house import House, serving, until
from support.wire import RawClient, open_payload

from splitvirt.access.identity import Identity
from splitvirt.access.rules import AUTH_POLKIT, Access
from splitvirt.api.errors import AuthFailed
from splitvirt.rpc import door
from splitvirt.rpc.fault import unpack_error
from splitvirt.rpc.limits import Limits

ALICE, BOB = 4001, 4002


class Users(Access):
    """Takes who connects for `user`; everybody proves who they are once `proved` is set."""

    def __init__(self) -> None:
        super().__init__("SMALL", private=False)
        self.user = ALICE
        self.proof = False
        self.proved = asyncio.Event()

    def identify(self, sock: socket.socket) -> Identity:  # type: ignore[override]
        return Identity(self.user, self.user, 1, 1)

    def trusts(self, peer: Identity) -> bool:
        return peer.uid == 0

    def auth(self, caller: Identity, readonly: bool) -> int:
        return AUTH_POLKIT if self.proof and caller.uid else 0

    async def authenticate(self, caller: Identity, readonly: bool) -> None:
        await self.proved.wait()
        if caller.uid == BOB:
            raise AuthFailed("not bob")


class Guarded:
    """A house with its users."""

    def __init__(self, house: House, access: Users) -> None:
        self.house, self.access = house, access

    async def connect(self, user: int) -> RawClient:
        """Connect as a user, and be taken notice of."""
        before = self.house.server.door.users[user] + self.house.server.refused
        self.access.user = user
        client = await RawClient.connect(self.house.path, open=False)
        await until(lambda: self.house.server.door.users[user] + self.house.server.refused > before)
        return client


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    access = Users()
    limits = Limits(max_clients=20, max_user_clients=4, max_anonymous_clients=8)
    async with serving(tmp_path, access=access, limits=limits) as house:
        yield Guarded(house, access)
        access.proved.set()


def test_a_quarter_unless_it_is_said() -> None:
    assert (Limits().user_clients, Limits().user_anonymous_clients) == (1250, 5)
    assert Limits(max_clients=1, max_anonymous_clients=0).user_clients == 1
    assert Limits(max_anonymous_clients=0).user_anonymous_clients == 0
    assert Limits(max_user_clients=7, max_user_anonymous_clients=3).user_clients == 7


async def test_one_user_too_many_clients_is_told_so_and_the_other_gets_in(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    mine = [await guarded.connect(ALICE) for _ in range(4)]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            refused = await guarded.connect(ALICE)
            answer = await refused.ask(66)
            assert answer.status == 1
            told = unpack_error(answer.payload)
            assert (told.code, str(told)) == (
                39,
                f"user {ALICE} has 4 clients connected and may have no more (max_user_clients)",
            )
            assert await refused.at_end()
    assert caplog.text.count("are refused: 4 clients") == 1, "once a minute is enough"
    assert (await (await guarded.connect(BOB)).ask(1, open_payload())).status == 0
    for client in [await guarded.connect(0) for _ in range(6)]:
        assert (await client.ask(1, open_payload())).status == 0
    mine.pop().close()
    await until(lambda: guarded.house.server.door.users[ALICE] == 3)
    assert (await (await guarded.connect(ALICE)).ask(1, open_payload())).status == 0
    for client in mine:
        assert (await client.ask(1, open_payload())).status == 0


async def test_who_is_turned_away_and_says_nothing_is_closed_soon(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "REFUSAL_SECONDS", 0.1)
    monkeypatch.setattr(door, "REFUSALS_MAX", 3)
    clients = [await guarded.connect(ALICE) for _ in range(10)]
    assert guarded.house.server.refused == 6
    for client in clients[4:]:
        assert await client.at_end()
    assert (await clients[0].ask(1, open_payload())).status == 0


async def test_who_does_not_prove_itself_keeps_nobody_else_out(guarded: Guarded) -> None:
    guarded.access.proof = True
    server = guarded.house.server
    alices = [await guarded.connect(ALICE) for _ in range(4)]
    assert (len(server.unproved), len(server.door.waiting)) == (2, 2)
    root = await guarded.connect(0)
    assert (await root.ask(1, open_payload())).status == 0
    bob = await guarded.connect(BOB)
    assert (await bob.ask(66)).payload == struct.pack(">II", 1, 2)
    alices[0].close()  # one that leaves makes room for the next
    await until(lambda: len(server.door.waiting) == 1)
    proving = [asyncio.ensure_future(client.ask(70)) for client in (*alices[1:], bob)]
    await until(lambda: sum(peer.proving for peer in server.unproved) == 3)
    guarded.access.proved.set()
    answers = await asyncio.gather(*proving)
    assert [one.status for one in answers] == [0, 0, 0, 1]
    assert not server.door.waiting
    assert [peer.process.uid for peer in server.unproved] == [BOB]


async def test_who_waits_too_long_or_at_the_end_is_let_go(guarded: Guarded) -> None:
    guarded.access.proof = True
    server = guarded.house.server
    server.set_limits(auth_seconds=1)
    clients = [await guarded.connect(ALICE) for _ in range(4)]
    for client in clients:
        assert await client.at_end()
    await until(lambda: not server.door.users)
    server.set_limits(auth_seconds=60)
    clients = [await guarded.connect(ALICE) for _ in range(4)]
    await server.close(drain=0)
    for client in clients:
        assert await client.at_end()


async def test_a_client_is_asked_for_one_password_at_a_time(guarded: Guarded) -> None:
    guarded.access.proof = True
    client = await guarded.connect(ALICE)
    first = asyncio.ensure_future(client.ask(70, serial=1))
    await until(lambda: any(peer.proving for peer in guarded.house.server.unproved))
    first.cancel()
    second = await client.ask(70, serial=2)
    assert "being asked to authenticate already" in str(unpack_error(second.payload))
    guarded.access.proved.set()
    assert (await client.frame()).serial == 1
