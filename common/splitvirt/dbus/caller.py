"""Who calls over the bus: identified by the bus, judged by `access`, known until its connection ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from splitvirt.access.identity import Identity, start_time
from splitvirt.access.rules import Access
from splitvirt.dbus import names
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message

log = logging.getLogger(__name__)


class BusCaller:
    """One connection to the bus that has called us."""

    def __init__(self, access: Access, identity: Identity):
        self.access, self.identity = access, identity
        self.name = f"{identity.bus_name} ({identity})"
        self.readonly = True
        self.admitted = False  # it may call, and hear of what happens
        self.closed = False
        self._closers: list[Callable[[], object]] = []

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether it may use `permission` on the object."""
        return self.access.allowed(self.identity, self.readonly, permission, on)

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when the connection has ended, at once if it has."""
        if self.closed:
            self._run(callback)
        else:
            self._closers.append(callback)

    def close(self) -> None:
        """The connection has ended: let go of all that it held."""
        self.closed = True
        closers, self._closers = self._closers, []
        for callback in reversed(closers):
            self._run(callback)

    def _run(self, callback: Callable[[], object]) -> None:
        try:
            made = callback()
        except Exception:
            log.exception("letting go of what %s held failed", self.name)
            return
        if asyncio.iscoroutine(made):
            asyncio.ensure_future(made).add_done_callback(self._ran)

    def _ran(self, work: "asyncio.Future[Any]") -> None:
        if not work.cancelled() and work.exception():
            log.error("letting go of what %s held failed", self.name, exc_info=work.exception())


class Callers:
    """Everybody who has called, by unique name. Each is asked about once, and watched until it goes."""

    def __init__(self, bus: Bus, access: Access):
        self.bus, self.access = bus, access
        self.known: dict[str, BusCaller] = {}
        self._asking: dict[str, asyncio.Future[BusCaller]] = {}

    async def start(self) -> None:
        """Begin to hear of connections that end."""
        self.bus.on_signal_of(names.BUS, "NameOwnerChanged", self._changed)

    async def of(self, sender: str) -> BusCaller:
        """The caller of that unique name; VirtError when it may not call at all, or has gone already."""
        caller = self.known.get(sender)
        if caller is None:
            asking = self._asking.get(sender)
            if asking is None:
                asking = self._asking[sender] = asyncio.ensure_future(self._ask(sender))
                asking.add_done_callback(lambda _: self._asking.pop(sender, None))
            caller = await asyncio.shield(asking)
        if caller.readonly:
            caller.admitted = False
            caller.readonly = await self.access.grade(caller.identity)
            caller.admitted = True
        return caller

    async def _ask(self, sender: str) -> BusCaller:
        await self.bus.call_bus("AddMatch", "s", _rule(sender))
        (said,) = await self.bus.call_bus("GetConnectionCredentials", "s", sender)
        given = {name: value.value for name, value in said.items()}
        pid = given.get("ProcessID", 0)
        groups = tuple(given["UnixGroupIDs"]) if "UnixGroupIDs" in given else None
        gid = groups[0] if groups else (1 << 32) - 1
        caller = BusCaller(self.access, Identity(given["UnixUserID"], gid, pid, start_time(pid), sender, groups))
        self.known[sender] = caller
        return caller

    def _changed(self, message: Message) -> None:
        name, _, owner = message.body
        if not owner and (caller := self.known.pop(name, None)):
            caller.close()
            self.bus.tell_bus("RemoveMatch", "s", _rule(name))

    def close(self) -> None:
        """The bus is gone, and so is everybody on it."""
        for caller in list(self.known.values()):
            caller.close()
        self.known.clear()


def _rule(name: str) -> str:
    return f"type='signal',sender='{names.BUS}',member='NameOwnerChanged',arg0='{name}'"
