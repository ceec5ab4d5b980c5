"""Events: declared on the kind of object that they are about, sent through a hub that every root has.

class Domain(Object):
    @event(rpc=318, id=0, older=107, dbus="DomainEvent", on_root=True)
    def lifecycle(self, event: I32, detail: I32) -> None:
        '''It was defined, started, stopped ...'''

hub.emit(Domain.lifecycle, vm, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED)
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, get_type_hints

from .program import PROGRAMS
from .record import Layout, Object, wire
from .shape import INT, Field
from .wire import Data, Payload, Reader

log = logging.getLogger(__name__)


class Event:
    """One declared event.

    `rpc` carries it to clients with callback numbers, `older` to those without. `id` is what clients register for, in
    the numbering of `family`. `dbus` is its signal, on the root's interface where `on_root`, else on the object's.
    """

    def __init__(self, method: Any, **spec: Any) -> None:
        self.method = method
        self.rpc: int = spec["rpc"]
        self.id: int = spec["id"]
        self.older: int = spec["older"]
        self.program: int = PROGRAMS[spec["program"]]
        self.dbus: str = spec["dbus"]
        self.on_root: bool = spec["on_root"]
        self.lead: int = spec["lead"]
        self.off_bus: tuple[str, ...] = spec["off_bus"]

    def __set_name__(self, owner: type, name: str) -> None:
        self.on, self.name = owner, name

    def __get__(self, instance: object, owner: type) -> "Event":
        if not issubclass(self.on, Object):  # declared in a group of events: the kind is the class that took it in
            kinds = (kind for kind in reversed(owner.__mro__) if issubclass(kind, Object) and kind is not Object)
            self.on = next(kinds, self.on)
        return self

    def of(self, kind: type) -> "Event":
        """Itself; `kind` is the contract class whose declaration it counts as."""
        self.on = kind
        return self

    @property
    def filter(self) -> str:
        """The permission that a client needs on the subject to be told."""
        return f"{self.on.KIND}:getattr" if issubclass(self.on, Object) else "connect:getattr"

    @property
    def family(self) -> str:
        """Whose numbering `id` belongs to."""
        return self.on.KIND if issubclass(self.on, Object) else "connect"

    @property
    def doc(self) -> str:
        """What it means, in words."""
        return inspect.getdoc(self.method) or ""

    @functools.cached_property
    def fields(self) -> list[Field]:
        """What it tells, by name and type."""
        hints = get_type_hints(self.method, include_extras=True)
        return [(name, wire(hint)) for name, hint in hints.items() if name != "return"]

    @property
    def bus_fields(self) -> list[Field]:
        """What its signal carries, after the object where it is on the root."""
        return [field for field in self.fields if field[0] not in self.off_bus]

    @functools.cached_property
    def layout(self) -> Layout:
        """Callback number, the fields that lead, the object, the other fields."""
        wires = [made for _, made in self.fields]
        return Layout([INT, *wires[: self.lead], wire(self.on), *wires[self.lead :]])

    @functools.cached_property
    def old_layout(self) -> Layout:
        """As `layout`, without callback number and leading fields."""
        return Layout([wire(self.on), *(made for _, made in self.fields[self.lead :])])

    def pack(self, callback: int, subject: Any, values: Sequence[Any]) -> Payload:
        """The message for a client that registered under that callback number."""
        return self.layout.write([callback, *values[: self.lead], subject, *values[self.lead :]])

    def pack_old(self, subject: Any, values: Sequence[Any]) -> Payload:
        """The message for a client that registered the older way."""
        return self.old_layout.write([subject, *values[self.lead :]])

    def unpack(self, data: Data, make: Any = None) -> tuple[int, Any, list[Any]]:
        """In a client: the callback number, the subject and the values."""
        callback, *rest = self.layout.read(Reader(data, (), make))
        return callback, rest[self.lead], [*rest[: self.lead], *rest[self.lead + 1 :]]

    def __repr__(self) -> str:
        return f"<Event {self.on.__name__}.{self.name}>"


def event(
    *,
    rpc: int,
    id: int = -1,
    older: int = 0,
    program: str = "remote",
    dbus: str = "",
    on_root: bool = False,
    lead: int = 0,
    off_bus: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Event]:
    """Declare an event by its numbers, its signal, and the parameters of the method as its fields.

    `lead`: how many fields travel before the object. `off_bus`: fields that the signal lacks.
    """
    return lambda method: Event(
        method, rpc=rpc, id=id, older=older, program=program, dbus=dbus, on_root=on_root, lead=lead, off_bus=off_bus
    )


@functools.cache
def events(contract: type) -> tuple[Event, ...]:
    """Every event of a root contract and of the kinds of objects that it manages."""
    kinds: tuple[type, ...] = (contract, *getattr(contract, "OBJECTS", ()))
    return tuple(
        member.of(kind) for kind in kinds for cls in reversed(kind.__mro__) for member in vars(cls).values()
        if isinstance(member, Event)
    )  # fmt: skip


class Notice(NamedTuple):
    """An event that happened: to whom, and what it tells."""

    event: Event
    subject: Any
    values: tuple[Any, ...]


Listener = Callable[[Event, Any, tuple[Any, ...]], None]


class Subscription:
    """A listener at a hub, until it is closed."""

    def __init__(self, hub: "Hub", listener: Listener, event: Event | None, subject: Any) -> None:
        self.hub, self.listener, self.event, self.subject = hub, listener, event, subject

    def wants(self, event: Event, subject: Any) -> bool:
        """Whether it asked for that."""
        if self.event is not None and self.event is not event:
            return False
        wanted = self.subject
        return wanted is None or wanted is subject or _key(wanted) == _key(subject)

    def close(self) -> None:
        """Hear no more. May be called twice, and from within the listener."""
        if self in self.hub.subscriptions:
            self.hub.subscriptions.remove(self)


def _key(subject: Any) -> Any:
    return getattr(subject, "uuid", None) or getattr(subject, "name", subject)


class Hub:
    """Where a driver tells what happened, and front ends and applications listen."""

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []

    def emit(self, event: Event, subject: Any, *values: Any) -> None:
        """Tell every listener now, in the order they came. One that fails is logged, and hurts nobody else."""
        for subscription in tuple(self.subscriptions):
            if subscription.wants(event, subject):
                try:
                    subscription.listener(event, subject, values)
                except Exception:
                    log.exception("a listener failed at %r", event)

    def subscribe(self, listener: Listener, event: Event | None = None, subject: Any = None) -> Subscription:
        """Call `listener(event, subject, values)`, which must not block, for every event, or those asked for."""
        made = Subscription(self, listener, event, subject)
        self.subscriptions.append(made)
        return made

    async def watch(self, event: Event | None = None, subject: Any = None) -> AsyncIterator[Notice]:
        """The events from now on, as an asynchronous iterator; at most 10,000 wait, then the oldest are lost."""
        queue: asyncio.Queue[Notice] = asyncio.Queue()

        def put(event: Event, subject: Any, values: tuple[Any, ...]) -> None:
            if queue.qsize() >= 10000:
                queue.get_nowait()
            queue.put_nowait(Notice(event, subject, values))

        subscription = self.subscribe(put, event, subject)
        try:
            while True:
                yield await queue.get()
        finally:
            subscription.close()
