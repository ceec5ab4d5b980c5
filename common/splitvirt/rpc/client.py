"""A contract whose calls travel to a daemon: stand-ins derived from the declarations.

`root = await connect_rpc(Hypervisor, "/run/libvirt/virtqemud-sock", "qemu:///system")`, then `await root.domains()`.
"""

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Callable, Coroutine
from os import PathLike
from typing import Any, TypeVar, cast

from splitvirt.api.call import Call, Object, calls
from splitvirt.api.errors import InternalError, NoSupport, Timeout, VirtError
from splitvirt.api.event import Event, Hub, Listener, Subscription
from splitvirt.api.event import events as declared_events
from splitvirt.api.program import QEMU, REMOTE
from splitvirt.api.record import Layout, wire
from splitvirt.api.stream import Stream
from splitvirt.api.types import I32, U32, OptStr
from splitvirt.api.wire import Optional, Reader

from . import keepalive
from .events import FAMILIES
from .fault import unpack_error
from .gate import Identity
from .link import Link
from .message import ERROR, Message
from .stream import ClientStream

log = logging.getLogger(__name__)

T = TypeVar("T")

_NUMBER = Layout([wire(I32)])


class Session:
    """What the stand-ins of one connection share. With `reconnect` a call after a loss makes the connection anew."""

    def __init__(
        self,
        contract: type,
        path: str | PathLike[str],
        uri: str,
        *,
        readonly: bool,
        speak_for: Identity | None,
        timeout: float | None,
        reconnect: bool,
        interval: float,
        count: int,
    ) -> None:
        self.contract, self.path, self.uri = contract, os.fspath(path), uri
        self.readonly, self.speak_for, self.timeout, self.reconnect = readonly, speak_for, timeout, reconnect
        self.hub = RemoteHub(self)
        self.on_lost: list[Callable[[], object]] = []
        self._pulse = (interval, count)
        self._link: Link | None = None
        self._making = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def link(self) -> Link:
        """The connection, made if there is none yet. SystemError_ when it is lost or cannot be made."""
        link = self._link
        if link is not None and (not link.closed or not self.reconnect or self._closed):
            return link
        async with self._making:
            if self._link is None or self._link.closed:
                self._link = await self._connect()
        return self._link

    async def _connect(self) -> Link:
        interval, count = self._pulse
        link = await Link.connect(
            self.path, on_message=self.hub.received, on_lost=self._lost, interval=interval, count=count
        )
        try:
            async with asyncio.timeout(self.timeout):
                await link.handshake(self.uri, readonly=self.readonly, speak_for=self.speak_for)
                await self.hub.register_all(link)
        except TimeoutError:
            link.abort()
            raise InternalError(f"the server at '{self.path}' did not answer within {self.timeout} seconds") from None
        except BaseException:
            link.abort()
            raise
        return link

    async def invoke(self, call: Call, values: list[Any], stream: Stream | None) -> Any:
        """Make a call."""
        payload = call.pack_args(values)
        link = await self.link()
        if stream is not None:
            return await self._invoke_stream(link, call, values, bytes(payload), stream)
        fds = [os.dup(fd) for fd in payload.fds]
        reply = await link.request(call.program, call.rpc, payload, fds, self.timeout)
        if call.echo and call.answer:  # what the server says of the object now: its number changes with a start
            vars(values[0]).update(vars(call.answer[0].unpack(Reader(reply.payload, (), self.adopt))))
        return self._result(call, reply)

    async def _invoke_stream(self, link: Link, call: Call, values: list[Any], payload: bytes, near: Stream) -> Any:
        sparse = bool(call.sparse and values[-1] & call.sparse)
        far = link.open_stream(call.program, call.rpc, payload, sparse)
        try:
            async with asyncio.timeout(self.timeout):
                reply = await link.reply(far.serial)
            if reply.status == ERROR:
                raise unpack_error(reply.payload)
        except TimeoutError:
            far.abort()
            raise Timeout(f"no answer from '{self.path}' within {self.timeout} seconds") from None
        except BaseException as error:
            far.refused(error if isinstance(error, VirtError) else InternalError("the call was given up"))
            raise
        self.keep(_pump(call.stream, near, far))
        return self._result(call, reply)

    def _result(self, call: Call, reply: Message) -> Any:
        try:
            return call.unpack_result(reply.payload, reply.fds or (), self.adopt)
        except BaseException:
            reply.close_fds()
            raise

    def adopt(self, kind: type[Object], fields: dict[str, Any]) -> Any:
        """The stand-in for an object that the server named."""
        made: Any = object.__new__(stand_in(cast(Any, kind), cast(Any, self.contract)))
        made.__dict__.update(fields, _session=self)
        return made

    def keep(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something beside the calls until the session is closed."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self) -> None:
        for told in self.on_lost:
            told()

    async def close(self) -> None:
        """Say good-bye; calls fail from now on."""
        self._closed = True
        if self._link is not None:
            await self._link.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)


async def _pump(way: str, near: Stream, far: ClientStream) -> None:
    """Carry bytes between the application's end of a stream and the wire, until both ways have ended."""

    async def carry(source: Stream, sink: Stream) -> None:
        while data := await source.read():
            await sink.write(data)

    async def outward() -> None:
        await carry(near, far)
        await far.finish()
        if way == "in":
            await near.finish()

    async def inward() -> None:
        await carry(far, near)
        await near.finish()
        if way == "out":
            await far.finish()

    ways = {"in": (outward, far.over), "out": (inward,), "both": (outward, inward)}
    try:
        async with asyncio.TaskGroup() as group:
            for each in ways[way]:
                group.create_task(each())
    except ExceptionGroup as errors:
        far.abort(errors.exceptions[0])
        near.abort(errors.exceptions[0])
    except asyncio.CancelledError:
        far.abort()
        near.abort()
        raise


class RemoteHub(Hub):
    """The server's events. The server is asked for an event from its first local listener on."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._known = {(event.program, event.rpc): event for event in declared_events(session.contract)}
        self._wanted: set[Event] = set()
        self._asked: dict[tuple[int, int], asyncio.Task[None]] = {}

    def subscribe(self, listener: Listener, event: Event | None = None, subject: Any = None) -> Subscription:
        """Call `listener(event, subject, values)` for every event from when `ready` has returned."""
        new = set(self._known.values()) if event is None else {event}
        for one in new - self._wanted:
            self._wanted.add(one)
            task = asyncio.get_running_loop().create_task(self._ask(one, meant=event is not None))
            task.add_done_callback(_note_failure)
            self._asked[one.program, one.rpc] = task
        return super().subscribe(listener, event, subject)

    async def ready(self) -> None:
        """Wait until the server has been asked for all that is listened to. Raises what it said to that."""
        for task in list(self._asked.values()):
            await task

    async def _ask(self, event: Event, *, meant: bool) -> None:
        """Ask for an event. Where all were asked for, one that the driver does not have is none that is missed."""
        link = await self._session.link()
        try:
            await self._register(link, event)
        except NoSupport:
            if meant:
                raise

    async def register_all(self, link: Link) -> None:
        """Ask for everything again, on a new connection."""
        for event in self._wanted:
            asked = self._asked.get((event.program, event.rpc))
            if asked is not None and asked.done():
                with contextlib.suppress(NoSupport):
                    await self._register(link, event)

    async def _register(self, link: Link, event: Event) -> None:
        subject = Optional(wire(event.on), "")
        if event.program == QEMU:
            payload = Layout([subject, wire(OptStr), wire(U32)]).write([None, None, 0])
            await link.request(QEMU, 4, payload)
        elif event.family in FAMILIES:
            payload = Layout([wire(I32), subject]).write([event.id, None])
            await link.request(REMOTE, FAMILIES[event.family][0], payload)

    def received(self, message: Message) -> None:
        """An event from the server."""
        event = self._known.get((message.program, message.procedure))
        if event is None:
            return
        try:
            _, subject, values = event.unpack(message.payload, self._session.adopt)
        except VirtError:
            log.exception("%r came in a form that cannot be read", event)
            return
        self.emit(event, subject, *values)


def _note_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.debug("asking for an event failed: %s", error)


@functools.cache
def stand_in(kind: Any, contract: Any) -> type:
    """A subclass of a declared class whose calls travel over `self._session`."""
    own = [call for call in calls(contract) if call.on is kind and call.rpc]
    found = {call.name: _method(call, getattr(kind, call.name)) for call in own}
    return type(f"Remote{kind.__name__}", (kind,), found | {"__doc__": kind.__doc__})


def _method(call: Call, declared: Any) -> Any:
    @functools.wraps(declared)
    async def remote(self: Any, *values: Any, **named: Any) -> Any:
        stream = None
        if call.stream:
            stream = named.pop("stream", None)
            if stream is None:
                *values, stream = values  # type: ignore[assignment]
        given = call.bind((self, *values) if call.on_object else tuple(values), named)
        return await self._session.invoke(call, given, stream)

    return remote


async def connect_rpc(
    contract: type[T],
    path: str | PathLike[str],
    uri: str = "",
    *,
    readonly: bool = False,
    speak_for: Identity | None = None,
    timeout: float | None = None,
    reconnect: bool = False,
    interval: float = keepalive.INTERVAL,
    count: int = keepalive.COUNT,
) -> T:
    """Connect to the daemon at a socket; the value answers the contract's calls, has `events` and `close()`.

    `timeout` bounds every call, in seconds. `interval` and `count` are keepalive's. Raises SystemError_ when nobody
    answers there, and what the server has against us.
    """
    session = Session(
        contract,
        path,
        uri,
        readonly=readonly,
        speak_for=speak_for,
        timeout=timeout,
        reconnect=reconnect,
        interval=interval,
        count=count,
    )
    await session.link()
    root: Any = object.__new__(_root(cast(Any, contract)))
    root.__dict__.update(_session=session, events=session.hub)
    return cast(T, root)


@functools.cache
def _root(contract: Any) -> type:
    async def close(self: Any) -> None:
        """Say good-bye."""
        await self._session.close()

    return type(f"Remote{contract.__name__}", (stand_in(contract, contract),), {"close": close})
