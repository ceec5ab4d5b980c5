"""Limits, order, and what happens to calls when clients or the server go."""

import asyncio
import contextlib
import logging
import os
import resource
import socket
import struct
from pathlib import Path

import pytest
from support.rpc_house import House, serving, until
from support.wire import RawClient, xdr_string

from splitvirt.access.rules import Access
from splitvirt.api.errors import SystemError_
from splitvirt.api.program import KEEPALIVE, REMOTE
from splitvirt.rpc.limits import Limits
from splitvirt.rpc.message import CALL, CALL_WITH_FDS, REPLY_WITH_FDS, frame

WAIT, ECHO, VERSION, KEEP, OPEN = 59, 41, 157, 43, 44


def wait(number: int, serial: int = 0) -> bytes:
    return frame(REMOTE, WAIT, CALL, serial or number, 0, struct.pack(">I", number))


async def test_calls_of_one_client_run_beside_each_other(house: House) -> None:
    client = await RawClient.connect(house.path)
    await client.send(wait(1) + wait(2) + wait(3))
    await until(lambda: house.driver.started == [1, 2, 3])
    house.driver.let_go(2)
    assert (await client.frame()).serial == 2
    house.driver.let_go(1, 3)
    assert {(await client.frame()).serial, (await client.frame()).serial} == {1, 3}


async def test_a_client_is_not_read_from_with_five_calls_under_way(house: House) -> None:
    client = await RawClient.connect(house.path)
    await client.send(b"".join(wait(number) for number in range(1, 9)))
    await until(lambda: len(house.driver.started) == 5)
    await asyncio.sleep(0.02)
    assert len(house.driver.started) == 5
    other = await RawClient.connect(house.path)
    assert (await other.ask(VERSION)).status == 0  # nobody else is held up
    house.driver.let_go(3)
    await until(lambda: len(house.driver.started) == 6)
    house.driver.let_go(*range(1, 9))
    assert {(await client.frame()).serial for _ in range(8)} == set(range(1, 9))
    (peer, _) = house.server.peers.values()
    assert peer.in_flight == 0


async def test_workers(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_workers=2)) as house:
        client = await RawClient.connect(house.path)
        await client.send(wait(1) + wait(2) + wait(3) + wait(4))
        await until(lambda: house.server.queued == 2)
        assert house.driver.started == [1, 2]
        assert (await client.ask(VERSION, serial=99)).serial == 99  # of high priority: does not wait its turn
        house.driver.let_go(1)
        await until(lambda: house.driver.started == [1, 2, 3])
        house.server.set_limits(max_workers=3)
        await until(lambda: house.driver.started == [1, 2, 3, 4])
        assert (house.server.busy, house.server.queued) == (3, 0)


async def test_max_clients(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_clients=2)) as house:
        first, second = await RawClient.connect(house.path), await RawClient.connect(house.path)
        third = await RawClient.connect(house.path, open=False)
        await third.send(frame(REMOTE, 66, CALL, 1))
        with pytest.raises(TimeoutError):
            await third.frame(0.1)
        assert (await second.ask(VERSION)).status == 0
        first.close()
        assert (await third.frame()).status == 0  # there is room now
        house.server.set_limits(max_clients=3)
        fourth = await RawClient.connect(house.path)
        assert len(house.server.peers) == 3
        fourth.close()


async def test_strangers_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Nobody(Access):
        def admits(self, caller: object, readonly: bool | None = None) -> bool:
            return False

    async with serving(tmp_path, access=Nobody("SMALL")) as house:
        client = await RawClient.connect(house.path, open=False)
        assert await client.at_end()
        assert house.server.refused == 1
        assert "refused a connection" in caplog.text


async def test_one_slow_reader_stalls_nobody_and_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, limits=Limits(max_output=1 << 20)) as house:
        slow = await RawClient.connect(house.path)
        register = struct.pack(">iI", 0, 0)
        assert (await slow.ask(316, register)).status == 0
        good = await RawClient.connect(house.path)
        text = xdr_string("x" * 100_000)
        for _ in range(50):  # it asks and never reads an answer: it is not read from
            try:
                slow.sock.send(frame(REMOTE, ECHO, CALL, 1, 0, text))
            except BlockingIOError:
                break
            assert (await good.ask(VERSION, seconds=30)).status == 0
        pending = max(peer.channel.pending for peer in house.server.peers.values())
        assert 0 < pending <= (2 << 20)
        box = house.driver.boxes[0]
        with caplog.at_level(logging.WARNING):
            for _ in range(200_000):  # events cannot wait: what is too much ends the connection
                await box.touch()
                if len(house.server.peers) == 1:
                    break
        assert len(house.server.peers) == 1
        assert "the peer does not read" in caplog.text
        assert (await good.ask(VERSION)).status == 0
        assert not house.driver.events.subscriptions


async def test_a_call_outlives_its_client(house: House) -> None:
    client = await RawClient.connect(house.path)
    await client.send(wait(100))
    await until(lambda: house.driver.started == [100])
    client.close()
    await until(lambda: not house.server.peers)
    assert house.driver.left == ["100"]  # what the caller held was let go
    assert house.driver.finished == []
    house.driver.let_go(100)
    await until(lambda: house.driver.finished == [100])


async def test_on_close_of_a_client_that_has_gone_already(house: House) -> None:
    client = await RawClient.connect(house.path)
    (peer,) = house.server.peers.values()
    client.close()
    await until(lambda: peer.closed)
    gone: list[int] = []

    async def later() -> None:
        gone.append(2)

    peer.on_close(lambda: gone.append(1))
    peer.on_close(later)
    await until(lambda: gone == [1, 2])


async def test_close_lets_go_of_what_clients_held(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        client = await RawClient.connect(house.path)
        (peer,) = house.server.peers.values()
        gone: list[str] = []

        async def let_go() -> None:
            await asyncio.sleep(0.05)
            gone.append("guest")

        peer.on_close(let_go)
        await house.server.close(drain=2)
        assert gone == ["guest"]
        assert await client.at_end()


async def test_close_finishes_what_was_taken_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        client = await RawClient.connect(house.path)
        await client.send(wait(1) + wait(2))
        await until(lambda: house.driver.started == [1, 2])
        closing = asyncio.ensure_future(house.server.close(drain=60))
        await asyncio.sleep(0.02)
        await client.send(wait(3))
        house.driver.let_go(1, 2)
        assert {(await client.frame()).serial, (await client.frame()).serial} == {1, 2}
        assert await client.at_end()
        await asyncio.wait_for(closing, 60)
        assert house.driver.started == [1, 2]
        assert "sock" not in os.listdir(tmp_path)


async def test_close_cancels_what_takes_too_long(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        client = await RawClient.connect(house.path)
        await client.send(wait(1))
        await until(lambda: house.driver.started == [1])
        await house.server.close(drain=0.05)
        assert "the daemon is stopping" in str((await client.frame()).error)
        assert house.driver.finished == []


async def test_pause_leaves_new_connections_waiting(house: House) -> None:
    old = await RawClient.connect(house.path)
    house.server.pause()
    new = await RawClient.connect(house.path, open=False)
    await new.send(frame(REMOTE, 66, CALL, 1))
    assert (await old.ask(VERSION)).status == 0
    with pytest.raises(TimeoutError):
        await new.frame(0.05)
    house.server.resume()
    assert (await new.frame()).status == 0


async def test_descriptors_in_and_out(house: House, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"twelve bytes")
    client = await RawClient.connect(house.path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        fd = os.open(tmp_path / "file", os.O_RDONLY)
        await client.send(frame(REMOTE, KEEP, CALL_WITH_FDS, 1, 0, struct.pack(">I", 1)))
        socket.send_fds(client.sock, [b"\0"], [fd])
        os.close(fd)
        assert (await client.frame()).payload == struct.pack(">Q", 12)
    await client.send(frame(REMOTE, OPEN, CALL, 2, 0, xdr_string(str(tmp_path / "file"))))
    reply = await client.frame()
    assert (reply.type, reply.payload) == (REPLY_WITH_FDS, struct.pack(">I", 1))
    _, fds, _, _ = socket.recv_fds(client.sock, 1, 4)
    assert os.read(fds[0], 100) == b"twelve bytes"
    os.close(fds[0])
    assert len(os.listdir("/proc/self/fd")) == before


async def test_descriptors_of_calls_that_fail_are_closed(house: House) -> None:
    client = await RawClient.connect(house.path)
    before = len(os.listdir("/proc/self/fd"))
    fd = os.open("/dev/null", os.O_RDONLY)
    for procedure in (9999, VERSION, 42):
        await client.send(frame(REMOTE, procedure, CALL_WITH_FDS, 1, 0, struct.pack(">I", 2)))
        socket.send_fds(client.sock, [b"\0"], [fd])
        socket.send_fds(client.sock, [b"\0"], [fd])
        await client.frame()
    assert (await client.ask(KEEP)).error.code == 39  # without the descriptor that it needs
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_keepalive_drops_a_dead_client(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(keepalive_interval=0.05, keepalive_count=2)
    async with serving(tmp_path, limits=limits) as house:
        silent = await RawClient.connect(house.path)
        assert (await silent.ask(60, struct.pack(">i", 10))).payload == b"\0\0\0\1"
        unasked = await RawClient.connect(house.path)  # does not know keepalive: is left alone
        pings = [await silent.frame(), await silent.frame()]
        assert {(ping.program, ping.procedure, ping.type) for ping in pings} == {(KEEPALIVE, 1, 2)}
        assert await silent.at_end()
        assert "does not answer keepalive" in caplog.text
        assert (await unasked.ask(VERSION)).status == 0


async def test_keepalive_answers_keep_it_alive(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(keepalive_interval=0.1, keepalive_count=10)) as house:
        client = await RawClient.connect(house.path)
        await client.ask(60, struct.pack(">i", 10))
        for _ in range(13):
            assert (await client.frame()).program == KEEPALIVE
            await client.send(frame(KEEPALIVE, 2, 2, 0))
        assert len(house.server.peers) == 1


async def test_who_does_not_authenticate_is_dropped(tmp_path: Path) -> None:
    access = Access("SMALL")
    access.auth = lambda caller, readonly: 2  # type: ignore[method-assign]
    async with serving(tmp_path, access=access, limits=Limits(auth_seconds=0.05)) as house:
        client = await RawClient.connect(house.path, open=False)
        assert await client.at_end()


async def test_counts(house: House) -> None:
    client = await RawClient.connect(house.path)
    for _ in range(3):
        await client.ask(VERSION)
    await client.ask(42)
    counts = {count.name: count for count in house.server.counts()}
    assert (counts["version"].total, counts["version"].errors) == (3, 0)
    assert sum(counts["version"].buckets) == 3
    assert (counts["crash"].total, counts["crash"].errors) == (1, 1)
    assert counts["version"].seconds > 0


async def test_a_path_of_any_length(house: House, tmp_path: Path) -> None:
    long = tmp_path / ("d" * 100) / ("e" * 100)
    long.mkdir(parents=True)
    await house.server.listen(long / "sock", mode=0o666)
    assert (long / "sock").stat().st_mode & 0o777 == 0o666
    await house.server.close()
    assert list(long.iterdir()) == []


async def test_a_stale_socket_is_replaced_and_a_live_one_is_not(house: House, tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    await house.server.listen(stale)
    assert (await (await RawClient.connect(stale)).ask(VERSION)).status == 0
    with pytest.raises(SystemError_, match="another process answers there"):
        await house.server.listen(house.path)
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SystemError_, match="no socket"):
        await house.server.listen(tmp_path / "file")
    with pytest.raises(SystemError_, match="No such file"):
        await house.server.listen(tmp_path / "nowhere" / "sock")


async def test_a_socket_that_systemd_made(house: House, tmp_path: Path) -> None:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(tmp_path / "given"))
    made.listen()
    await house.server.listen(made.detach())
    assert (await (await RawClient.connect(tmp_path / "given")).ask(VERSION)).status == 0
    await house.server.close()
    assert (tmp_path / "given").exists()  # it is not ours


async def test_out_of_descriptors(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections wait in the kernel's queue until there are descriptors again."""
    monkeypatch.setattr("splitvirt.rpc.listener.RETRY_SECONDS", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    old = await RawClient.connect(house.path)
    waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    waiting.setblocking(False)
    highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    filled: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                filled.append(os.dup(0))
        await asyncio.get_running_loop().sock_connect(waiting, str(house.path))
        await until(lambda: "cannot take a connection" in caplog.text)
        assert (await old.ask(VERSION)).status == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filled:
            os.close(fd)
    client = RawClient(waiting)
    assert (await client.ask(66)).status == 0


async def test_streams_of_one_client_are_bounded(house: House) -> None:
    client = await RawClient.connect(house.path)
    thing = xdr_string("one") + bytes(15) + b"\1" + struct.pack(">i", 1)
    for serial in range(256):
        assert (await client.ask(201, thing + bytes(4), serial=serial)).status == 0
    assert "256 streams are open" in str((await client.ask(201, thing + bytes(4), serial=300)).error)
    client.close()
    await until(lambda: not house.driver.boxes[0].tasks)


async def test_a_serial_taken_twice_ends_the_first_stream(house: House) -> None:
    client = await RawClient.connect(house.path)
    thing = xdr_string("one") + bytes(15) + b"\1" + struct.pack(">i", 1)
    for _ in range(2):
        assert (await client.ask(201, thing + bytes(4), serial=7)).status == 0
    await until(lambda: len(house.driver.boxes[0].tasks) == 1)
    await client.send(frame(REMOTE, 201, 3, 7, 2, b"abc"))
    assert (await client.frame()).payload == b"ABC"
