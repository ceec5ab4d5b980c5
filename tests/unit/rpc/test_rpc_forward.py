"""Calls passed on to a sibling daemon: payloads untouched, identity, events, streams, loss."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.rpc_house import House, until
from support.sibling import Volumes, VolumesDriver
from support.wire import RawClient, xdr_string

from splitvirt.access.rules import Access
from splitvirt.api import constants as c
from splitvirt.api.program import REMOTE
from splitvirt.rpc.forward import PROCEDURES, Route, Routes
from splitvirt.rpc.message import CALL, CONTINUE, OK, STREAM, frame
from splitvirt.rpc.server import Server

STORAGE_NAME, STORAGE_UPLOAD, STORAGE_DOWNLOAD, STORAGE_REGISTER = 84, 208, 209, 368


class Pair(House):
    """A daemon that passes storage calls on, and the sibling they go to."""

    sibling: Server
    volumes: VolumesDriver


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    from support.small import Small, SmallDriver

    volumes = VolumesDriver()
    sibling = Server({Volumes: volumes}, access=Access("STORAGE"), uris=["storage:///system"])
    await sibling.listen(tmp_path / "sibling")
    driver = SmallDriver()
    routes = Routes({"storage": Route(str(tmp_path / "sibling"), "storage:///system")})
    server = Server({Small: driver}, access=Access("SMALL"), routes=routes)
    made = Pair(server, driver, tmp_path / "sock", tmp_path / "sock-ro")
    await server.listen(made.path)
    await server.listen(made.path_ro, readonly=True)
    made.sibling, made.volumes = sibling, volumes
    yield made
    await server.close(drain=1)
    await sibling.close(drain=1)


async def test_calls_and_errors_are_passed_on(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    reply = await client.ask(STORAGE_NAME, xdr_string("pool"), serial=77)
    assert (reply.serial, reply.payload) == (77, xdr_string("pool") + bytes(15) + b"\1")
    found = (await client.ask(STORAGE_NAME, xdr_string("none"))).error
    assert (found.code, found.domain, str(found)) == (49, 18, "Storage pool not found: no pool 'none'")
    assert len(pair.sibling.peers) == 1
    (peer,) = pair.sibling.peers.values()
    assert (peer.identity.uid, peer.identity.pid) == (os.getuid(), os.getpid())
    client.close()
    await until(lambda: not pair.sibling.peers)


async def test_the_identity_is_the_clients(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    (peer,) = pair.server.peers.values()
    peer.identity = peer.identity.__class__(4242, 77, 5, 99)
    await client.ask(STORAGE_NAME, xdr_string("pool"))
    (far,) = pair.sibling.peers.values()
    assert (far.identity.uid, far.identity.gid, far.identity.pid, far.identity.start_time) == (4242, 77, 5, 99)


async def test_another_identity_is_not_served_under_the_first(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    await client.ask(STORAGE_NAME, xdr_string("pool"))
    payload = struct.pack(">I", 1) + xdr_string("unix-user-id") + struct.pack(">IQ", 4, 4242) + bytes(4)
    assert (await client.ask(419, payload)).status == 0
    await client.ask(STORAGE_NAME, xdr_string("pool"))
    assert sorted(peer.identity.uid for peer in pair.sibling.peers.values()) == sorted([os.getuid(), 4242])
    client.close()
    await until(lambda: not pair.sibling.peers)


async def test_read_only_stays_read_only(pair: Pair) -> None:
    client = await RawClient.connect(pair.path_ro)
    assert (await client.ask(STORAGE_NAME, xdr_string("pool"))).status == 0
    (far,) = pair.sibling.peers.values()
    assert far.readonly


async def test_many_calls_at_once_share_one_connection(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    await client.send(b"".join(frame(REMOTE, STORAGE_NAME, CALL, 5, 0, xdr_string("pool")) for _ in range(40)))
    for _ in range(40):  # the same serial again and again is the client's own affair
        assert (await client.frame()).serial == 5
    assert len(pair.sibling.peers) == 1


async def test_events_are_passed_on(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    assert (await client.ask(STORAGE_REGISTER, bytes(8))).payload == bytes(4)
    pair.volumes.refresh()
    event = await client.frame()
    assert (event.procedure, event.type, event.serial) == (373, 2, 0)
    assert event.payload == bytes(4) + xdr_string("pool") + bytes(15) + b"\1"


def volume() -> bytes:
    return xdr_string("pool") + xdr_string("vol") + xdr_string("/key")


async def test_streams_are_passed_on(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    data = os.urandom(100_000)
    await client.ask(STORAGE_UPLOAD, volume() + bytes(20), serial=9)
    for _ in range(30):
        await client.send(frame(REMOTE, STORAGE_UPLOAD, STREAM, 9, CONTINUE, data))
    await client.send(frame(REMOTE, STORAGE_UPLOAD, STREAM, 9, OK))
    end = await client.frame()
    assert (end.type, end.serial, end.status) == (STREAM, 9, OK)
    assert pair.volumes.content == data * 30
    (peer,) = pair.server.peers.values()
    assert not peer.streams
    await client.send(frame(REMOTE, STORAGE_DOWNLOAD, CALL, 10, 0, volume() + bytes(20)))
    got = b""
    assert (await client.frame()).type == 1
    while part := (await client.frame()).payload:
        got += part
    assert got == data * 30
    await client.send(frame(REMOTE, STORAGE_DOWNLOAD, STREAM, 10, OK))
    assert (await client.frame()).status == OK
    assert not peer.streams


async def test_a_slow_reader_of_a_passed_on_stream(pair: Pair) -> None:
    pair.volumes.content = bytes(60_000_000)
    client = await RawClient.connect(pair.path)
    reply = await client.ask(STORAGE_DOWNLOAD, volume() + bytes(20), serial=3)
    assert reply.status == 0, reply.error
    await asyncio.sleep(0.3)
    (peer,) = pair.server.peers.values()
    assert peer.channel.pending < 3_000_000
    got = 0
    while part := (await client.frame()).payload:
        got += len(part)
    assert got == 60_000_000


async def test_the_sibling_goes_in_a_stream(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    await client.ask(STORAGE_UPLOAD, volume() + bytes(20), serial=9)
    for far in list(pair.sibling.peers.values()):
        far.disconnect("the test says so")
    end = await client.frame()
    assert (end.type, end.serial, end.status) == (STREAM, 9, 1)
    assert (await client.ask(STORAGE_NAME, xdr_string("pool"))).status == 0  # by a new connection


async def test_the_client_goes_in_a_stream(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    await client.ask(STORAGE_UPLOAD, volume() + bytes(20), serial=9)
    client.close()
    await until(lambda: not pair.sibling.peers and pair.volumes.error is not None)


async def test_a_sibling_that_is_not_there(pair: Pair) -> None:
    await pair.sibling.close()
    client = await RawClient.connect(pair.path)
    path = pair.path.parent / "sibling"
    for _ in range(2):
        found = (await client.ask(STORAGE_NAME, xdr_string("pool"))).error
        assert found.code == c.VIR_ERR_NO_SUPPORT  # virt-install and its like go on without storage pools then
        assert str(found).endswith(f": Failed to connect socket to '{path}': No such file or directory")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert "Connection refused" in str((await client.ask(STORAGE_NAME, xdr_string("pool"))).error)


async def test_drivers_without_a_route(pair: Pair) -> None:
    client = await RawClient.connect(pair.path)
    for procedure in (178, 283, 129):
        found = (await client.ask(procedure, struct.pack(">II", 1, 0))).error
        assert found.code == 3


def test_no_procedure_belongs_to_two_drivers() -> None:
    numbers = [number for owned in PROCEDURES.values() for number in owned]
    assert len(numbers) == len(set(numbers))


def test_unknown_drivers_are_refused() -> None:
    with pytest.raises(ValueError, match="no such driver: storag"):
        Routes({"storag": Route("/", "")})
