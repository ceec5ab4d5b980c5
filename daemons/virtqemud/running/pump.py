"""A stream joined to a descriptor: what one end says the other hears, at the pace of the slower."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from typing import Any

from splitvirt.api.errors import VirtError
from splitvirt.api.stream import Stream


class Pump:
    """Moves bytes between a pty or socket, which it owns, and a stream, until either ends."""

    def __init__(self, fd: int, stream: Stream) -> None:
        os.set_blocking(fd, False)
        self._fd, self._stream = fd, stream
        self._tasks: list[asyncio.Task[Any]] = []
        self._readable: asyncio.Event | None = None
        self.running = True

    def start(self, background: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]) -> None:
        """Begin; `background` runs the two halves."""
        self._tasks = [background(self._outward()), background(self._inward())]

    def close(self, error: Exception | None = None) -> None:
        """End at once, telling the stream why."""
        if self.running:
            self._stream.abort(error)
            self._end()

    def _end(self) -> None:
        if self.running:
            self.running = False
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._fd)
            loop.remove_writer(self._fd)
            os.close(self._fd)
            me = asyncio.current_task()
            for task in self._tasks:
                if task is not me:
                    task.cancel()

    async def _outward(self) -> None:
        """From the descriptor to the stream."""
        try:
            while True:
                data = await self._read()
                if not data:
                    break
                await self._stream.write(data)
            await self._stream.finish()
        except (VirtError, OSError):
            pass  # the peer went away
        finally:
            self._end()

    async def _inward(self) -> None:
        """From the stream to the descriptor; a peer that finishes wants to hear no more either, as in libvirt."""
        try:
            while data := await self._stream.read():
                await self._write(data)
            await self._stream.finish()
        except (VirtError, OSError):
            pass
        finally:
            self._end()

    async def _read(self) -> bytes:
        while True:
            try:
                return os.read(self._fd, 65536)
            except BlockingIOError:
                await self._ready(asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)
            except OSError:
                return b""  # EIO: nobody has the other side of the pty any more

    async def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await self._ready(asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)

    async def _ready(self, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
        waiter = asyncio.get_running_loop().create_future()

        def ready() -> None:
            if not waiter.done():
                waiter.set_result(None)

        add(self._fd, ready)
        try:
            await waiter
        finally:
            with contextlib.suppress(ValueError, OSError):
                remove(self._fd)
