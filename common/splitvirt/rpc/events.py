"""Events to clients: registration under callback numbers, the two older ways, and libvirt-qemu's monitor events."""

import logging
import re
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from splitvirt.api.errors import InternalError, InvalidArg, OperationFailed, RPCError, VirtError
from splitvirt.api.event import Event, Subscription
from splitvirt.api.event import events as declared
from splitvirt.api.program import QEMU, REMOTE
from splitvirt.api.record import Layout, wire
from splitvirt.api.types import I32, U32, OptStr
from splitvirt.api.wire import Optional, Payload, Reader

from .procedure import Programs
from .session import Handler, require, session_procedure

if TYPE_CHECKING:
    from .peer import Peer

log = logging.getLogger(__name__)

_INT: Final = struct.Struct(">i")
_NUMBER: Final = Layout([wire(I32)])

# the kind of object: how to register, how to deregister, what it takes, how messages call it
FAMILIES: Final = {
    "domain": (316, 317, "connect:search_domains", "domain"),
    "network": (313, 314, "connect:search_networks", "network"),
    "storage_pool": (368, 369, "connect:search_storage_pools", "storage pool"),
    "node_device": (374, 375, "connect:search_node_devices", "node device"),
    "secret": (380, 381, "connect:search_secrets", "secret"),
}
LATE_MAX: Final = 10000
REGISTRATIONS_MAX: Final = 65536
MONITOR_REGEX: Final = 1
MONITOR_NOCASE: Final = 2

Wanted = Callable[[tuple[Any, ...]], bool]


class Registrations:
    """What one client has asked to be told. Events reach it in the order in which they happened."""

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._next = 0
        self._numbered: dict[tuple[str, int], Subscription] = {}
        self._older: dict[int, Subscription] = {}
        self._late: deque[tuple[Awaitable[bool], int, int, Payload]] = deque()
        peer.on_close(self._close)

    def add(self, family: str, root: Any, event: Event, subject: Any, wanted: Wanted | None = None) -> int:
        """Tell the client of an event, about one object or (None) about all; gives the number it will come with."""
        if len(self._numbered) >= REGISTRATIONS_MAX:
            raise OperationFailed(f"{REGISTRATIONS_MAX} registrations on one connection are the most there may be")
        number, self._next = self._next, self._next + 1

        def listener(event: Event, about: Any, values: tuple[Any, ...]) -> None:
            if wanted is None or wanted(values):
                self._tell(event, about, lambda: event.pack(number, about, values), event.rpc)

        self._numbered[family, number] = root.events.subscribe(listener, event, subject)
        return number

    def remove(self, family: str, number: int, called: str) -> None:
        """Tell it no more under that number."""
        subscription = self._numbered.pop((family, number), None)
        if subscription is None:
            raise InternalError(f"{called} {number} not registered", domain=RPCError.FROM)
        subscription.close()

    def add_older(self, root: Any, event: Event) -> None:
        """Tell it in the older form, without a number; once an event."""
        if event.id in self._older:
            raise InvalidArg("event callback already tracked")

        def listener(event: Event, about: Any, values: tuple[Any, ...]) -> None:
            self._tell(event, about, lambda: event.pack_old(about, values), event.older)

        self._older[event.id] = root.events.subscribe(listener, event)

    def remove_older(self, number: int) -> None:
        """Take an older registration back."""
        subscription = self._older.pop(number, None)
        if subscription is None:
            raise InternalError(f"domain event {number} not registered", domain=RPCError.FROM)
        subscription.close()

    def _tell(self, event: Event, subject: Any, pack: Callable[[], Payload], procedure: int) -> None:
        verdict = self._peer.allowed(event.filter, subject)
        if verdict is False:
            return
        payload = pack()  # now: the subject may change before it is sent
        if verdict is True and not self._late:
            self._peer.send_event(event.program, procedure, payload)
            return
        if len(self._late) >= LATE_MAX:
            self._peer.disconnect(f"{LATE_MAX} events wait for a decision on who may see them")
            return
        self._late.append((_known(True) if verdict is True else verdict, event.program, procedure, payload))
        if len(self._late) == 1:
            self._peer.server.keep_running(self._send_late())

    async def _send_late(self) -> None:
        while self._late:
            verdict, program, procedure, payload = self._late[0]
            try:
                if await verdict and not self._peer.closed:
                    self._peer.send_event(program, procedure, payload)
            except VirtError as error:
                log.warning("an event is kept from %s: %s", self._peer.name, error)
            finally:
                self._late.popleft()

    def _close(self) -> None:
        for subscription in (*self._numbered.values(), *self._older.values()):
            subscription.close()
        self._numbered.clear()
        self._older.clear()


async def _known(verdict: bool) -> bool:
    return verdict


def procedures(programs: Programs, contract: type, root: Any) -> None:
    """Add the registration calls of a contract's events to what a server answers."""
    found = declared(contract)
    remote = programs.setdefault(REMOTE, {})
    for family in {event.family for event in found if event.program == REMOTE} & FAMILIES.keys():
        known = {event.id: event for event in found if event.family == family and event.program == REMOTE}
        register, deregister, permission, called = FAMILIES[family]
        handler = _register(root, family, known, permission)
        remote.setdefault(register, session_procedure(f"connect_{family}_event_register", handler))
        handler = _deregister(family, f"{called} event callback")
        remote.setdefault(deregister, session_procedure(f"connect_{family}_event_deregister", handler))
        if family == "domain":
            _older_procedures(programs, root, known)
    for event in found:
        if event.program == QEMU:
            _monitor_procedures(programs, root, event)


def _register(root: Any, family: str, known: dict[int, Event], permission: str) -> Handler:
    kind = next(iter(known.values())).on
    layout = Layout([wire(I32), Optional(wire(kind), f"remote_{family}")])

    async def register(peer: "Peer", data: Reader) -> bytes:
        number, ref = layout.read(data)
        await require(peer, permission)
        subject = None if ref is None else await ref.kind.find(root, ref)
        return _INT.pack(peer.registrations.add(family, root, _event(known, number), subject))

    return register


def _deregister(family: str, called: str, permission: str = "connect:read") -> Handler:
    async def deregister(peer: "Peer", data: Reader) -> bytes:
        (number,) = _NUMBER.read(data)
        await require(peer, permission)
        peer.registrations.remove(family, number, called)
        return b""

    return deregister


def _event(known: dict[int, Event], number: int) -> Event:
    if number not in known:
        raise InternalError(f"unsupported event ID {number}", domain=RPCError.FROM)
    return known[number]


def _older_procedures(programs: Programs, root: Any, known: dict[int, Event]) -> None:
    older = {number: event for number, event in known.items() if event.older}

    async def register(peer: "Peer", data: Reader) -> bytes:
        await require(peer, "connect:search_domains")
        peer.registrations.add_older(root, _event(older, 0))
        return _INT.pack(0)

    async def deregister(peer: "Peer", data: Reader) -> bytes:
        peer.registrations.remove_older(0)
        return _INT.pack(0)

    async def register_any(peer: "Peer", data: Reader) -> bytes:
        (number,) = _NUMBER.read(data)
        await require(peer, "connect:search_domains")
        peer.registrations.add_older(root, _event(older, number))
        return b""

    async def deregister_any(peer: "Peer", data: Reader) -> bytes:
        peer.registrations.remove_older(_NUMBER.read(data)[0])
        return b""

    remote = programs[REMOTE]
    for number, name, handler in (
        (105, "connect_domain_event_register", register),
        (106, "connect_domain_event_deregister", deregister),
        (167, "connect_domain_event_register_any", register_any),
        (168, "connect_domain_event_deregister_any", deregister_any),
    ):
        remote.setdefault(number, session_procedure(name, handler))


def _monitor_procedures(programs: Programs, root: Any, event: Event) -> None:
    layout = Layout([Optional(wire(event.on), "remote_domain"), wire(OptStr), wire(U32)])
    at = [name for name, _ in event.fields].index("event")

    async def register(peer: "Peer", data: Reader) -> bytes:
        ref, pattern, flags = layout.read(data)
        if flags & ~(MONITOR_REGEX | MONITOR_NOCASE):
            raise InvalidArg(f"unsupported flags (0x{flags:x}) for monitor events")
        await require(peer, "connect:search_domains")
        await require(peer, "connect:write")
        subject = None if ref is None else await ref.kind.find(root, ref)
        wanted = _matcher(pattern, flags, at)
        return _INT.pack(peer.registrations.add("monitor", root, event, subject, wanted))

    qemu = programs.setdefault(QEMU, {})
    qemu.setdefault(4, session_procedure("connect_domain_monitor_event_register", register))
    handler = _deregister("monitor", "qemu monitor event", "connect:write")
    qemu.setdefault(5, session_procedure("connect_domain_monitor_event_deregister", handler))


def _matcher(pattern: str | None, flags: int, at: int) -> Wanted | None:
    """Whether an event's name, at that place of its values, is the one asked for."""
    if pattern is None:
        return None
    try:
        text = pattern if flags & MONITOR_REGEX else re.escape(pattern) + r"\Z"
        compiled = re.compile(text, re.IGNORECASE if flags & MONITOR_NOCASE else 0)
    except re.error as error:
        raise InvalidArg(f"failed to compile regex '{pattern}': {error}") from None
    find = compiled.search if flags & MONITOR_REGEX else compiled.match
    return lambda values: find(values[at]) is not None
