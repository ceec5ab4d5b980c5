"""One client of a server: its frames taken apart, its calls started and answered, what it holds let go at its end."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from splitvirt.api.dispatch import Closers
from splitvirt.api.errors import InternalError, RPCError, VirtError
from splitvirt.api.program import KEEPALIVE

from . import keepalive
from .channel import Channel
from .events import Registrations
from .fault import pack_error
from .keepalive import Keepalive
from .message import (
    CALLS,
    ERROR,
    MAX_FRAME,
    MAX_FRAME_BEFORE_AUTH,
    MESSAGE,
    OK,
    REPLY,
    STREAM,
    STREAM_HOLE,
    Message,
    frame,
    frame_with_fds,
)
from .procedure import AUTHENTICATED, NOTHING, OPENED, Procedure

if TYPE_CHECKING:
    from .forward import Sibling
    from .listener import Listener
    from .server import Server
    from .stream import WireStream

log = logging.getLogger(__name__)

BUSY: Final = "calls under way"


class Peer:
    """A connected client. Also the caller that its calls are made for, until a sibling says whom it speaks for."""

    def __init__(self, server: "Server", listener: "Listener", sock: socket.socket, number: int, identity: Any) -> None:
        limits = server.limits
        self.server, self.listener, self.number = server, listener, number
        self.name = f"client {number}"
        self.identity = self.process = identity
        self.readonly = listener.readonly
        self.since = time.time()
        self.stage = NOTHING if server.access.auth(identity, self.readonly) else AUTHENTICATED
        self.in_flight = 0
        self.streams: dict[int, WireStream] = {}
        self.siblings: dict[str, asyncio.Future[Sibling]] = {}
        self.proving = False  # somebody may be typing a password
        self.closing = False  # a reply more, and it is closed
        self._closers = Closers(server.keep_running)
        self.registrations = Registrations(self)
        max_frame = MAX_FRAME if self.stage else MAX_FRAME_BEFORE_AUTH
        self.channel = Channel(sock, self, max_frame=max_frame, max_output=limits.max_output, throttle=True)
        self.keepalive = Keepalive(self.channel, limits.keepalive_interval, limits.keepalive_count, self._dead)

    def start(self) -> None:
        """Begin to listen to it."""
        self.channel.start()
        if self.stage == NOTHING:
            self.server.unproved.add(self)
            self._wait_for_proof()

    def _wait_for_proof(self) -> None:
        timer = asyncio.get_running_loop().call_later(self.server.limits.auth_seconds, self._too_late)
        self.on_close(timer.cancel)

    def _too_late(self) -> None:
        if self.stage == NOTHING and self.proving:
            self._wait_for_proof()
        elif self.stage == NOTHING:
            self.disconnect("it did not authenticate in time")

    def __repr__(self) -> str:
        return f"<client {self.number}: {self.identity}>"

    @property
    def closed(self) -> bool:
        """Whether it is gone."""
        return self._closers.closed

    @property
    def silent(self) -> float:
        """Seconds since it was last heard."""
        return asyncio.get_running_loop().time() - self.channel.last_read

    # -- the caller ------------------------------------------------------------------------------------------------

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether it may use `permission` on the object."""
        return self.server.access.allowed(self.identity, self.readonly, permission, on)

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when the client is gone, at once if it is; a coroutine it gives is run to its end."""
        self._closers.add(callback)

    # -- what it says ----------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """A frame from the client. What no client sends is dropped without a word, as libvirtd does."""
        kind = message.type
        if kind in CALLS:
            self._call(message)
            return
        if kind in (STREAM, STREAM_HOLE):
            stream = self.streams.get(message.serial)
            if stream is not None:
                stream.received(message)
        elif kind == MESSAGE and message.program == KEEPALIVE:
            keepalive.answer(message, self.channel)
        if message.fds:
            message.close_fds()

    def _call(self, message: Message) -> None:
        try:
            procedure = self.server.find(self, message)
            if message.status != OK:
                raise RPCError(f"Unexpected message status {message.status}")
            if procedure.stage > self.stage:
                raise (
                    InternalError("hypervisor connection not open", domain=RPCError.FROM)
                    if self.stage
                    else RPCError("authentication required")
                )
        except VirtError as error:
            self.send_error(message, error)
            message.close_fds()
            return
        self.in_flight += 1
        self.server.run(self, procedure, message)
        if self.in_flight >= self.server.limits.max_client_requests and not self.closed:
            self.channel.hold(BUSY)

    def ended(self) -> None:
        """One of its calls has been answered."""
        self.in_flight -= 1
        self.channel.release(BUSY)

    async def answer(self, procedure: Procedure, message: Message) -> None:
        """Make the call and reply, also when the client has gone meanwhile. Never raises."""
        count = procedure.count
        count.in_flight += 1
        began, failed = perf_counter(), True
        try:
            payload = await procedure.answer(self, message)
            failed = False
            if payload is not None:
                self.send_reply(message, payload)
            if self.closing:
                self.close()
        except VirtError as error:
            self.send_error(message, error)
        except asyncio.CancelledError:
            self.send_error(message, InternalError("the daemon is stopping"))
            raise
        except Exception as error:
            log.exception("%s, called by %s, failed", procedure.name, self.name)
            self.send_error(message, InternalError(f"{type(error).__name__} in {procedure.name}, see the daemon's log"))
        finally:
            if message.fds:
                message.close_fds()
            count.in_flight -= 1
            count.add(perf_counter() - began, failed)

    # -- what it is told -------------------------------------------------------------------------------------------

    def send_reply(self, message: Message, payload: bytes | bytearray) -> None:
        """Answer a call; descriptors beside the payload are the channel's then."""
        fds = getattr(payload, "fds", None)
        if fds:
            data = frame_with_fds(message.program, message.procedure, REPLY, message.serial, bytes(payload), len(fds))
            self.channel.send(data, fds)
        elif MAX_FRAME - len(payload) < 64:
            self.send_error(message, RPCError(f"the answer has {len(payload)} bytes, more than a message may carry"))
        else:
            self.channel.send(frame(message.program, message.procedure, REPLY, message.serial, OK, payload))

    def send_error(self, message: Message, error: VirtError) -> None:
        """Answer a call with an error."""
        data = pack_error(error)
        version = message.version
        self.channel.send(frame(message.program, message.procedure, REPLY, message.serial, ERROR, data, version))

    def send_event(self, program: int, procedure: int, payload: bytes | bytearray) -> None:
        """Tell it of something it did not ask about just now."""
        self.channel.send(frame(program, procedure, MESSAGE, 0, OK, payload))

    # -- its way -------------------------------------------------------------------------------------------------

    def authenticated(self) -> None:
        """It has proved who it is."""
        if self.stage == NOTHING and not self.closed:
            self.stage = AUTHENTICATED
            self.server.unproved.discard(self)
        self.channel.max_frame = MAX_FRAME
        self.server.changed()

    def opened(self) -> None:
        """It may make the contract's calls now."""
        self.stage = OPENED

    def close(self) -> None:
        """Say good-bye: what is queued is still sent."""
        self.channel.close()

    def disconnect(self, reason: str) -> None:
        """Drop it at once."""
        self.channel.abort(ConnectionError(reason))

    def _dead(self) -> None:
        self.disconnect("it does not answer keepalive messages")

    def lost(self, reason: BaseException | None) -> None:
        """The connection is closed: let go of all it held. Calls under way go on."""
        self.server.unproved.discard(self)
        self.keepalive.stop()
        if isinstance(reason, BrokenPipeError | ConnectionResetError):
            log.debug("%s left without a word: %s", self.name, reason)
        elif reason is not None:
            log.warning("%s dropped: %s", self.name, reason)
        for stream in list(self.streams.values()):
            stream.lost()
        self.streams.clear()
        self._closers.close()
        self.server.left(self)
