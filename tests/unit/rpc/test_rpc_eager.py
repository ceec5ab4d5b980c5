"""Tasks that begin at once: done when nothing waits, ordinary tasks when something does."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

from splitvirt.rpc.eager import Starter

VALUE: contextvars.ContextVar[int] = contextvars.ContextVar("value", default=0)


async def in_callback(make: Callable[[], Any]) -> Any:
    """What `make` gives when it is called by the loop, outside of any task."""
    loop = asyncio.get_running_loop()
    got: asyncio.Future[Any] = loop.create_future()
    loop.call_soon(lambda: got.set_result(make()))
    return await got


def begin(work: Any) -> Callable[[], Any]:
    """The task and whether it was done at once."""

    def make() -> tuple[asyncio.Task[Any], bool]:
        task = Starter(asyncio.get_running_loop()).start(work, "work")
        return task, task.done()

    return make


async def test_nothing_awaited_is_done_at_once() -> None:
    async def work() -> int:
        VALUE.set(5)
        assert asyncio.current_task() is not None
        return 7

    task, at_once = await in_callback(begin(work()))
    assert at_once
    assert task.result() == 7
    assert VALUE.get() == 0  # its context is its own


async def test_a_fault_at_once() -> None:
    async def work() -> None:
        raise ValueError("no")

    task, at_once = await in_callback(begin(work()))
    assert at_once
    with pytest.raises(ValueError, match="no"):
        await task


async def test_what_awaits_goes_on_as_the_same_task() -> None:
    seen: list[object] = []

    async def work() -> int:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        return 8

    task, at_once = await in_callback(begin(work()))
    assert not at_once
    assert await task == 8
    assert seen == [task, task]
    assert task.get_name() == "work"


async def test_a_deadline_set_in_the_first_step_works() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(5)
        except TimeoutError:
            return "in time"
        return "too late"

    task, _ = await in_callback(begin(work()))
    assert await task == "in time"


async def test_cancellation() -> None:
    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(5))

    task, _ = await in_callback(begin(work()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_loop_is_left_as_it_was() -> None:
    loop = asyncio.get_running_loop()

    async def work() -> None:
        loop.call_soon(lambda: None)

    await in_callback(begin(work()))
    assert "call_soon" not in vars(loop)
