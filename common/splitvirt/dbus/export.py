"""Offers contracts on a bus: one handler for the messages of every object, derived from the declarations."""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

from splitvirt.access.rules import Access, read_only
from splitvirt.api.call import Call
from splitvirt.api.dispatch import Caller, perform, seen
from splitvirt.api.errors import (
    AccessDenied,
    AuthFailed,
    AuthUnavailable,
    InternalError,
    InvalidArg,
    OperationDenied,
    VirtError,
)
from splitvirt.api.event import Hub, Subscription
from splitvirt.api.record import Object, Ref
from splitvirt.api.wire import Many
from splitvirt.dbus import names
from splitvirt.dbus.bus import Bus, expects_reply, may_ask
from splitvirt.dbus.caller import BusCaller, Callers, Crowded, Proved
from splitvirt.dbus.library import Message, MessageType, Variant
from splitvirt.dbus.paths import Carrier, Paths
from splitvirt.dbus.signals import Signals
from splitvirt.dbus.table import Interface, Property, interfaces_of, introspect, out_signature

log = logging.getLogger(__name__)

UNKNOWN = "org.freedesktop.DBus.Error.Unknown"
_BAD_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_CROWDED = "org.freedesktop.DBus.Error.LimitsExceeded"
_READ_ONLY = "org.freedesktop.DBus.Error.PropertyReadOnly"
Answer = tuple[str, list[Any]]


class Refused(Exception):
    """An error of D-Bus itself: the name of the error, and what is wrong."""

    def __init__(self, error: str, text: str):
        super().__init__(text)
        self.error = error


class Running(NamedTuple):
    """A call under way: its name, the connection that made it, and when (monotonic)."""

    name: str
    sender: str
    since: float


class Export:
    """The objects of a daemon on one bus, all below one path."""

    def __init__(self, bus: Bus, base: str, access: Access):
        self.bus, self.base = bus, base
        self.paths = Paths(base)
        self.callers = Callers(bus, access)
        self.signals = Signals(self)
        self.running: dict[int, Running] = {}
        self.roots: list[tuple[Any, list[Interface]]] = []
        self.touched: Callable[[], None] = lambda: None
        self.observe: Callable[[str, float, bool], None] = lambda name, seconds, failed: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard: list[Subscription] = []
        self._numbers = itertools.count(1)

    # -- what is offered -------------------------------------------------------------------------------------------

    def offer(self, contract: type, root: Any) -> None:
        """Offer a root object under a contract, and the objects that it manages."""
        self.roots.append((root, interfaces_of(contract)))
        self.paths.add(getattr(contract, "OBJECTS", ()))
        hub = getattr(root, "events", None)
        if isinstance(hub, Hub):
            self._heard.append(hub.subscribe(self.signals.happened))

    async def start(self, touched: Callable[[], None]) -> None:
        """Answer from now on; `touched` is called at every message. The name is requested after this."""
        self.touched = touched
        await self.callers.start()
        for root, call in self._lists():
            if later := getattr(root, "when_complete", None):
                later(self._seen)  # a driver that reads its definitions when they are asked for
            else:
                self._seen(await self._listed(root, call, None))
        self.bus.on_method(self._received)
        self.bus.on_lost(self.callers.close)

    def _seen(self, targets: Iterable[Object]) -> None:
        for target in targets:
            self.signals.seen(self.paths.of(target))

    def close(self) -> None:
        """Hear the drivers' events no more; every caller is gone."""
        for one in self._heard:
            one.close()
        self.callers.close()

    def carrier(self) -> Carrier:
        """For a message with descriptors to come."""
        return Carrier(self.paths)

    def _root_interfaces(self) -> list[Interface]:
        return [one for _, found in self.roots for one in found if not one.on_object]

    def interfaces(self, kind: type[Object]) -> list[tuple[Any, Interface]]:
        return [(root, one) for root, found in self.roots for one in found if one.on is kind]

    def _find(self, path: str, interface: str) -> tuple[Any, Interface, Ref | None]:
        """What serves an interface at a path: the root object, the interface, and the object meant."""
        if path == self.base:
            for root, found in self.roots:
                for one in found:
                    if one.name == interface and not one.on_object:
                        return root, one, None
        else:
            try:
                ref = self.paths.ref(path)
            except InvalidArg:
                raise Refused(UNKNOWN + "Object", f"there is no object {path}") from None
            for root, one in self.interfaces(ref.kind):
                if one.name == interface:
                    return root, one, ref
        raise Refused(UNKNOWN + "Interface", f"object {path} has no interface {interface}")

    # -- calls -----------------------------------------------------------------------------------------------------

    def _received(self, message: Message) -> bool:
        path = message.path or ""
        if message.interface == names.PEER:
            return False
        if path != self.base and not path.startswith(self.base + "/") and not _leads(path, self.base):
            return False
        self.touched()
        self.keep(self._serve(message))
        return True

    def keep(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Let something run to its end."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, message: Message) -> None:
        """Make the call that a message asks for, and answer. Never raises."""
        began, failed = time.perf_counter(), True
        number = next(self._numbers)
        self.running[number] = Running(f"{message.interface}.{message.member}", message.sender or "", time.monotonic())
        carrier = Carrier(self.paths, message.unix_fds)
        out = Carrier(self.paths)
        try:
            with self.callers.of_connection(message.sender or ""):
                signature, body = await self._answer(message, carrier, out)
            failed = False
            self._reply(message, signature, body, out.fds)
        except Refused as e:
            self._fail(message, e.error, str(e))
        except Crowded as e:
            self._fail(message, _CROWDED, str(e))
        except VirtError as e:
            self._fail(message, names.ERROR, str(e), e.code, e.domain)
        except asyncio.CancelledError:
            self._fail(message, names.ERROR, "the daemon is stopping")
            raise
        except Exception as e:
            log.exception("%s.%s failed", message.interface, message.member)
            error = InternalError(f"{type(e).__name__} in {message.member}, see the daemon's log")
            self._fail(message, names.ERROR, str(error), error.code, error.domain)
        finally:
            for fd in carrier.fds:
                os.close(fd)
            del self.running[number]
            self.observe(f"{message.interface}.{message.member}", time.perf_counter() - began, failed)
            self.touched()

    async def _answer(self, message: Message, carrier: Carrier, out: Carrier) -> Answer:
        caller = await self.callers.of(message.sender or "")
        with self.callers.of_user(caller):
            who: BusCaller | Proved = caller
            try:
                await caller.admit()
            except AuthFailed:
                if not may_ask(message):
                    raise
                who = await caller.manage()
            return await self._answer_to(who, message, carrier, out)

    async def _answer_to(self, caller: BusCaller | Proved, message: Message, carrier: Carrier, out: Carrier) -> Answer:
        interface, path = message.interface or "", message.path or ""
        if interface == names.INTROSPECTABLE and message.member == "Introspect":
            return "s", [await self._introspect(path or "/", caller)]
        if interface == names.PROPERTIES:
            return await self._properties(message, caller, carrier, out)
        if interface == names.MANAGER and path == self.base and message.member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [await self._managed(caller, out)]
        if not interface:
            raise Refused(UNKNOWN + "Interface", "the message names no interface")
        root, found, ref = self._find(path, interface)
        call = found.methods.get(message.member or "")
        if call is None:
            raise Refused(UNKNOWN + "Method", f"{interface} has no method {message.member}")
        wanted = "".join(made.dbus for _, made in call.bus_params)
        if message.signature != wanted:
            raise Refused(_BAD_ARGS, f"{call.dbus} takes ({wanted}), not ({message.signature})")
        result = await self._call(root, call, ref, message.body, caller, carrier, ask=may_ask(message))
        if call.result is None:
            return "", []
        return out_signature(call), [call.result.to_bus(result, out)]

    async def _call(
        self, root: Any, call: Call, ref: Ref | None, body: Sequence[Any], caller: Caller | None, carrier: Carrier,
        *, ask: bool = False,
    ) -> Any:  # fmt: skip
        given = [made.from_bus(value, carrier) for (_, made), value in zip(call.bus_params, body, strict=True)]
        values = call.of_bus(given)
        if ref is not None:
            values = [ref, *values]
        try:
            return await perform(root, call, values, caller)
        except AccessDenied as error:
            if caller is None or not caller.readonly:
                raise
            refused = f"read only access prevents {call.api}"
            domain = error.domain
        if ask and isinstance(caller, BusCaller) and not all(read_only(rule.name) for rule in call.rules):
            try:
                caller = await caller.manage()
            except AuthUnavailable as error:
                refused += f": {error.message.removeprefix(f'{error.PREFIX}: ')}"
            except AuthFailed:
                pass
            else:
                return await perform(root, call, values, caller)
        raise OperationDenied(refused, domain=domain)

    def _reply(self, message: Message, signature: str, body: list[Any], fds: list[int]) -> None:
        if expects_reply(message):
            self.bus.send(Message.new_method_return(message, signature, body, fds), fds)
        else:
            for fd in fds:
                os.close(fd)

    def _fail(self, message: Message, error: str, text: str, code: int = 0, domain: int = 0) -> None:
        """Answer with an error; ours carry libvirt's code and domain after the text."""
        if expects_reply(message):
            body, signature = ([text, code, domain], "sii") if code else ([text], "s")
            self.bus.send(
                Message(
                    message_type=MessageType.ERROR,
                    reply_serial=message.serial,
                    destination=message.sender,
                    error_name=error,
                    signature=signature,
                    body=body,
                )
            )

    # -- properties ------------------------------------------------------------------------------------------------

    async def _properties(self, message: Message, caller: Caller, carrier: Carrier, out: Carrier) -> Answer:
        wanted = {"Get": "ss", "GetAll": "s", "Set": "ssv"}.get(message.member or "")
        if wanted is None:
            raise Refused(UNKNOWN + "Method", f"{names.PROPERTIES} has no method {message.member}")
        if message.signature != wanted:
            raise Refused(_BAD_ARGS, f"{message.member} takes ({wanted}), not ({message.signature})")
        root, found, ref = self._find(message.path or "", message.body[0])
        if message.member == "GetAll":
            return "a{sv}", [await self._read_all(root, found, ref, caller, out)]
        prop = found.properties.get(message.body[1])
        if prop is None:
            raise Refused(UNKNOWN + "Property", f"{found.name} has no property {message.body[1]}")
        if message.member == "Get":
            return "v", [await self._read(root, found, prop, ref, caller, out)]
        if prop.write is None:
            raise Refused(_READ_ONLY, f"property {prop.name} cannot be set")
        value = message.body[2]
        if value.signature != prop.write.bus_params[0][1].dbus:
            raise Refused(_BAD_ARGS, f"property {prop.name} is of type {prop.signature}, not {value.signature}")
        await self._call(root, prop.write, ref, [value.value], caller, carrier, ask=may_ask(message))
        return "", []

    async def _read(
        self, root: Any, found: Interface, prop: Property, ref: Ref | None, caller: Caller | None, out: Carrier
    ) -> Variant:
        if prop.read is not None:
            result = await self._call(root, prop.read, ref, [], caller, out)
            assert prop.read.result is not None
            return Variant(prop.signature, prop.read.result.to_bus(result, out))
        value = getattr(root if ref is None else await seen(root, ref, caller), prop.attribute)
        if prop.signature == "s":
            value = str(value)
        return Variant(prop.signature, value & 0xFFFFFFFF if prop.signature == "u" else value)

    async def _read_all(
        self, root: Any, found: Interface, ref: Ref | None, caller: Caller | None, out: Carrier
    ) -> dict[str, Variant]:
        """Every property that can be read; what fails or is not allowed is left out, as the specification wants."""
        values = {}
        if ref is not None:
            await ref.kind.find(root, ref)
        for prop in found.properties.values():
            if prop.access == "write":
                continue
            try:
                values[prop.name] = await self._read(root, found, prop, ref, caller, out)
            except VirtError as e:
                log.debug("property %s: %s", prop.name, e)
        return values

    # -- objects ---------------------------------------------------------------------------------------------------

    async def _managed(self, caller: Caller, out: Carrier) -> dict[str, dict[str, dict[str, Variant]]]:
        objects = {}
        for root, call in self._lists():
            for target in await self._listed(root, call, caller):
                path = self.paths.of(target)
                objects[path] = await self.shown(path, caller, out)
        return objects

    async def shown(self, path: str, caller: Caller | None, out: Carrier) -> dict[str, dict[str, Variant]]:
        """An object's interfaces with their properties, as far as the caller may see them."""
        ref = self.paths.ref(path)
        return {one.name: await self._read_all(root, one, ref, caller, out) for root, one in self.interfaces(ref.kind)}

    def _lists(self) -> list[tuple[Any, Call]]:
        """The calls of the roots that list objects of a kind."""
        found: dict[type, tuple[Any, Call]] = {}
        for root, interfaces in self.roots:
            for one in interfaces:
                for call in () if one.on_object else one.methods.values():
                    kind = _listed_kind(call)
                    if kind is not None and kind in self.paths.kinds.values():
                        found.setdefault(kind, (root, call))
        return list(found.values())

    async def _listed(self, root: Any, call: Call, caller: Caller | None) -> list[Any]:
        """Every object of a kind that the caller may see; none where the driver does not list them."""
        values = [call.defaults.get(name, 0) for name, _ in call.params]
        try:
            return list(await perform(root, call, values, caller))
        except VirtError as e:
            log.debug("%s: %s", call.dbus, e)
            return []

    async def _introspect(self, path: str, caller: Caller) -> str:
        if _leads(path, self.base):
            rest = self.base[len(path.rstrip("/")) + 1 :]
            return introspect([], [rest.partition("/")[0]])
        if path == self.base:
            return introspect(self._root_interfaces(), self.paths.kinds, manager=True)
        segment, _, leaf = path.removeprefix(self.base + "/").partition("/")
        kind = self.paths.kinds.get(segment)
        if kind is None:
            raise Refused(UNKNOWN + "Object", f"there is no object {path}")
        if leaf:
            return introspect([one for _, one in self.interfaces(kind)], [])
        listed = [found for found in self._lists() if _listed_kind(found[1]) is kind]
        targets = [target for root, call in listed for target in await self._listed(root, call, caller)]
        return introspect([], [self.paths.of(target).rpartition("/")[2] for target in targets])


def _leads(path: str, base: str) -> bool:
    """Whether `path` lies on the way to `base`."""
    return path == "/" or base.startswith(path + "/")


def _listed_kind(call: Call) -> type[Object] | None:
    if not call.filter:  # lists of objects are filtered; what is not is left undescribed until it is called
        return None
    kind = getattr(call.result.of, "kind", None) if isinstance(call.result, Many) else None
    return kind if isinstance(kind, type) and issubclass(kind, Object) else None
