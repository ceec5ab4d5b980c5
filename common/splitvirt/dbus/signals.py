"""What happens in a driver, as signals on the bus."""

from collections.abc import Awaitable
from copy import copy
from typing import TYPE_CHECKING, Any

from splitvirt.api.errors import VirtError
from splitvirt.api.event import Event
from splitvirt.api.record import Object
from splitvirt.dbus import names
from splitvirt.dbus.library import Message
from splitvirt.dbus.table import signal_fields

if TYPE_CHECKING:
    from splitvirt.dbus.export import Export


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
            if not caller.admitted:
                continue
            made = copy(message)
            made.destination = caller.identity.bus_name
            self.export.keep(self._send_if(caller.allowed(permission, subject), made))

    async def _send_if(self, allowed: bool | Awaitable[bool], message: Message) -> None:
        if allowed if isinstance(allowed, bool) else await allowed:
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
