"""A connection to a bus: who lets us in, full sockets, descriptors, answers, and how it ends."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from splitvirt.dbus.connection import Connection, places
from splitvirt.dbus.library import Message, MessageType

TO: dict[str, Any] = {"destination": "org.example", "path": "/", "interface": "org.example.Thing"}


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Connection, Connection]]:
    """Two connections that talk to each other, as if the bus were between them."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    made = Connection(near), Connection(far)
    yield made
    for one in made:
        one.disconnect()


def _replying(connection: Connection, body: bytes = b"") -> list[int]:
    """Answer every call of the other end with the bytes; the descriptors that came along."""
    came: list[int] = []

    def received(message: Message) -> bool:
        came.extend(message.unix_fds or ())
        connection.send(Message.new_method_return(message, "ay", [body]))
        return True

    connection.received = received
    return came


async def test_a_full_socket_is_waited_out_and_descriptors_go_with_the_first_bytes(
    ends: tuple[Connection, Connection],
) -> None:
    near, far = ends
    came = _replying(far)
    large = b"x" * 500_000
    big = [asyncio.ensure_future(near.call(Message(**TO, member="Big", signature="ay", body=[large]))) for _ in "123"]
    await asyncio.sleep(0)
    reading, writing = os.pipe()
    passing = Message(**TO, member="Pass", signature="h", body=[0], unix_fds=[reading])
    passed = asyncio.ensure_future(near.call(passing))
    await asyncio.sleep(0)
    os.close(reading)  # a copy is held for what waits
    async with asyncio.timeout(60):
        assert [(await answer).message_type for answer in [*big, passed]] == [MessageType.METHOD_RETURN] * 4
    os.write(writing, b"through")
    assert os.read(came[0], 10) == b"through"
    for fd in (writing, *came):
        os.close(fd)


async def test_large_answers_come_whole(ends: tuple[Connection, Connection]) -> None:
    near, far = ends
    _replying(far, b"y" * 2_000_000)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(near.call(Message(**TO, member="Get")) for _ in range(3)))
    assert [bytes(answer.body[0]) for answer in answers] == [b"y" * 2_000_000] * 3


async def test_what_nobody_takes_is_answered_and_its_descriptors_closed(ends: tuple[Connection, Connection]) -> None:
    near, _ = ends
    reading, writing = os.pipe()
    answer = await near.call(Message(**TO, member="None", signature="h", body=[0], unix_fds=[reading]))
    os.close(reading)
    assert answer.error_name == "org.freedesktop.DBus.Error.UnknownMethod"
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"is anybody there?")
    os.close(writing)
    peer: dict[str, Any] = {"destination": "org.example", "path": "/any", "interface": "org.freedesktop.DBus.Peer"}
    assert (await near.call(Message(**peer, member="Ping"))).message_type is MessageType.METHOD_RETURN


async def test_calls_under_way_end_with_the_connection(ends: tuple[Connection, Connection]) -> None:
    near, far = ends
    far.received = lambda message: True
    waiting = asyncio.ensure_future(near.call(Message(**TO, member="Wait")))
    await asyncio.sleep(0)
    far.disconnect()
    with pytest.raises((EOFError, OSError)):
        await asyncio.wait_for(waiting, 60)
    await asyncio.wait_for(near.gone, 60)
    assert not near.connected
    with pytest.raises(ConnectionResetError):
        near.send(Message(**TO, member="Late"))


async def test_what_is_no_d_bus_ends_it() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    connection = Connection(near)
    far.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await asyncio.wait_for(connection.gone, 60)
    far.close()


@pytest.mark.parametrize("said", [b"", b"REJECTED EXTERNAL\r\n", b"DATA\r\nOK 12\r\nERROR no descriptors\r\n"])
async def test_a_bus_that_does_not_let_us_in(tmp_path: Path, said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"BEGIN\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "bus"):
        with pytest.raises((EOFError, OSError)):
            await asyncio.wait_for(Connection.connect(f"unix:path={tmp_path}/bus"), 60)


def test_addresses() -> None:
    assert list(places("unix:path=/a%20b,guid=1;tcp:host=x;unix:abstract=c")) == ["/a b", "\0c"]


@pytest.mark.parametrize("asked", ["from dbus_fast import Message", "from dbus_fast.aio import MessageBus"])
def test_the_library_is_whole_for_who_asks(asked: str) -> None:
    pytest.importorskip("dbus_fast")
    code = f"import splitvirt.dbus.library, sys; assert 'dbus_fast.service' not in sys.modules; {asked}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
