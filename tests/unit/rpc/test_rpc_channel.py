"""Frames over a socket pair: taken apart however they are cut, bounded, with descriptors, both ways."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rpc_house import until

from splitvirt.rpc.channel import HIGH_WATER, Channel
from splitvirt.rpc.message import CALL, CALL_WITH_FDS, MAX_FDS, REPLY, Message, close_all, frame, frame_with_fds


class Sink:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ends: list[BaseException | None] = []

    def received(self, message: Message) -> None:
        self.messages.append(message)

    def lost(self, reason: BaseException | None) -> None:
        self.ends.append(reason)


class Ends:
    """A channel and the plain socket at its other end."""

    def __init__(self, max_frame: int = 1 << 25, max_output: int = 1 << 24, throttle: bool = False) -> None:
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.sink = Sink()
        self.channel = Channel(near, self.sink, max_frame=max_frame, max_output=max_output, throttle=throttle)

    def __enter__(self) -> "Ends":
        self.channel.start()
        return self

    def __exit__(self, *why: object) -> None:
        self.channel.abort()
        self.far.close()
        for message in self.sink.messages:
            message.close_fds()


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def no_leak() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() == before


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=30))
async def test_frames_cut_anywhere(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(7, 2, CALL, at, 0, payload) for at, payload in enumerate(payloads))
    with Ends() as ends:
        at = 0
        for size in [*cuts, len(stream)]:
            if part := stream[at : at + size]:
                ends.far.send(part)
                await asyncio.sleep(0)
                at += size
        await until(lambda: len(ends.sink.messages) == len(payloads))
        assert [message.payload for message in ends.sink.messages] == payloads
        assert [message.serial for message in ends.sink.messages] == list(range(len(payloads)))
        assert not ends.sink.ends


async def test_a_frame_of_the_largest_size() -> None:
    payload = os.urandom((32 << 20) - 28)
    with Ends() as ends:
        data = memoryview(frame(7, 2, CALL, 1, 0, payload))
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(ends.far, data), 60)
        await until(lambda: ends.sink.messages)
        assert ends.sink.messages[0].payload == payload


@pytest.mark.parametrize("size", [0, 3, 27, (32 << 20) + 1, 0xFFFFFFFF])
async def test_sizes_that_cannot_be(size: int) -> None:
    with Ends() as ends:
        ends.far.send(struct.pack(">I", size) + b"abc")
        await until(lambda: ends.sink.ends)
        assert "bytes, allowed are" in str(ends.sink.ends[0])


async def test_the_frames_before_a_bad_one_are_delivered() -> None:
    with Ends() as ends:
        ends.far.send(frame(7, 2, CALL, 1) + struct.pack(">I", 5) + bytes(24))
        await until(lambda: ends.sink.ends)
        assert len(ends.sink.messages) == 1


async def test_the_end() -> None:
    with Ends() as ends:
        ends.far.send(frame(7, 2, CALL, 1)[:20])
        ends.far.close()
        await until(lambda: ends.sink.ends)
        assert ends.sink.ends == [None]
        ends.channel.send(b"nobody reads it")
        assert ends.sink.ends == [None]


def give(sock: socket.socket, fds: list[int], data: bytes = b"\0") -> None:
    socket.send_fds(sock, [data], fds)


@pytest.mark.usefixtures("no_leak")
@pytest.mark.parametrize("together", [True, False])
async def test_descriptors(together: bool) -> None:
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
    with Ends() as ends:
        data = frame_with_fds(7, 2, CALL, 1, b"abcd", 3)
        if together:  # descriptors may arrive with the bytes of the frame
            give(ends.far, fds[:1], data + b"\0")
        else:
            ends.far.send(data)
            give(ends.far, fds[:1])
        await asyncio.sleep(0.01)
        assert not ends.sink.messages
        for fd in fds[1:]:
            give(ends.far, [fd])
        ends.far.send(frame(7, 2, CALL, 2))
        await until(lambda: len(ends.sink.messages) == 2)
        first, second = ends.sink.messages
        assert (first.type, first.payload, len(first.fds or ())) == (CALL_WITH_FDS, b"abcd", 3)
        assert second.serial == 2
        assert not second.fds
        assert all(not os.get_inheritable(fd) for fd in first.fds or ())
        first.close_fds()
    close_all(fds)


@pytest.mark.usefixtures("no_leak")
@pytest.mark.parametrize("payload", [b"", b"\0\0", struct.pack(">I", MAX_FDS + 1), b"\xff\xff\xff\xff"])
async def test_counts_of_descriptors_that_cannot_be(payload: bytes) -> None:
    with Ends() as ends:
        ends.far.send(frame(7, 2, CALL_WITH_FDS, 1, 0, payload) + bytes(64))
        await until(lambda: ends.sink.ends)
        assert ends.sink.ends[0] is not None


@pytest.mark.usefixtures("no_leak")
async def test_descriptors_nobody_asked_for_are_closed() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    with Ends() as ends:
        for serial in range(100):
            give(ends.far, [fd] * 10, frame(7, 2, CALL, serial))
            await asyncio.sleep(0)
        await until(lambda: len(ends.sink.messages) == 100)
        assert not ends.sink.ends
        before = open_fds()
        give(ends.far, [fd] * 20, frame(7, 2, CALL, 1)[:10])
        give(ends.far, [fd] * 20, b"")
        give(ends.far, [fd] * 20, frame(7, 2, CALL, 1)[10:20])
        await until(lambda: ends.sink.ends)
        assert open_fds() == before - 1
    os.close(fd)


@pytest.mark.usefixtures("no_leak")
async def test_too_many_descriptors_in_one_message() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    with Ends() as ends:
        give(ends.far, [fd] * 200, frame(7, 2, CALL, 1))
        await until(lambda: ends.sink.ends)
    os.close(fd)


@pytest.mark.usefixtures("no_leak")
async def test_a_frame_with_descriptors_is_sent_as_libvirt_reads_it() -> None:
    with Ends() as ends:
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
        data = frame_with_fds(7, 2, REPLY, 1, b"abcd", 2)
        ends.channel.send(data, fds)
        ends.channel.send(frame(7, 2, REPLY, 2))
        plain, none, _, _ = socket.recv_fds(ends.far, len(data), 10)
        assert (plain, none) == (data, [])
        for _ in fds:
            byte, got, _, _ = socket.recv_fds(ends.far, 1, 10)
            assert (byte, len(got)) == (b"\0", 1)
            close_all(got)
        assert ends.far.recv(100) == frame(7, 2, REPLY, 2)


@pytest.mark.usefixtures("no_leak")
async def test_descriptors_in_the_queue_are_closed_with_it() -> None:
    with Ends() as ends:
        ends.channel.send(bytes(8 << 20))
        ends.channel.send(b"", [os.open("/dev/null", os.O_RDONLY)])
        ends.channel.abort()
        ends.channel.send(b"", [os.open("/dev/null", os.O_RDONLY)])


async def test_who_does_not_read_is_dropped() -> None:
    with Ends(max_output=1 << 20) as ends:
        for _ in range(100):
            ends.channel.send(bytes(100_000))
        assert isinstance(ends.sink.ends[0], BufferError)
        assert ends.channel.pending == 0


async def test_who_does_not_read_is_not_read_from() -> None:
    with Ends(throttle=True) as ends:
        ends.channel.send(bytes(HIGH_WATER * 2))
        ends.far.send(frame(7, 2, CALL, 1))
        await asyncio.sleep(0.02)
        assert not ends.sink.messages
        got = 0
        while got < HIGH_WATER * 2:
            got += len(await asyncio.get_running_loop().sock_recv(ends.far, 1 << 20))
        await until(lambda: ends.sink.messages)


async def test_everything_sent_arrives_in_order_and_close_flushes() -> None:
    with Ends() as ends:
        frames = [frame(7, 2, REPLY, serial, 0, os.urandom(serial % 5000)) for serial in range(2000)]
        for data in frames:
            ends.channel.send(data)
        ends.channel.close()
        ends.channel.send(b"too late")
        got = b""
        while data := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ends.far, 1 << 20), 60):
            got += data
        assert got == b"".join(frames)
        assert ends.sink.ends == [None]


async def test_drain() -> None:
    with Ends() as ends:
        ends.channel.send(bytes(4 << 20))
        waiting = asyncio.ensure_future(ends.channel.drain())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        while not waiting.done():
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ends.far, 1 << 20), 60)
        assert ends.channel.pending <= HIGH_WATER


async def test_holds() -> None:
    with Ends() as ends:
        ends.channel.hold("a")
        ends.channel.hold("b")
        ends.far.send(frame(7, 2, CALL, 1) * 3)
        ends.channel.release("a")
        ends.channel.release("never held")
        await asyncio.sleep(0.01)
        assert not ends.sink.messages
        ends.channel.release("b")
        await until(lambda: len(ends.sink.messages) == 3)


async def test_a_hold_in_the_middle_of_a_batch() -> None:
    with Ends() as ends:
        keep = ends.sink.received

        def once(message: Message) -> None:
            keep(message)
            ends.channel.hold("one at a time")

        ends.sink.received = once  # type: ignore[method-assign]
        ends.far.send(b"".join(frame(7, 2, CALL, serial) for serial in range(10)))
        for count in range(1, 11):
            await until(lambda count=count: len(ends.sink.messages) == count)  # type: ignore[misc]
            await asyncio.sleep(0)
            assert len(ends.sink.messages) == count
            ends.channel.release("one at a time")
        assert [message.serial for message in ends.sink.messages] == list(range(10))
