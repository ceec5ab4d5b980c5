"""What happens in a driver, as signals on the bus."""

import asyncio
import logging
from copy import copy
from typing import TYPE_CHECKING, Any

from splitvirt.api.errors import VirtError
from splitvirt.api.event import Event
from splitvirt.api.record import Object
from splitvirt.dbus import names
from splitvirt.dbus.library import Message
from splitvirt.dbus.table import signal_fields

if TYPE_CHECKING:
    from splitvirt.dbus.caller import BusCaller
    from splitvirt.dbus.export import Export

log = logging.getLogger(__name__)

UNTOLD_MAX = 1000
"""Signals that may wait for a decision whether one caller may have them."""


class Signals:
    """Sends an export's signals: to everybody where everybody may know, else to those callers who may."""

    def __init__(self, export: "Export"):
        self.export = export
        self._present: set[str] = set()

    def happened(self, event: Event, subject: Any, values: tuple[Any, ...]) -> None:
        """An event of a driver's hub."""
        export = self.export
        if not export.bus.connected:
            return
        interface = next((o.name for _, found in export.roots for o in found if event in o.signals), None)
        if interface:
            path = export.base if event.on_root else export.paths.of(subject)
            signature = "".join(made.dbus for _, made in signal_fields(event))
            message = Message.new_signal(path, interface, event.dbus, signature, self._body(event, subject, values))
            self._send(message, event.filter, subject)
        if event.name == "lifecycle" and isinstance(subject, Object) and subject.BUS:
            export.keep(self._came_or_went(export.paths.of(subject)))

    def _body(self, event: Event, subject: Any, values: tuple[Any, ...]) -> list[Any]:
        told = dict(zip((name for name, _ in event.fields), values, strict=True))
        fields = signal_fields(event)
        lead = [subject] * (len(fields) - len(event.bus_fields))
        given = lead + [told[name] for name, _ in event.bus_fields]
        out = self.export.carrier()
        return [made.to_bus(value, out) for (_, made), value in zip(fields, given, strict=True)]

    def _send(self, message: Message, permission: str, subject: Any) -> None:
        bus, callers = self.export.bus, self.export.callers
        if callers.access.open_to_all:
            bus.send(message)
            return
        for caller in list(callers.known.values()):
            if caller.admitted:
                made = copy(message)
                made.destination = caller.identity.bus_name
                self._send_to(caller, made, permission, subject)

    def _send_to(self, caller: "BusCaller", message: Message, permission: str, subject: Any) -> None:
        """Send to one caller, if it may know, and after what it was sent before."""
        if caller.untold >= UNTOLD_MAX:
            caller.admitted = False
            log.warning("%s hears no more until it calls: %d signals wait for a decision", caller.name, caller.untold)
            return
        caller.untold += 1
        verdict = asyncio.ensure_future(_may_hear(caller, permission, subject))
        caller.told = self.export.keep(self._send_if(caller, verdict, caller.told, message))

    async def _send_if(
        self,
        caller: "BusCaller",
        verdict: "asyncio.Future[bool]",
        before: "asyncio.Future[Any] | None",
        message: Message,
    ) -> None:
        allowed = await verdict
        if before is not None and not before.done():
            await asyncio.wait([before])
        caller.untold -= 1
        if allowed:
            self.export.bus.send(message)

    async def _came_or_went(self, path: str) -> None:
        """Tell by ObjectManager's signals when an object is new, or is no longer there."""
        ref = self.export.paths.ref(path)
        shown = self.export.interfaces(ref.kind)
        try:
            target = await ref.kind.find(shown[0][0], ref)
        except VirtError:
            target = None
        if (target is not None) == (path in self._present):
            return
        member, signature, permission = "InterfacesRemoved", "oas", "connect:getattr"
        body: list[Any] = [path, [one.name for _, one in shown]]
        if target is None:
            self._present.discard(path)
        else:
            self._present.add(path)
            member, signature, permission = "InterfacesAdded", "oa{sa{sv}}", f"{ref.kind.KIND}:getattr"
            body[1] = await self.export.shown(path, None, self.export.carrier())
        self._send(Message.new_signal(self.export.base, names.MANAGER, member, signature, body), permission, target)

    def seen(self, path: str) -> None:
        """An object that was there from the start."""
        self._present.add(path)


async def _may_hear(caller: "BusCaller", permission: str, subject: Any) -> bool:
    """Whether a caller may look now, and at this; one about whom there is no answer may not."""
    try:
        await caller.admit()
        answer = caller.allowed(permission, subject)
        return answer if isinstance(answer, bool) else await answer
    except VirtError as e:
        log.debug("a signal is kept from %s: %s", caller.name, e)
        return False
