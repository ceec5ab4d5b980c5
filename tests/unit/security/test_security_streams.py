"""What a client can make a server keep for it."""

import struct
from typing import Any

import pytest

from splitvirt.rpc.message import CALL, CONTINUE, STREAM, STREAM_HOLE, Message
from splitvirt.rpc.stream import CHUNK, WINDOW, ServedStream


class Wire:
    """A connection that only notes whether it is read from."""

    def __init__(self) -> None:
        self.held: set[Any] = set()

    def hold(self, reason: object) -> None:
        """Not read from now on."""
        self.held.add(reason)

    def release(self, reason: object) -> None:
        """Read from again."""
        self.held.discard(reason)


@pytest.mark.parametrize(("kind", "payload"), [(STREAM, b"x"), (STREAM_HOLE, struct.pack(">qI", 1, 0))])
async def test_many_small_pieces_count_for_what_they_cost(kind: int, payload: bytes) -> None:
    """A byte alone, or a hole, takes tens of bytes to keep: a stream that nobody reads must stop its client."""
    wire: Any = Wire()
    stream = ServedStream(wire, Message(1, 1, 2, CALL, 3, 0), lambda stream: None, "in", sparse=True)
    sent = 0
    while not wire.held:
        stream.received(Message(1, 1, 2, kind, 3, CONTINUE, payload))
        sent += 1
        assert sent <= WINDOW // CHUNK + 1
    taken = 0
    while wire.held:
        taken += len(await stream.read())
    assert sent // 2 <= taken < sent
    while taken < sent:
        taken += len(await stream.read())
    assert stream._held == 0
