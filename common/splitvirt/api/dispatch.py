"""The one road from any front end to a driver: find the object, check access, make the call, filter its list."""

import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import CoroutineType
from typing import Any, Protocol

from . import constants as c
from .call import Call
from .draft import Draft
from .errors import AccessDenied, VirtError
from .record import Object, Record, Ref

log = logging.getLogger(__name__)


class Caller(Protocol):
    """Who makes a call, as a front end knows it."""

    name: str
    identity: Any
    readonly: bool

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether it may do that ("domain:start") to that object; at once where nobody has to be asked."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Run `callback` when its connection ends."""


class Closers:
    """What is to be done when a caller has gone: the last thing first, each once; one that fails stops no other.

    `keep` runs what a callback leaves to be awaited, to its end.
    """

    def __init__(self, keep: Callable[[Coroutine[Any, Any, Any]], object]) -> None:
        self.closed = False
        self._keep = keep
        self._callbacks: list[Callable[[], object]] = []

    def add(self, callback: Callable[[], object]) -> None:
        """Have `callback` called at the end, at once if that has been."""
        if self.closed:
            self._run(callback)
        else:
            self._callbacks.append(callback)

    def close(self) -> None:
        """It has gone."""
        self.closed = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in reversed(callbacks):
            self._run(callback)

    def _run(self, callback: Callable[[], object]) -> None:
        try:
            made = callback()
        except Exception:
            log.exception("letting go of what a caller held failed")
            return
        if isinstance(made, CoroutineType):
            self._keep(made)


_COMMON = frozenset((c.VIR_ERR_OPERATION_INVALID, c.VIR_ERR_NO_SUPPORT, c.VIR_ERR_NO_DOMAIN_METADATA))
"""Errors that clients ask for, to see how something is: not worth a line in the log."""

_caller: contextvars.ContextVar[Caller | None] = contextvars.ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """Who made the call that is running; None for the application itself."""
    return _caller.get()


async def require(permission: str, on: object) -> None:
    """Raise AccessDenied unless the current caller may. For drivers, where only they know what a call acts on."""
    caller = _caller.get()
    if caller is not None:
        await _require(caller, permission, on)


async def seen(root: Any, ref: Ref, caller: Caller | None) -> Any:
    """The real object of a reference, for a caller that may know of it ("domain:getattr"); else AccessDenied."""
    found = await ref.kind.find(root, ref)
    if caller is not None:
        await _require(caller, f"{ref.kind.KIND}:getattr", found)
    return found


async def perform(root: Any, call: Call, values: Sequence[Any], caller: Caller | None) -> Any:
    """Make the call on the real object; `values` may hold a `Ref` for each object, and end with the stream.

    Raises AccessDenied, what finding the object raises, and what the call itself raises.
    """
    token, on = _caller.set(caller), root
    try:
        found = values and [await _real(root, value) if isinstance(value, (Ref, list)) else value for value in values]
        on = found[0] if call.on_object else root
        if caller is not None and not call.finds:
            await _check(caller, call, on, found)
        if [] in found and any(given == [] and value for given, value in zip(found, values, strict=True)):
            return []  # all that it was to be about is gone; none given would mean all there are
        result = await getattr(on, call.name)(*found[call.on_object :])
        if caller is not None and (call.finds or call.filter):
            result = await _visible(caller, call, result)
    except VirtError as error:
        if isinstance(on, Object) and error.code not in _COMMON:
            name, uuid = getattr(on, "name", ""), str(getattr(on, "uuid", ""))
            who = getattr(caller.identity, "user", "") if caller is not None else ""
            about = {on.KIND: name, "uuid": uuid, "call": call.api, "user": who}
            log.info("%s %s: %s failed: %s", on.KIND.replace("_", " "), name, call.api, error, extra=about)
        raise
    finally:
        _caller.reset(token)
    return on if call.echo else result


async def _check(caller: Caller, call: Call, on: Any, values: Sequence[Any]) -> None:
    """Ask for every permission that the call needs with these values."""
    for rule in call.rules:
        if rule.kind != "none" and rule.applies(values):
            subject = on if rule.kind == "connect" else _subject(call, rule.kind, on, values)
            verdict = caller.allowed(rule.name, subject)
            if verdict is not True and not (verdict and await verdict):
                raise _denied(caller, rule.name)


async def _visible(caller: Caller, call: Call, result: Any) -> Any:
    """What was found, if the caller may know of it; of a list, what it may know of."""
    if call.filter:
        return [item for item in result if await _may(caller, call.filter, _shown(item))]
    for rule in call.rules:
        await _require(caller, rule.name, result)
    return result


async def _real(root: Any, value: Any) -> Any:
    """The object that a reference speaks of; of a list of references, those that are still there."""
    if isinstance(value, Ref):
        return await value.kind.find(root, value)
    if not value or not isinstance(value[0], Ref):
        return value
    found = []
    for item in value:
        try:
            found.append(await item.kind.find(root, item))
        except VirtError:
            continue
    return found


def _subject(call: Call, kind: str, on: Any, values: Sequence[Any]) -> Any:
    """What a permission of a kind is asked for.

    The object itself, what it belongs to, an argument, what the XML given describes, and otherwise the root.
    """
    if kind == "connect":
        return on
    for one in (on, *values):
        while isinstance(one, Object):
            if kind == one.KIND:
                return one
            one = one.owner
    for (name, _), value in zip(call.params, values, strict=False):
        if name == "xml" and value:
            return Draft(kind, value, on if isinstance(on, Object) else None)
    return on


async def _may(caller: Caller, permission: str, on: object) -> bool:
    answer = caller.allowed(permission, on)
    return answer if isinstance(answer, bool) else await answer


async def _require(caller: Caller, permission: str, on: object) -> None:
    if not await _may(caller, permission, on):
        raise _denied(caller, permission)


def _denied(caller: Caller, permission: str) -> AccessDenied:
    return AccessDenied(f"'{permission.replace('_', '-').replace(':', '.', 1)}' is not allowed to {caller.name}")


def _shown(item: Any) -> Any:
    """What a list's filter is asked about: the item, or the object that a record is about."""
    return next(iter(item)) if isinstance(item, Record) else item
