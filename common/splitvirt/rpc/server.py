"""Answers libvirt's RPC on UNIX sockets: listens, admits clients within the limits, and keeps the books.

What a client says is taken apart in `peer`, the session's own calls are answered in `session`, the contracts' calls in
`contract`, and what belongs to sibling daemons goes through `forward`.
"""

import asyncio
import itertools
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from os import PathLike
from typing import Any, NamedTuple

from splitvirt.api.errors import RPCError
from splitvirt.api.program import ADMIN

from .contract import programs_of
from .door import Door
from .eager import Starter
from .forward import Routes
from .gate import Gate
from .limits import Count, Limits
from .listener import Listener, bind
from .message import VERSION, Message
from .peer import Peer
from .procedure import Procedure

log = logging.getLogger(__name__)


class UnderWay(NamedTuple):
    """A call that waits for something: its name, who made it, and since when (monotonic)."""

    name: str
    client: str
    since: float


class Server:
    """Offers root objects, each under its contract, to the clients of any number of sockets.

    `uris` are the names that a client may open (None: any); `routes` say where calls of other contracts are forwarded.
    A call belongs to the daemon: it goes on when its client leaves.
    """

    def __init__(
        self,
        offers: Mapping[type, Any],
        *,
        access: Gate,
        limits: Limits | None = None,
        uris: Iterable[str] | None = None,
        routes: Routes | None = None,
        name: str = "splitvirt",
    ) -> None:
        self.offers = dict(offers)
        self.access, self.name = access, name
        self.limits = limits or Limits()
        self.uris = None if uris is None else frozenset(uris)
        self.programs = programs_of(self.offers, routes)
        self.peers: dict[int, Peer] = {}
        self.unproved: set[Peer] = set()  # those that have not authenticated yet
        self.door = Door(self, self._enter)
        self.accepting = True
        self.on_change: list[Callable[[], object]] = []  # a client came, authenticated or left
        self.refused = 0
        self._loop = asyncio.get_running_loop()
        self._starter = Starter(self._loop)
        self._numbers = itertools.count(1)
        self._listeners: list[Listener] = []
        self._running: set[asyncio.Future[Any]] = set()
        self.under_way: dict[asyncio.Future[Any], UnderWay] = {}
        self._busy = 0
        self._waiting: deque[tuple[Peer, Procedure, Message]] = deque()
        self._idle: list[asyncio.Future[None]] = []

    # -- sockets ---------------------------------------------------------------------------------------------------

    async def listen(
        self,
        where: str | PathLike[str] | int | socket.socket,
        *,
        readonly: bool = False,
        admin: bool = False,
        mode: int = 0o600,
    ) -> Listener:
        """Serve the clients of a socket: a path (made with `mode`), or one that listens already, or its descriptor.

        On an `admin` socket only the admin contract is offered, on the others everything else. SystemError_ when the
        path cannot be had.
        """
        if isinstance(where, str | PathLike):
            sock, path = bind(where, mode), os.fspath(where)
        else:
            sock, path = socket.socket(fileno=where) if isinstance(where, int) else where, ""
        listener = Listener(sock, self._accepted, self._balance, readonly=readonly, admin=admin, path=path)
        self._listeners.append(listener)
        self._balance()
        return listener

    def pause(self) -> None:
        """Leave new connections in the kernel's queue; clients that are there are served on."""
        self.accepting = False
        self._balance()

    def resume(self) -> None:
        """Take connections again after `pause`."""
        self.accepting = True
        self._balance()

    def _accepted(self, listener: Listener, sock: socket.socket) -> bool:
        if self._full():
            return False
        identity = self.access.identify(sock)
        if not self.access.admits(identity, listener.readonly):
            self.refused += 1
            log.warning("refused a connection of %s", identity)
            return False
        return self.door.came(listener, sock, identity)

    def _enter(self, listener: Listener, sock: socket.socket, identity: Any) -> None:
        peer = Peer(self, listener, sock, next(self._numbers), identity)
        self.peers[peer.number] = peer
        peer.start()
        self.changed()

    def _full(self) -> bool:
        limits, there = self.limits, len(self.peers) + len(self.door.waiting)
        return there >= limits.max_clients or len(self.unproved) >= limits.max_anonymous_clients > 0

    def _balance(self) -> None:
        """Take connections only while there is room; those beyond wait in the kernel's queue."""
        take = self.accepting and not self._full()
        for listener in self._listeners:
            if take:
                listener.start()
            else:
                listener.stop()

    # -- clients ---------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """A client came, authenticated or left, or a limit was changed."""
        if self.door.waiting:
            self.door.call_in()
        self._balance()
        for told in self.on_change:
            told()

    def left(self, peer: Peer) -> None:
        """A client's connection is closed."""
        self.peers.pop(peer.number, None)
        self.door.left(peer.process.uid)
        self.changed()

    # -- calls -----------------------------------------------------------------------------------------------------

    def find(self, peer: Peer, message: Message) -> Procedure:
        """Who answers a call. RPCError or NoSupport when nobody does."""
        program = self.programs.get(message.program)
        if program is None or message.version != VERSION or (message.program == ADMIN) != peer.listener.admin:
            raise RPCError(f"Cannot find program {message.program} version {message.version}")
        try:
            return program[message.procedure]
        except KeyError:
            from .unoffered import error_for

            raise error_for(message.program, message.procedure) from None

    def run(self, peer: Peer, procedure: Procedure, message: Message) -> None:
        """Start a call, or queue it where as many of ordinary priority are under way as may be."""
        if not procedure.high:
            if self._busy >= self.limits.max_workers or self._waiting:
                self._waiting.append((peer, procedure, message))
                return
            self._busy += 1
        self._start(peer, procedure, message)

    def _start(self, peer: Peer, procedure: Procedure, message: Message) -> None:
        task = self._starter.start(peer.answer(procedure, message), procedure.name)
        if task.done():
            self._ended(peer, procedure)
        else:
            self._running.add(task)
            self.under_way[task] = UnderWay(procedure.name, peer.name, time.monotonic())
            task.add_done_callback(lambda task: self._finished(task, peer, procedure))

    def _finished(self, task: "asyncio.Future[Any]", peer: Peer, procedure: Procedure) -> None:
        self._running.discard(task)
        del self.under_way[task]
        self._ended(peer, procedure)
        while self._waiting and self._busy < self.limits.max_workers:
            self._busy += 1
            self._start(*self._waiting.popleft())
        self._check_idle()

    def _ended(self, peer: Peer, procedure: Procedure) -> None:
        if not procedure.high:
            self._busy -= 1
        peer.ended()

    def keep_running(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run something to its end, also past the client it is for; `close` waits for it."""
        work = self._loop.create_task(coroutine)
        self._running.add(work)
        work.add_done_callback(self._kept)

    def _kept(self, work: "asyncio.Future[Any]") -> None:
        self._running.discard(work)
        if not work.cancelled() and work.exception() is not None:
            log.error("work for a client failed", exc_info=work.exception())
        self._check_idle()

    # -- the books -------------------------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """Calls under way."""
        return len(self._running)

    @property
    def busy(self) -> int:
        """Calls of ordinary priority under way."""
        return self._busy

    @property
    def queued(self) -> int:
        """Calls that wait their turn."""
        return len(self._waiting)

    def counts(self) -> list[Count]:
        """The record of every procedure that was called."""
        found = (procedure.count for program in self.programs.values() for procedure in program.values())
        return list({id(count): count for count in found if count.total or count.in_flight}.values())

    def set_limits(self, **given: float) -> None:
        """Change limits by name while running; AttributeError for one that is not there."""
        for name, value in given.items():
            getattr(self.limits, name)
            setattr(self.limits, name, value)
        self.changed()
        while self._waiting and self._busy < self.limits.max_workers:
            self._busy += 1
            peer, procedure, message = self._waiting.popleft()
            self._loop.call_soon(self._start, peer, procedure, message)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def close(self, drain: float = 5) -> None:
        """Stop taking connections and reading, finish what was taken on within `drain` seconds, then drop everybody.

        What is not finished by then is cancelled.
        """
        self.accepting = False
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self.door.close()
        for peer in list(self.peers.values()):
            peer.channel.hold(self)
        await self._wait_idle(drain)
        for peer, _, message in self._waiting:
            message.close_fds()
            peer.ended()
        self._waiting.clear()
        left = list(self._running)
        for work in left:
            work.cancel()
        if left:
            log.warning("%d calls were cancelled, %g seconds were not enough for them", len(left), drain)
            await asyncio.wait(left, timeout=1)
        await self._say_goodbye()
        await self._wait_idle(drain)  # what was held for clients is let go

    async def _wait_idle(self, seconds: float) -> None:
        if (self._running or self._waiting) and seconds > 0:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(waiter)
            await asyncio.wait([waiter], timeout=seconds)

    def _check_idle(self) -> None:
        if not self._running and not self._waiting:
            for waiter in self._idle:
                if not waiter.done():
                    waiter.set_result(None)
            self._idle.clear()

    async def _say_goodbye(self) -> None:
        peers = list(self.peers.values())
        for peer in peers:
            peer.close()
        for _ in range(20):  # a second for what is queued
            if not self.peers:
                return
            await asyncio.sleep(0.05)
        for peer in list(self.peers.values()):
            peer.disconnect("the daemon stops")
