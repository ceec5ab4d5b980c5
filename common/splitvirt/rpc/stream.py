"""Streams over RPC: frames of a call's program, procedure and serial that follow its reply.

CONTINUE carries data, CONTINUE without data says that no more will come, OK ends the stream and is confirmed by OK,
ERROR ends it at once: from a client without payload (confirmed by OK), from a server with the error.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from splitvirt.api.errors import InternalError, OperationAborted, RPCError, VirtError
from splitvirt.api.stream import Stream

from .channel import Channel
from .fault import pack_error, unpack_error
from .message import CONTINUE, ERROR, MAX_STREAM_PAYLOAD, OK, STREAM, STREAM_HOLE, Message, frame

WINDOW: Final = 1 << 20  # bytes read but not taken, beyond which the other side is not read from
CHUNK: Final = 64  # what a chunk that waits costs beside its bytes; a hole is nothing but that
_HOLE: Final = struct.Struct(">qI")


class WireStream(Stream):
    """What both ends share. `ended` is called once, when nothing more will be sent or received."""

    def __init__(
        self, channel: Channel, message: Message, ended: Callable[["WireStream"], object], *, sparse: bool = False
    ) -> None:
        self.serial = message.serial
        self.error: Exception | None = None
        self._channel, self._program, self._procedure = channel, message.program, message.procedure
        self._ended, self._sparse = ended, sparse
        self._chunks: deque[bytes | int] = deque()  # an int is the length of a hole
        self._held = 0
        self._peer_done = False
        self._done = False
        self._over = False
        self._changed = asyncio.Event()

    # -- this side -------------------------------------------------------------------------------------------------

    async def read(self, size: int = MAX_STREAM_PAYLOAD) -> bytes:
        """The next bytes, at most `size`; `b""` when the peer has finished; the zeros of a hole."""
        while not self._chunks and not self._peer_done:
            self._raise_error()
            self._changed.clear()
            await self._changed.wait()
        self._raise_error()
        return self._take(size) if self._chunks else b""

    def _take(self, size: int) -> bytes:
        chunk = self._chunks.popleft()
        length = chunk if isinstance(chunk, int) else len(chunk)
        if length > size:
            self._chunks.appendleft(chunk - size if isinstance(chunk, int) else chunk[size:])
        else:
            self._held -= CHUNK
        if isinstance(chunk, int):
            taken = bytes(min(length, size))
        else:
            taken = chunk[:size]
            self._held -= len(taken)
        if self._held <= WINDOW // 2:
            self._channel.release(self)
        return taken

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait while more than 1 MiB waits for the peer."""
        for at in range(0, len(data), MAX_STREAM_PAYLOAD):
            self._raise_error()
            if self._done:
                raise RPCError("the stream was finished already")
            self._send(CONTINUE, data[at : at + MAX_STREAM_PAYLOAD])
            await self._channel.drain()

    async def over(self) -> None:
        """Wait until nothing more will come or go. Raises the error that ended it."""
        while not self._over:
            self._changed.clear()
            await self._changed.wait()
        self._raise_error()

    async def hole(self, length: int) -> None:
        """Send `length` bytes of nothing, as zeros to a peer that did not ask for holes."""
        if not self._sparse:
            await super().hole(length)
            return
        self._raise_error()
        payload = _HOLE.pack(length, 0)
        self._channel.send(frame(self._program, self._procedure, STREAM_HOLE, self.serial, CONTINUE, payload))

    def _send(self, status: int, payload: bytes = b"") -> None:
        self._channel.send(frame(self._program, self._procedure, STREAM, self.serial, status, payload))

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    # -- the other side --------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """A frame of this stream."""
        if message.procedure != self._procedure or message.program != self._program:
            return
        if message.type == STREAM_HOLE:
            self._hole_received(message.payload)
        elif message.status == CONTINUE:
            self._data_received(message.payload)
        elif message.status == OK:
            self._finish_received()
        elif message.status == ERROR:
            self._abort_received(message.payload)
        else:
            self.abort(RPCError(f"stream aborted with unexpected status {message.status}"))
        self._changed.set()

    def _data_received(self, payload: bytes) -> None:
        if self._peer_done:
            return
        if not payload:
            self._peer_done = True
            return
        self._keep(payload, len(payload))

    def _hole_received(self, payload: bytes) -> None:
        length = _HOLE.unpack(payload)[0] if len(payload) == _HOLE.size else -1
        if not self._sparse or length < 0:
            self.abort(RPCError("Unexpected stream hole"))
        elif length and not self._peer_done:
            self._keep(length, 0)

    def _keep(self, chunk: bytes | int, size: int) -> None:
        self._chunks.append(chunk)
        self._held += size + CHUNK
        if self._held > WINDOW:
            self._channel.hold(self)

    def _finish_received(self) -> None:
        raise NotImplementedError

    def _abort_received(self, payload: bytes) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        """The connection is gone."""
        self._end(RPCError("the connection of the stream was closed"))

    def _end(self, error: Exception | None = None) -> None:
        if self._over:
            return
        self._over = self._done = True
        self.error = self.error or error
        if error is not None:
            self._chunks.clear()
        self._channel.release(self)
        self._changed.set()
        self._ended(self)


class ServedStream(WireStream):
    """A server's end. Nothing is sent before `open`, which comes after the reply to the call."""

    def __init__(
        self, channel: Channel, message: Message, ended: Callable[[WireStream], object], way: str, sparse: bool = False
    ) -> None:
        super().__init__(channel, message, ended, sparse=sparse)
        self._way = way
        self._opened = asyncio.Event()

    def open(self) -> None:
        """The client knows that the call went well."""
        self._opened.set()

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait while more than 1 MiB waits for the client."""
        await self._opened.wait()
        await super().write(data)

    async def hole(self, length: int) -> None:
        """Send `length` bytes of nothing, as zeros to a client that did not ask for holes."""
        await self._opened.wait()
        await super().hole(length)

    async def finish(self) -> None:
        """Say that no more bytes will come, or confirm the client's own end."""
        await self._opened.wait()
        self._raise_error()
        if self._done:
            return
        self._done = True
        if self._peer_done:
            self._confirm()
        elif self._way != "in":
            self._send(CONTINUE)
        await self._channel.drain()

    def abort(self, error: Exception | None = None) -> None:
        """End it with an error for the client; one that is no VirtError is told by its type alone."""
        if self._over:
            return
        told = error or OperationAborted("the stream was aborted")
        if not isinstance(told, VirtError):
            told = InternalError(f"the stream failed: {type(told).__name__}")
        self._send(ERROR, pack_error(told))
        self._end(told)

    def dismiss(self) -> None:
        """The call failed: the client hears of it in the reply."""
        self._end(OperationAborted("the call that the stream was for failed"))

    def _end(self, error: Exception | None = None) -> None:
        self._opened.set()
        super()._end(error)

    def _confirm(self) -> None:
        self._send(OK)
        self._end()

    def _finish_received(self) -> None:
        self._peer_done = True
        if self._done:
            self._confirm()
        elif self._way == "out":  # the client has read enough: who writes on learns of it
            self._send(OK)
            self._end(OperationAborted("the client finished the stream"))

    def _abort_received(self, payload: bytes) -> None:
        self._send(OK)
        self._end(OperationAborted("stream aborted at client request"))


class ClientStream(WireStream):
    """A client's end."""

    def __init__(
        self, channel: Channel, message: Message, ended: Callable[[WireStream], object], sparse: bool = False
    ) -> None:
        super().__init__(channel, message, ended, sparse=sparse)
        self._confirmed: asyncio.Future[None] | None = None

    async def finish(self) -> None:
        """Say that no more bytes will come, and wait until the server has taken those sent and confirms the end."""
        self._raise_error()
        if self._over:
            return
        if self._confirmed is None:
            self._done = True
            self._confirmed = asyncio.get_running_loop().create_future()
            self._send(OK)
        await asyncio.shield(self._confirmed)

    def abort(self, error: Exception | None = None) -> None:
        """End it at once; the server gets no reason, the protocol has no place for one."""
        if not self._over:
            self._send(ERROR)
            self._end(error or OperationAborted("the stream was aborted"))

    def refused(self, error: Exception) -> None:
        """The call that was to set it up failed."""
        self._end(error)

    def _finish_received(self) -> None:
        self._peer_done = True
        self._end()

    def _abort_received(self, payload: bytes) -> None:
        self._end(unpack_error(payload))

    def _end(self, error: Exception | None = None) -> None:
        super()._end(error)
        if self._confirmed is not None and not self._confirmed.done():
            if self.error is not None:
                self._confirmed.set_exception(self.error)
                self._confirmed.exception()  # who waited may have been cancelled
            else:
                self._confirmed.set_result(None)
