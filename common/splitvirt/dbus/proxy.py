"""A contract whose calls travel over the bus: stand-ins derived from the declarations.

`root = await connect_bus(Networks, "system", "org.splitvirt.virtnetworkd", "/org/libvirt/Network")`, then
`await root.networks()`. What is on the bus only, such as calls that hand out descriptors, is reached this way.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from splitvirt.api.call import Call, Object, calls
from splitvirt.api.errors import InvalidArg, VirtError
from splitvirt.api.event import Event, Hub
from splitvirt.api.record import Ref
from splitvirt.api.wire import Wire
from splitvirt.dbus import names
from splitvirt.dbus.bus import TIMEOUT, Bus
from splitvirt.dbus.library import Message
from splitvirt.dbus.paths import Carrier, Paths
from splitvirt.dbus.table import Interface, interfaces_of, out_signature, signal_fields

T = TypeVar("T")

AT_ONCE = 64
"""Objects that are read at a time: the system bus lets a connection wait for 128 answers."""


class Remote:
    """What the stand-ins of one service share."""

    def __init__(self, contract: type, bus: Bus, name: str, base: str, timeout: float):
        self.contract, self.bus, self.name, self.base, self.timeout = contract, bus, name, base, timeout
        self.paths = Paths(base)
        self.paths.add(getattr(contract, "OBJECTS", ()))
        self.interfaces = {one.on: one for one in interfaces_of(contract)}
        self.events = Hub()
        self.owner: str | None = None  # who has the name, once signals are listened to

    async def invoke(self, call: Call, values: list[Any]) -> Any:
        """Make a call: the method or property that it is on the bus."""
        path = self.paths.of(values[0]) if call.on_object else self.base
        out = Carrier(self.paths)
        given = dict(zip((name for name, _ in call.params), values, strict=True))
        body = [made.to_bus(given[name], out) for name, made in call.bus_params]
        interface = self.interfaces[call.on].name
        if call.dbus:
            signature = "".join(made.dbus for _, made in call.bus_params)
            reply = await self._request(path, interface, call.dbus, signature, body, out.fds)
            return await self._result(call.result, reply) if out_signature(call) else None
        if body:
            value = self.bus.variant(call.bus_params[0][1].dbus, body[0])
            await self._request(path, names.PROPERTIES, "Set", "ssv", [interface, call.prop, value])
            return None
        reply = await self._request(path, names.PROPERTIES, "Get", "ss", [interface, call.prop])
        assert call.result is not None
        return call.result.from_bus(reply.body[0].value, self._carrier(reply))

    async def _request(
        self, path: str, interface: str, member: str, signature: str, body: Sequence[Any], fds: Sequence[int] = ()
    ) -> Message:
        message = Message(self.name, path, interface, member, signature=signature, body=list(body), unix_fds=list(fds))
        return await self.bus.request(message, self.timeout)

    async def _result(self, wire: Wire | None, reply: Message) -> Any:
        assert wire is not None
        found = wire.from_bus(reply.body[0], self._carrier(reply))
        objects = [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, Object)]
        for at in range(0, len(objects), AT_ONCE):
            await asyncio.gather(*map(self.fill, objects[at : at + AT_ONCE]))
        return found

    def _carrier(self, reply: Message) -> Carrier:
        return Adopting(self, reply.unix_fds)

    def adopt(self, ref: Ref) -> Any:
        """The stand-in for an object that the service named, with what its path says of it."""
        made: Any = object.__new__(stand_in(cast(Any, ref.kind), cast(Any, self.contract)))
        fields = {key: self.adopt(value) if isinstance(value, Ref) else value for key, value in vars(ref).items()}
        made.__dict__.update(fields, _remote=self)
        return made

    async def fill(self, target: Any) -> None:
        """Read the attributes that the object shows as properties, such as its name."""
        kind = next(kind for kind in self.paths.kinds.values() if isinstance(target, kind))
        interface = self.interfaces[kind].name
        reply = await self._request(self.paths.of(target), names.PROPERTIES, "GetAll", "s", [interface])
        for title, (attribute, signature) in kind.PROPS.items():
            if title in reply.body[0] and attribute not in target.__dict__:
                value = reply.body[0][title].value
                target.__dict__[attribute] = value - (1 << 32) if signature == "u" and value >> 31 else value

    async def listen(self) -> None:
        """Hear the service's signals from now on, at `events`."""
        changes = f"type='signal',sender='{names.BUS}',member='NameOwnerChanged',arg0='{self.name}'"
        await self.bus.subscribe(changes, names.BUS, "NameOwnerChanged", self._owned)
        with contextlib.suppress(VirtError):
            (owner,) = await self.bus.call_bus("GetNameOwner", "s", self.name)
            self.owner = self.owner or owner
        for one in self.interfaces.values():
            for event in one.signals:
                rule = f"type='signal',sender='{self.name}',interface='{one.name}',member='{event.dbus}'"
                await self.bus.subscribe(rule, one.name, event.dbus, self._heard(one, event))
        # where not everybody may look, signals go to those who have called, and may
        root = next((one.name for one in self.interfaces.values() if not one.on_object), "")
        with contextlib.suppress(VirtError):
            await self._request(self.base, names.PROPERTIES, "GetAll", "s", [root])

    def _owned(self, message: Message) -> None:
        name, _, owner = message.body
        if name == self.name:
            self.owner = owner

    def _heard(self, interface: Interface, event: Event) -> Callable[[Message], None]:
        def heard(message: Message) -> None:
            if message.sender != self.owner:  # anybody may send us what looks like the service's signals
                return
            carrier = self._carrier(message)
            values = [
                made.from_bus(v, carrier) for (_, made), v in zip(signal_fields(event), message.body, strict=True)
            ]
            if event.on_root and interface.on is not event.on:
                subject = values.pop(0)
            else:
                subject = self.adopt(self.paths.ref(message.path or ""))
            self.events.emit(event, subject, *values)

        return heard


class Adopting(Carrier):
    """A carrier whose references are stand-ins."""

    def __init__(self, remote: Remote, fds: Sequence[int]):
        super().__init__(remote.paths, fds)
        self.remote = remote

    def ref(self, kind: type[Object], path: str) -> Any:
        """The stand-in for what a path refers to."""
        return self.remote.adopt(self.paths.ref(path, kind))


@functools.cache
def stand_in(kind: Any, contract: Any) -> type:
    """A subclass of a declared class whose calls travel over `self._remote`; calls not on the bus are not supported."""
    own = [call for call in calls(contract) if call.on is kind and (call.dbus or call.prop)]
    return type(f"Bus{kind.__name__}", (kind,), {call.name: _method(call, getattr(kind, call.name)) for call in own})


def _method(call: Call, declared: Any) -> Any:
    @functools.wraps(declared)
    async def remote(self: Any, *values: Any, **named: Any) -> Any:
        given = call.bind((self, *values) if call.on_object else tuple(values), named)
        left_out = [
            n for (n, _), v in zip(call.params, given, strict=True) if n in call.off_bus and v != call.defaults[n]
        ]
        if left_out:
            raise InvalidArg(f"{call.dbus} on D-Bus takes no {', '.join(left_out)}")
        return await self._remote.invoke(call, given)

    return remote


async def connect_bus(
    contract: type[T], bus: str | Bus, name: str, base: str, *, timeout: float = TIMEOUT, events: bool = False
) -> T:
    """Reach a service by its bus name: the value answers the contract's calls and has `events` and `close()`.

    `bus` is "system", "session", an address or a connection. Descriptors in answers are the caller's to close. With
    `events` the service's signals are listened to. SystemError_ where there is no bus.
    """
    own = not isinstance(bus, Bus)
    connection = await Bus.connect(bus) if isinstance(bus, str) else bus
    remote = Remote(contract, connection, name, base, timeout)
    if events:
        try:
            await remote.listen()
        except VirtError:
            if own:
                connection.close()
            raise
    root: Any = object.__new__(_root(cast(Any, contract)))
    root.__dict__.update(_remote=remote, events=remote.events, _own=own)
    return cast(T, root)


@functools.cache
def _root(contract: Any) -> type:
    async def close(self: Any) -> None:
        """Leave the bus, unless it was given."""
        if self._own:
            self._remote.bus.close()
            await self._remote.bus.closed()

    members = {"close": close, "connected": property(lambda self: self._remote.bus.connected)}
    return type(f"Bus{contract.__name__}", (stand_in(contract, contract),), members)
