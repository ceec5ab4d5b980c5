"""Calls that a daemon does not answer itself, passed on to the sibling that does, as the frames they are.

Each client has its own connection to each sibling, made at the first such call with the client's identity; so what
the sibling counts, filters and sends as events is the client's. Payloads are not looked into, only serials change.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from splitvirt.api.errors import RPCError, SystemError_, VirtError
from splitvirt.api.program import REMOTE

from .channel import HIGH_WATER, Channel
from .fault import pack_error
from .link import Link
from .message import CALL, CONTINUE, ERROR, REPLY, STREAM, STREAM_HOLE, Message, frame, frame_with_fds
from .procedure import Procedure, Programs
from .stream import WireStream
from .unoffered import error_for

if TYPE_CHECKING:
    from .peer import Peer


def _numbers(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


PROCEDURES: Final = {
    "network": _numbers("36 38-50 52 152-153 283 291 313-314 341 404-410 432 437"),
    "storage": _numbers("71-100 125 154-155 165 208-209 259-260 281-282 368-369 378 391 403"),
    "nodedev": _numbers("111-120 123-124 285 297 301 374-375 428-430 433-436"),
    "secret": _numbers("139-147 287 380-381"),
    "interface": _numbers("126-134 137-138 156 220-222 284"),
    "nwfilter": _numbers("175-181 286 397-401 431"),
}
"""The procedures of libvirt's other drivers, by driver."""

STREAMED: Final = frozenset({208, 209})
"""Those of them that have a stream: storage volumes' upload and download."""


class Route(NamedTuple):
    """Where a sibling listens, and the URI to open there."""

    path: str
    uri: str


class Routes:
    """Who answers for which driver; a driver without a route is "not supported", as where libvirt has none."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        if unknown := routes.keys() - PROCEDURES.keys():
            raise ValueError(f"no such driver: {', '.join(sorted(unknown))}")
        self.routes = dict(routes)

    def procedures(self, programs: Programs) -> None:
        """Add what can be passed on to what a server answers, where it does not answer that itself."""
        remote = programs.setdefault(REMOTE, {})
        for driver, numbers in PROCEDURES.items():
            made = self._procedure(driver)
            for number in numbers:
                remote.setdefault(number, made)

    def _procedure(self, driver: str) -> Procedure:
        async def answer(peer: "Peer", message: Message) -> None:
            route = self.routes.get(driver)
            if route is None:
                raise error_for(message.program, message.procedure)
            try:
                sibling = await _sibling(peer, driver, route)
            except SystemError_ as error:
                if isinstance(error.__cause__, FileNotFoundError):  # no such daemon here: tools do without its driver
                    raise error_for(message.program, message.procedure, str(error)) from error
                raise
            await sibling.forward(message)

        return Procedure(f"forward.{driver}", answer, high=True)


async def _sibling(peer: "Peer", driver: str, route: Route) -> "Sibling":
    """The client's connection to a sibling, made if there is none; calls that come meanwhile share it."""
    making = peer.siblings.get(driver)
    if making is None or (making.done() and (making.cancelled() or making.exception() or making.result().closed)):
        making = asyncio.ensure_future(Sibling.connect(peer, route))
        making.add_done_callback(lambda made: made.cancelled() or made.exception())
        peer.siblings[driver] = making
    return await asyncio.shield(making)


class Sibling:
    """A client's connection to one sibling daemon."""

    def __init__(self, peer: "Peer", link: Link) -> None:
        self._peer, self._link = peer, link
        peer.on_close(self.close)

    @classmethod
    async def connect(cls, peer: "Peer", route: Route) -> "Sibling":
        """Connect, and say whom the calls are for. SystemError_ when nobody answers there."""

        def told(message: Message) -> None:
            data = frame(message.program, message.procedure, message.type, 0, message.status, message.payload)
            peer.channel.send(data)

        link = await Link.connect(route.path, on_message=told)
        try:
            await link.handshake(route.uri, readonly=peer.readonly, speak_for=peer.identity)
        except BaseException:
            link.abort()
            raise
        return cls(peer, link)

    @property
    def closed(self) -> bool:
        """Whether a new one is needed."""
        return self._link.closed

    def close(self) -> None:
        """The client has gone."""
        self._link.abort()

    async def forward(self, message: Message) -> None:
        """Pass a call on, and its reply back."""
        fds, payload = message.take_fds(), message.payload
        streamed = message.procedure in STREAMED and message.type == CALL
        serial = self._link.send_call(message.program, message.procedure, payload, fds)
        stream = self._join(message, serial) if streamed else None
        try:
            reply = await self._link.reply(serial)
        except VirtError:
            if stream is not None:
                stream.forget()
            raise
        if reply.status == ERROR and stream is not None:
            stream.forget()
        self._pass_back(message, reply)

    def _pass_back(self, message: Message, reply: Message) -> None:
        fds, plain = reply.take_fds(), (message.program, message.procedure, REPLY, message.serial)
        if fds:
            data = frame_with_fds(*plain, reply.payload, len(fds))
        else:
            data = frame(*plain, reply.status, reply.payload, message.version)
        self._peer.channel.send(data, fds)

    def _join(self, message: Message, serial: int) -> "ForwardedStream":
        peer, link = self._peer, self._link
        near = ForwardedStream(peer.channel, message, far=False)
        far_head = Message(message.program, 1, message.procedure, CALL, serial, 0)
        far = ForwardedStream(link.channel, far_head, far=True)
        near.join(far, peer.streams)
        far.join(near, link.streams)
        return near


class ForwardedStream(WireStream):
    """One end of a stream that is passed on: what it receives its other end sends, and is not looked into."""

    def __init__(self, channel: Channel, message: Message, *, far: bool) -> None:
        super().__init__(channel, message, lambda stream: None)
        self._far = far  # the end at the sibling, which is the stream's server
        self._other = self
        self._among: dict[int, WireStream] = {}
        self._easing: asyncio.Task[None] | None = None

    def join(self, other: "ForwardedStream", among: dict[int, WireStream]) -> None:
        """Say which is the other end, and among which streams this one is found."""
        self._other, self._among = other, among
        among[self.serial] = self

    def received(self, message: Message) -> None:
        """Pass a frame on; an end is the end of both once the server, the far one, has said so."""
        to = self._other
        kind = STREAM_HOLE if message.type == STREAM_HOLE else STREAM
        data = frame(to._program, to._procedure, kind, to.serial, message.status, message.payload)
        to._channel.send(data)
        if to._channel.pending > HIGH_WATER and self._easing is None:
            self._channel.hold(self)
            self._easing = asyncio.get_running_loop().create_task(self._ease())
        if message.status != CONTINUE and self._far:
            self.forget()

    async def _ease(self) -> None:
        await self._other._channel.drain()
        self._channel.release(self)
        self._easing = None

    async def finish(self) -> None:
        """Nobody in this process speaks on it."""
        raise NotImplementedError

    def abort(self, error: Exception | None = None) -> None:
        """Nobody in this process speaks on it."""
        raise NotImplementedError

    def lost(self) -> None:
        """One connection has gone: the other end hears of it."""
        other = self._other
        self.forget()
        other.tell_lost()

    def tell_lost(self) -> None:
        """The other end's connection has gone: an error to a client, an abort to a server."""
        payload = b"" if self._far else pack_error(RPCError("the connection of the stream was closed"))
        self._send(ERROR, payload)

    def forget(self) -> None:
        """Both ends are over."""
        for end in (self, self._other):
            if end._among.get(end.serial) is end:
                del end._among[end.serial]
            end._channel.release(end)
