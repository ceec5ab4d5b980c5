"""A connection to a server: requests matched with their replies, keepalive, streams, and what comes unasked."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Final, Self

from splitvirt.api.constants import VIR_FROM_RPC
from splitvirt.api.errors import AuthFailed, RPCError, SystemError_, Timeout
from splitvirt.api.params import TypedParam
from splitvirt.api.program import KEEPALIVE, REMOTE
from splitvirt.api.record import Layout, wire
from splitvirt.api.types import U32, OptStr, Params32

from . import keepalive
from .channel import Channel
from .fault import unpack_error
from .gate import Identity
from .keepalive import Keepalive
from .message import (
    CALL,
    ERROR,
    MESSAGE,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    STREAM_HOLE,
    Message,
    close_all,
    frame,
    frame_with_fds,
)
from .stream import ClientStream, WireStream

CONNECT_RO: Final = 1
FEATURE_KEEPALIVE: Final = 10
CONNECT_SECONDS: Final = 10

_PROCEDURE_OPEN: Final = 1
_PROCEDURE_CLOSE: Final = 2
_PROCEDURE_FEATURE: Final = 60
_PROCEDURE_AUTH_LIST: Final = 66
_PROCEDURE_AUTH_POLKIT: Final = 70
_PROCEDURE_SET_IDENTITY: Final = 419
_OPEN: Final = Layout([wire(OptStr), wire(U32)])
_IDENTITY: Final = Layout([wire(Params32), wire(U32)])


async def open_socket(path: str | PathLike[str], seconds: float = CONNECT_SECONDS) -> socket.socket:
    """Connect to a UNIX socket at a path of any length. SystemError_ with libvirt's words when it cannot be reached."""
    path = os.fspath(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    folder = -1
    try:
        where = path
        if len(os.fsencode(path)) > 107:
            folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            where = f"/proc/self/fd/{folder}/{os.path.basename(path)}"
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await asyncio.get_running_loop().sock_connect(sock, where)
                    return sock
                except BlockingIOError:  # its queue is full
                    await asyncio.sleep(0.01)
    except OSError as error:  # TimeoutError is one
        sock.close()
        reason = "it does not take connections" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise SystemError_(f"Failed to connect socket to '{path}': {reason}", domain=VIR_FROM_RPC) from error
    except BaseException:
        sock.close()
        raise
    finally:
        if folder >= 0:
            os.close(folder)


class Link:
    """One connection. `on_message` gets events, `on_lost` the end, once, also when it was ours."""

    def __init__(
        self,
        sock: socket.socket,
        path: str,
        *,
        on_message: Callable[[Message], object] | None = None,
        on_lost: Callable[[], object] | None = None,
        interval: float = keepalive.INTERVAL,
        count: int = keepalive.COUNT,
    ) -> None:
        self.path = path
        self.error: Exception | None = None
        self.channel = Channel(sock, self, max_output=1 << 40)
        self.streams: dict[int, WireStream] = {}
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._serial = 0
        self._on_message, self._on_lost = on_message, on_lost
        self._keepalive = Keepalive(self.channel, interval, count, self._dead)
        self.channel.start()

    @classmethod
    async def connect(
        cls,
        path: str | PathLike[str],
        *,
        on_message: Callable[[Message], object] | None = None,
        on_lost: Callable[[], object] | None = None,
        interval: float = keepalive.INTERVAL,
        count: int = keepalive.COUNT,
    ) -> Self:
        """A link to the server at `path`."""
        sock = await open_socket(path)
        return cls(sock, os.fspath(path), on_message=on_message, on_lost=on_lost, interval=interval, count=count)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self.channel.closed

    async def handshake(self, uri: str, *, readonly: bool = False, speak_for: Identity | None = None) -> None:
        """Authenticate, begin keepalive, open the driver and, as a daemon, say whom the calls are made for."""
        reply = await self.request(REMOTE, _PROCEDURE_AUTH_LIST)
        types = (
            struct.unpack(f">{(len(reply.payload) - 4) // 4}i", reply.payload[4:]) if len(reply.payload) >= 4 else ()
        )
        if 0 not in types:
            if 2 not in types:
                raise AuthFailed(
                    f"the server at '{self.path}' wants a way of authentication that we do not have: {types}"
                )
            await self.request(REMOTE, _PROCEDURE_AUTH_POLKIT)
        reply = await self.request(REMOTE, _PROCEDURE_FEATURE, struct.pack(">i", FEATURE_KEEPALIVE))
        if reply.payload == b"\0\0\0\1":
            self._keepalive.start()
        await self.request(REMOTE, _PROCEDURE_OPEN, _OPEN.write([uri, CONNECT_RO if readonly else 0]))
        if speak_for is not None:
            await self.request(REMOTE, _PROCEDURE_SET_IDENTITY, _IDENTITY.write([identity_parameters(speak_for), 0]))

    # -- requests --------------------------------------------------------------------------------------------------

    def send_call(self, program: int, procedure: int, payload: bytes, fds: Sequence[int] = ()) -> int:
        """Send a call; gives its serial. The descriptors are the channel's then."""
        self._serial = serial = self._serial % 0xFFFFFFFF + 1
        if fds:
            data = frame_with_fds(program, procedure, CALL, serial, payload, len(fds))
        else:
            data = frame(program, procedure, CALL, serial, 0, payload)
        self.channel.send(data, fds)
        return serial

    async def reply(self, serial: int) -> Message:
        """The reply to a call, also one that is an error. Raises when the connection is lost before it comes."""
        if self.closed:
            raise self._lost_error()
        waiter: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[serial] = waiter
        try:
            return await waiter
        finally:
            self._waiting.pop(serial, None)

    async def request(
        self,
        program: int,
        procedure: int,
        payload: bytes | bytearray = b"",
        fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> Message:
        """Call and wait for the reply; VirtError of the server's, of a lost connection, or Timeout."""
        if self.closed:
            close_all(list(fds))
            raise self._lost_error()
        serial = self.send_call(program, procedure, bytes(payload), fds)
        try:
            async with asyncio.timeout(timeout):
                reply = await self.reply(serial)
        except TimeoutError:
            raise Timeout(f"no answer from '{self.path}' within {timeout} seconds") from None
        if reply.status == ERROR:
            reply.close_fds()
            raise unpack_error(reply.payload)
        return reply

    def open_stream(self, program: int, procedure: int, payload: bytes, sparse: bool = False) -> ClientStream:
        """Send a call that sets up a stream; its reply is to be awaited with `reply(stream.serial)`."""
        serial = self.send_call(program, procedure, payload)
        head = Message(program, 1, procedure, STREAM, serial, 0)
        stream = ClientStream(self.channel, head, lambda ended: self.streams.pop(ended.serial, None), sparse)
        if self.closed:
            stream.lost()
        else:
            self.streams[serial] = stream
        return stream

    # -- what comes ------------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """A frame from the server."""
        kind = message.type
        if kind in (REPLY, REPLY_WITH_FDS):
            waiter = self._waiting.pop(message.serial, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(message)
                return
        elif kind in (STREAM, STREAM_HOLE):
            stream = self.streams.get(message.serial)
            if stream is not None:
                stream.received(message)
        elif kind == MESSAGE and message.program == KEEPALIVE:
            keepalive.answer(message, self.channel)
        elif kind == MESSAGE and self._on_message is not None:
            self._on_message(message)
        message.close_fds()

    # -- the end ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Say good-bye and close; harmless when it is closed."""
        if not self.closed:
            with contextlib.suppress(SystemError_, RPCError, Timeout):
                await self.request(REMOTE, _PROCEDURE_CLOSE, timeout=2)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.error = self.error or SystemError_("the connection was closed", domain=VIR_FROM_RPC)
        self.channel.abort()

    def _dead(self) -> None:
        self.error = SystemError_(
            f"the server at '{self.path}' does not answer keepalive messages", domain=VIR_FROM_RPC
        )
        self.channel.abort()

    def lost(self, reason: BaseException | None) -> None:
        """The connection is closed: everything that waits fails."""
        self._keepalive.stop()
        if self.error is None:
            why = str(reason) if reason else "Input/output error"
            text = f"End of file while reading data from '{self.path}': {why}"
            self.error = SystemError_(text, domain=VIR_FROM_RPC)
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting.values():
            if not waiter.done():
                waiter.set_exception(self._lost_error())
        for stream in list(self.streams.values()):
            stream.lost()
        if self._on_lost is not None:
            self._on_lost()

    def _lost_error(self) -> Exception:
        return SystemError_(str(self.error or "the connection was closed"), domain=VIR_FROM_RPC)


def identity_parameters(identity: Identity) -> list[TypedParam]:
    """A caller as the parameters of CONNECT_SET_IDENTITY; names and types are libvirt's."""
    found = [
        TypedParam.ullong("unix-user-id", identity.uid),
        TypedParam.ullong("unix-group-id", identity.gid),
    ]
    for name, attribute in (("user-name", "user"), ("group-name", "group"), ("selinux-context", "selinux")):
        if value := getattr(identity, attribute, ""):
            found.append(TypedParam.string(name, value))
    if identity.pid:
        found.append(TypedParam.llong("process-id", identity.pid))
        found.append(TypedParam.ullong("process-time", getattr(identity, "start_time", 0)))
    return found
