"""Who calls over the bus: identified by the bus once, judged by `access` at each call, known until it disconnects."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from splitvirt.access.identity import Identity, start_time
from splitvirt.access.rules import Access
from splitvirt.api.dispatch import Closers
from splitvirt.api.errors import AuthUnavailable, VirtError
from splitvirt.dbus import names
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message

log = logging.getLogger(__name__)

MAX_REQUESTS = (500, 1000)
"""Calls of one connection, and of one user, that may be under way at once, unless the configuration says otherwise."""
_ENDED = f"type='signal',sender='{names.BUS}',interface='{names.BUS}',member='NameOwnerChanged',arg2=''"


class Crowded(Exception):
    """Too many calls are under way already: whose, and how many."""


class BusCaller:
    """One connection to the bus that has called us."""

    def __init__(self, access: Access, identity: Identity, keep: Callable[[Coroutine[Any, Any, Any]], object]):
        self.access, self.identity = access, identity
        self.name = f"{identity.bus_name} ({identity})"
        self.readonly = True
        self.admitted = False  # at its last call: it may call, and hear of what happens
        self.told: asyncio.Future[Any] | None = None  # the last signal that it is, or is not, sent
        self.untold = 0  # signals that wait for a decision
        self._asked: asyncio.Future[None] | None = None  # whether it may manage, while a person is asked
        self._closers = Closers(keep)

    async def admit(self) -> None:
        """Decide anew whether it may call, and what; VirtError when it may not."""
        try:
            self.readonly = await self.access.grade(self.identity)
        except VirtError as e:
            self.readonly = True
            self.admitted &= isinstance(e, AuthUnavailable)  # it is asked about again at the next signal
            raise
        self.admitted = not self.closed

    async def manage(self) -> "Proved":
        """Have its user prove that it may manage, with a password if need be; VirtError when it does not.

        Calls that come while a person types wait for the same answer, which is good for them alone.
        """
        if self._asked is None:
            self._asked = asyncio.ensure_future(self.access.manage(self.identity))
            self._asked.add_done_callback(self._answered)
        await asyncio.shield(self._asked)
        return Proved(self)

    def _answered(self, asked: "asyncio.Future[None]") -> None:
        self._asked = None
        if not asked.cancelled():
            asked.exception()

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether it may use `permission` on the object."""
        return self.access.allowed(self.identity, self.readonly, permission, on)

    @property
    def closed(self) -> bool:
        """Whether its connection has ended."""
        return self._closers.closed

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when the connection has ended, at once if it has."""
        self._closers.add(callback)

    def close(self) -> None:
        """The connection has ended: let go of all that it held."""
        self.admitted = False
        self._closers.close()


class Proved:
    """A caller for one call for which its user has proved that it may manage."""

    readonly = False

    def __init__(self, caller: BusCaller):
        self.name, self.identity, self.on_close = caller.name, caller.identity, caller.on_close
        self._access = caller.access

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether it may use `permission` on the object."""
        return self._access.allowed(self.identity, False, permission, on)


class Callers:
    """Everybody who has called, by unique name. Who it is the bus is asked once; what it may, `access` at each call."""

    def __init__(self, bus: Bus, access: Access):
        self.bus, self.access = bus, access
        self.known: dict[str, BusCaller] = {}
        self.limits: Callable[[], tuple[int, int]] = lambda: MAX_REQUESTS
        self._asking: dict[str, asyncio.Future[BusCaller]] = {}
        self._under_way: Counter[str | int] = Counter()
        self._kept: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Begin to hear of connections that end: of all, for a rule for each caller is more than a bus may keep."""
        await self.bus.subscribe(_ENDED, names.BUS, "NameOwnerChanged", self._changed)

    def of_user(self, caller: BusCaller) -> AbstractContextManager[None]:
        """Count a call of a user other than root and our own for as long as the block; Crowded."""
        trusted = self.access.trusts(caller.identity)
        return nullcontext() if trusted else self._counted(caller.identity.uid, self.limits()[1])

    def of_connection(self, sender: str) -> AbstractContextManager[None]:
        """Count a call of a connection for as long as the block; Crowded."""
        return self._counted(sender, self.limits()[0])

    @contextmanager
    def _counted(self, who: str | int, most: int) -> Iterator[None]:
        if self._under_way[who] >= most:
            raise Crowded(f"{most} calls of {'user' if isinstance(who, int) else 'connection'} {who} are under way")
        self._under_way[who] += 1
        try:
            yield
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]

    async def of(self, sender: str) -> BusCaller:
        """The caller of that unique name; ServiceError when it has gone already."""
        caller = self.known.get(sender)
        if caller is None:
            asking = self._asking.get(sender)
            if asking is None:
                asking = self._asking[sender] = asyncio.ensure_future(self._ask(sender))
                asking.add_done_callback(lambda _: self._asking.pop(sender, None))
            caller = await asyncio.shield(asking)
        return caller

    async def _ask(self, sender: str) -> BusCaller:
        (said,) = await self.bus.call_bus("GetConnectionCredentials", "s", sender)
        given = {name: value.value for name, value in said.items()}
        pid = given.get("ProcessID", 0)
        groups = tuple(given["UnixGroupIDs"]) if "UnixGroupIDs" in given else None
        gid = groups[0] if groups else (1 << 32) - 1
        identity = Identity(given["UnixUserID"], gid, pid, start_time(pid), sender, groups)
        caller = self.known[sender] = BusCaller(self.access, identity, self._keep)
        return caller

    def _changed(self, message: Message) -> None:
        name, _, owner = message.body
        if asking := self._asking.get(name):  # the answer is here, and has not been looked at
            asking.add_done_callback(lambda _: self._gone(name))
        elif not owner:
            self._gone(name)

    def _gone(self, name: str) -> None:
        if caller := self.known.pop(name, None):
            caller.close()

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something that a caller's end asks for run to its own."""
        task = asyncio.ensure_future(work)
        self._kept.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: "asyncio.Future[Any]") -> None:
        self._kept.discard(task)
        if not task.cancelled() and task.exception():
            log.error("letting go of what a caller held failed", exc_info=task.exception())

    def close(self) -> None:
        """The bus is gone, and so is everybody on it."""
        for caller in list(self.known.values()):
            caller.close()
        self.known.clear()
