"""The one road from any front end to a driver: find the object, check access, make the call, filter its list."""

import asyncio
import contextvars
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Protocol

from .call import Call
from .draft import Draft
from .errors import AccessDenied, VirtError
from .record import Object, Record, Ref


class Caller(Protocol):
    """Who makes a call, as a front end knows it."""

    name: str
    identity: Any
    readonly: bool

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether it may do that ("domain:start") to that object; at once where nobody has to be asked."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Run `callback` when its connection ends."""


_caller: contextvars.ContextVar[Caller | None] = contextvars.ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """Who made the call that is running; None for the application itself."""
    return _caller.get()


async def require(permission: str, on: object) -> None:
    """Raise AccessDenied unless the current caller may. For drivers, where only they know what a call acts on."""
    caller = _caller.get()
    if caller is not None:
        await _require(caller, permission, on)


async def perform(root: Any, call: Call, values: Sequence[Any], caller: Caller | None) -> Any:
    """Make the call on the real object; `values` may hold a `Ref` for each object, and end with the stream.

    Raises AccessDenied, what finding the object raises, and what the call itself raises.
    """
    _caller.set(caller)
    found = [await _real(root, value) if isinstance(value, Ref | list) else value for value in values]
    on = found[0] if call.on_object else root
    late = []
    if caller is not None:
        for rule in call.rules:
            if rule.kind == "none" or not rule.applies(found):
                continue
            subject = _subject(call, rule.kind, on, found)
            if subject is None:
                late.append(rule)
            else:
                await _require(caller, rule.name, subject)
    result = await getattr(on, call.name)(*found[call.on_object :])
    if caller is not None:
        for rule in late:
            await _require(caller, rule.name, result)
        if call.filter:
            result = [item for item in result if await _may(caller, call.filter, _shown(item))]
    return on if call.echo else result


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
    """What a permission of a kind is asked for: None when only the result will tell.

    The object itself, what it belongs to, an argument, what the XML given describes, and otherwise the root.
    """
    for one in (on, *values):
        while isinstance(one, Object):
            if kind == one.KIND:
                return one
            one = one.owner
    if kind == "connect":
        return on
    if call.finds:
        return None
    for (name, _), value in zip(call.params, values, strict=False):
        if name == "xml" and value:
            return Draft(kind, value, on if isinstance(on, Object) else None)
    return on


async def _may(caller: Caller, permission: str, on: object) -> bool:
    answer = caller.allowed(permission, on)
    return answer if isinstance(answer, bool) else await answer


async def _require(caller: Caller, permission: str, on: object) -> None:
    if not await _may(caller, permission, on):
        raise AccessDenied(f"'{permission.replace('_', '-').replace(':', '.', 1)}' is not allowed to {caller.name}")


def _shown(item: Any) -> Any:
    """What a list's filter is asked about: the item, or the object that a record is about."""
    return next(iter(item)) if isinstance(item, Record) else item


class Running:
    """The calls that run in a daemon, owned by it: a client that leaves cancels none of them."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Run a coroutine's first step here and now, and the rest in a task if it has to wait.

        `done(result, error)` is called once, before this returns if nothing waited.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        step = _FirstStep()
        asyncio.tasks._enter_task(loop, step)  # type: ignore[arg-type]
        try:
            waits_for = context.run(work.send, None)
        except StopIteration as stop:
            outcome: tuple[Any, BaseException | None] = stop.value, None
        except Exception as error:
            outcome = None, error
        else:
            step.task = task = loop.create_task(_finish(work, waits_for, done), context=context)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            return
        finally:
            asyncio.tasks._leave_task(loop, step)  # type: ignore[arg-type]
        done(*outcome)

    async def drain(self, seconds: float) -> bool:
        """Wait for what runs, at most so long; whether all of it ended."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=seconds)
        return not self.tasks


class _FirstStep:
    """Stands for the task of a call that has none yet, for `asyncio.timeout` and its like in the first step."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None

    def cancel(self, msg: Any = None) -> bool:
        return self.task.cancel(msg) if self.task else False

    def uncancel(self) -> int:
        return self.task.uncancel() if self.task else 0

    def cancelling(self) -> int:
        return self.task.cancelling() if self.task else 0


async def _finish(
    work: Coroutine[Any, Any, Any], waits_for: Any, done: Callable[[Any, BaseException | None], None]
) -> None:
    try:
        result = await _resume(work, waits_for)
    except (Exception, asyncio.CancelledError) as error:
        done(None, error)
        if isinstance(error, asyncio.CancelledError):
            raise
    else:
        done(result, None)


@types.coroutine
def _resume(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has begun, from what it waits for."""
    while True:
        try:
            sent, failed = (yield waits_for), None
        except BaseException as error:
            sent, failed = None, error
        try:
            waits_for = work.throw(failed) if failed else work.send(sent)
        except StopIteration as stop:
            return stop.value
