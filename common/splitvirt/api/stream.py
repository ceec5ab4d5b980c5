"""Bytes that flow beside a call: consoles, screenshots, volumes."""

import abc
import asyncio
from collections import deque


class Stream(abc.ABC):
    """One end of a two-way flow of bytes with a bounded window."""

    @abc.abstractmethod
    async def read(self, size: int = 262120) -> bytes:
        """The next bytes, at most `size`; `b""` when the peer has finished. Raises the error of an aborted stream."""

    @abc.abstractmethod
    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the peer's window is full. Raises the error of an aborted stream."""

    @abc.abstractmethod
    async def finish(self) -> None:
        """Say that no more bytes will come; waits until those sent are taken."""

    @abc.abstractmethod
    def abort(self, error: Exception | None = None) -> None:
        """End both ways at once, with an error for the peer."""

    async def hole(self, length: int) -> None:
        """Send `length` bytes of nothing; as zeros where the stream is not sparse."""
        while length:
            size = min(length, 262120)
            await self.write(bytes(size))
            length -= size


class Pipe(Stream):
    """One of two joined ends within a process; `pipe()` makes both."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.peer = self
        self.chunks: deque[bytes] = deque()
        self.held = 0
        self.ended = False
        self.error: Exception | None = None
        self.changed = asyncio.Condition()

    async def read(self, size: int = 262120) -> bytes:
        async with self.changed:
            await self.changed.wait_for(lambda: self.chunks or self.ended or self.error)
            if self.error:
                raise self.error
            if not self.chunks:
                return b""
            chunk = self.chunks.popleft()
            if len(chunk) > size:
                self.chunks.appendleft(chunk[size:])
            self.held -= len(chunk[:size])
            self.changed.notify_all()
            return chunk[:size]

    async def write(self, data: bytes) -> None:
        to = self.peer
        async with to.changed:
            await to.changed.wait_for(lambda: to.held < to.window or to.error)
            if to.error:
                raise to.error
            if data and not to.ended:
                to.chunks.append(bytes(data))
                to.held += len(data)
                to.changed.notify_all()

    async def finish(self) -> None:
        to = self.peer
        async with to.changed:
            to.ended = True
            to.changed.notify_all()

    def abort(self, error: Exception | None = None) -> None:
        self.error = self.peer.error = error or ConnectionAbortedError("the stream was aborted")
        for end in (self, self.peer):
            asyncio.get_running_loop().create_task(end._wake())

    async def _wake(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def pipe(window: int = 262144) -> tuple[Pipe, Pipe]:
    """Two joined ends: what one writes the other reads, at most `window` bytes ahead."""
    one, other = Pipe(window), Pipe(window)
    one.peer, other.peer = other, one
    return one, other
