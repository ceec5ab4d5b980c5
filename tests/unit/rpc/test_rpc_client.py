"""The stand-ins of a contract, against the server: values, objects, errors, descriptors, streams, events, loss."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.rpc_house import House, serving, until
from support.small import Small, Thing

from splitvirt.access.rules import Access
from splitvirt.api.errors import (
    AuthFailed,
    InternalError,
    NoDomain,
    NoSupport,
    OperationAborted,
    OperationDenied,
    OperationInvalid,
    SystemError_,
    Timeout,
)
from splitvirt.api.stream import pipe
from splitvirt.rpc.client import connect_rpc


async def close(root: Any) -> None:
    await root.close()


async def test_values_objects_and_errors(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    assert isinstance(root, Small)
    assert await root.version() == 9000000
    assert await root.echo(text="Grüße") == "Grüße"
    one, two = await root.things()
    assert isinstance(one, Thing)
    assert (one.name, one.uuid, one.id, two.name) == ("one", UUID(int=1), 1, "two")
    await one.touch()
    assert house.driver.touched == 1
    with pytest.raises(OperationInvalid, match="thirteen"):
        await one.touch(13)
    with pytest.raises(NoDomain):
        await root.thing_by_uuid(UUID(int=7))
    with pytest.raises(NoSupport):
        await root.never()
    with pytest.raises(NoSupport):
        await root.bus_only()
    with pytest.raises(InternalError, match="RuntimeError"):
        await root.crash()
    with pytest.raises(TypeError):
        await root.echo()  # type: ignore[call-arg]
    await close(root)
    await until(lambda: not house.server.peers)


async def test_calls_beside_each_other(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    waiting = [asyncio.ensure_future(root.wait(number)) for number in (1, 2, 3)]
    await until(lambda: len(house.driver.started) == 3)
    house.driver.let_go(3)
    assert await waiting[2] == 3
    assert not waiting[0].done()
    waiting[0].cancel()
    house.driver.let_go(1, 2)
    assert await waiting[1] == 2
    assert await root.version() == 9000000
    await close(root)


async def test_read_only(house: House) -> None:
    root = await connect_rpc(Small, house.path, readonly=True)
    (thing, _) = await root.things()
    with pytest.raises(OperationDenied):
        await thing.touch()
    await close(root)


async def test_descriptors(house: House, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    root = await connect_rpc(Small, house.path)
    before = len(os.listdir("/proc/self/fd"))
    fd = await root.open(str(tmp_path / "file"))
    assert await root.keep(fd) == 7
    assert os.read(fd, 100) == b"content"  # ours is still open
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before
    await close(root)


async def test_a_server_that_goes_away_fails_what_waits(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    waiting = [asyncio.ensure_future(root.wait(number)) for number in (1, 2)]
    near, far = pipe()
    (thing, _) = await root.things()
    await thing.console(0, far)
    await near.write(b"x")
    assert await near.read() == b"X"
    await until(lambda: len(house.driver.started) == 2)
    for peer in list(house.server.peers.values()):
        peer.disconnect("the test says so")
    for one in waiting:
        with pytest.raises(SystemError_, match="End of file while reading data"):
            await one
    with pytest.raises(Exception, match="closed"):
        await near.read()
    with pytest.raises(SystemError_, match="End of file while reading data"):
        await root.version()
    await close(root)


async def test_reconnect(house: House) -> None:
    root = await connect_rpc(Small, house.path, reconnect=True)
    heard: list[str] = []
    root.events.subscribe(lambda event, thing, values: heard.append(thing.name), Thing.moved)
    await root.events.ready()  # type: ignore[attr-defined]
    for peer in list(house.server.peers.values()):
        peer.disconnect("the test says so")
    await until(lambda: not house.server.peers)
    await asyncio.sleep(0.01)
    assert await root.version() == 9000000
    await house.driver.boxes[0].touch()
    await until(lambda: heard == ["one"])
    await close(root)
    with pytest.raises(SystemError_):
        await root.version()


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(SystemError_) as told:
        await connect_rpc(Small, tmp_path / "sock")
    assert str(told.value) == f"Failed to connect socket to '{tmp_path}/sock': No such file or directory"
    assert (told.value.code, told.value.domain) == (38, 7)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "sock"))
    with pytest.raises(SystemError_, match="Connection refused"):
        await connect_rpc(Small, tmp_path / "sock")


async def test_timeouts(house: House, tmp_path: Path) -> None:
    root = await connect_rpc(Small, house.path, timeout=0.5)
    with pytest.raises(Timeout):
        await root.wait(1)
    assert await root.version() == 9000000
    await close(root)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        with pytest.raises(InternalError, match=r"did not answer within 0\.1 seconds"):
            await connect_rpc(Small, tmp_path / "mute", timeout=0.1)


async def test_keepalive_finds_a_mute_server(house: House) -> None:
    root = await connect_rpc(Small, house.path, interval=0.05, count=15)
    call = asyncio.ensure_future(root.wait(1))
    await until(lambda: house.driver.started)
    await asyncio.sleep(1)
    assert not call.done()  # our server answers
    (peer,) = house.server.peers.values()
    peer.channel.hold("the test")
    with pytest.raises(SystemError_, match="does not answer keepalive"):
        await asyncio.wait_for(call, 60)
    await close(root)


async def test_polkit_refuses(tmp_path: Path) -> None:
    class Polkit(Access):
        def auth(self, caller: object, readonly: bool) -> int:
            return 2

        async def authenticate(self, caller: object, readonly: bool) -> None:
            if readonly:
                raise AuthFailed("no")

    async with serving(tmp_path, access=Polkit("SMALL")) as house:
        root = await connect_rpc(Small, house.path)
        assert await root.version() == 9000000
        await close(root)
        with pytest.raises(AuthFailed):
            await connect_rpc(Small, house.path_ro)


# -- streams -----------------------------------------------------------------------------------------------------------


async def read_all(stream: Any) -> bytes:
    got = b""
    while data := await asyncio.wait_for(stream.read(), 60):
        got += data
    return got


async def test_stream_both_ways(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (thing, _) = await root.things()
    near, far = pipe()
    await thing.console(0, far)
    for word in (b"one", b"two", b"x" * 300_000):
        await near.write(word)
        got = b""
        while len(got) < len(word):
            got += await asyncio.wait_for(near.read(), 60)
        assert got == word.upper()
    await near.finish()
    assert await read_all(near) == b""
    await until(lambda: not house.driver.boxes[0].tasks)
    assert house.driver.boxes[0].console_error is None
    (peer,) = house.server.peers.values()
    assert not peer.streams
    await close(root)


async def test_upload_and_download(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (thing, _) = await root.things()
    data = os.urandom(3_000_000)
    near, far = pipe()
    await thing.upload(0, far)
    for at in range(0, len(data), 100_000):
        await near.write(data[at : at + 100_000])
    await near.finish()
    assert await asyncio.wait_for(near.read(), 60) == b""  # the server has it all
    assert house.driver.boxes[0].taken == data
    for flags in (0, 1):
        near, far = pipe()
        await thing.download(1_000_000, flags, far)
        assert await read_all(near) == bytes(index & 0xFF for index in range(1_000_000)) + bytes(5) + b"end"
    await until(lambda: not house.driver.boxes[0].tasks)
    (peer,) = house.server.peers.values()
    assert not peer.streams
    await close(root)


async def test_a_reader_that_waits_holds_the_writer(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (thing, _) = await root.things()
    near, far = pipe()
    await thing.download(8_000_000, 0, far)
    await asyncio.sleep(0.3)
    (peer,) = house.server.peers.values()
    assert house.driver.boxes[0].tasks  # it has not written all
    assert peer.channel.pending < 3_000_000
    assert len(await near.read()) > 0
    near.abort()
    await until(lambda: not house.driver.boxes[0].tasks)
    assert await root.version() == 9000000
    await close(root)


async def test_server_aborts(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (thing, _) = await root.things()
    near, far = pipe()
    await thing.upload(2, far)
    await near.write(b"some")
    with pytest.raises(OperationInvalid, match="enough"):
        await asyncio.wait_for(near.read(), 60)
    await close(root)


async def test_client_aborts(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (thing, _) = await root.things()
    near, far = pipe()
    await thing.console(0, far)
    near.abort()
    await until(lambda: isinstance(house.driver.boxes[0].console_error, OperationAborted))
    assert await root.version() == 9000000
    await close(root)


async def test_client_leaves_in_a_stream(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (thing, _) = await root.things()
    _, far = pipe()
    await thing.console(0, far)
    await close(root)
    await until(lambda: house.driver.boxes[0].console_error is not None)
    assert not house.driver.boxes[0].tasks


async def test_a_stream_that_is_refused(house: House) -> None:
    root = await connect_rpc(Small, house.path_ro, readonly=True)
    (thing, _) = await root.things()
    _, far = pipe()
    with pytest.raises(OperationDenied):
        await thing.upload(0, far)
    (peer,) = house.server.peers.values()
    assert not peer.streams
    await close(root)


# -- events ------------------------------------------------------------------------------------------------------------


async def test_events(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    (one, _) = await root.things()
    all_heard: list[tuple[str, Any]] = []
    one_heard: list[Any] = []
    root.events.subscribe(lambda event, thing, values: all_heard.append((thing.name, values)))
    watched = root.events.subscribe(lambda event, thing, values: one_heard.append(tuple(values)), Thing.moved, one)
    await root.events.ready()  # type: ignore[attr-defined]
    await house.driver.boxes[1].touch(5)
    await one.touch(6)
    house.driver.events.emit(Thing.rebooted, house.driver.boxes[0])
    await until(lambda: len(all_heard) == 3)
    assert [(name, tuple(values)) for name, values in all_heard] == [("two", (1, 5)), ("one", (2, 6)), ("one", ())]
    assert one_heard == [(2, 6)]
    watched.close()
    await close(root)
    await until(lambda: not house.driver.events.subscriptions)


async def test_ten_thousand_events_in_order(house: House) -> None:
    root = await connect_rpc(Small, house.path)
    heard: list[int] = []
    root.events.subscribe(lambda event, thing, values: heard.append(values[0]), Thing.moved)
    await root.events.ready()  # type: ignore[attr-defined]
    for _ in range(10_000):
        await house.driver.boxes[0].touch()
    await until(lambda: len(heard) == 10_000)
    assert heard == list(range(1, 10_001))
    await close(root)
