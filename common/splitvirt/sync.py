"""The contracts with methods that block, for programs without an event loop of their own.

    with splitvirt.sync.connect("qemu:///system") as hypervisor:
        for domain in hypervisor.domains():
            print(domain.name, domain.state())

An instance has one thread, whose event loop runs the calls; it ends with the instance. What a call returns is wrapped
in turn: objects get methods that block, their fields are attributes. Any number of threads may use an instance.
"""

import asyncio
import concurrent.futures
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from os import PathLike
from typing import Any, TypeVar

from splitvirt.api.errors import InvalidConnection
from splitvirt.api.event import Event, Listener
from splitvirt.api.record import Object, Record
from splitvirt.api.stream import Stream, pipe

T = TypeVar("T")
READ_AT_MOST = 262120


class Loop:
    """A thread that runs an event loop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.lock = threading.Lock()
        self.closed = False
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)
        self.thread.start()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.get_loop().run_forever()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait for its result. Interrupted from the keyboard, the work is cancelled."""
        if threading.current_thread() is self.thread:
            work.close()
            raise InvalidConnection("a callback: it runs on the thread that the call would have to wait for")
        with self.lock:  # what is handed over before the end is cancelled by it, and nothing is handed over after
            if self.closed:
                work.close()
                raise InvalidConnection("an instance that is closed")
            future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise InvalidConnection("an instance that was closed meanwhile") from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what runs, and end the thread."""
        with self.lock:
            closed, self.closed = self.closed, True
        if not closed:
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Blocking:
    """Stands for an object of a contract: fields as they are, calls that block, lists and objects wrapped."""

    def __init__(self, target: Any, loop: Loop) -> None:
        self._target, self._loop = target, loop

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what is not public is not offered; copying and pickling look here too
            raise AttributeError(name)
        found = getattr(self._target, name)
        if not inspect.isroutine(found):
            return self._wrap(found)

        async def call(values: tuple[Any, ...], named: dict[str, Any]) -> Any:
            given = found(*map(_bare, values), **{key: _bare(value) for key, value in named.items()})
            return await given if inspect.isawaitable(given) else given

        @functools.wraps(found)
        def blocking(*values: Any, **named: Any) -> Any:
            return self._wrap(self._loop.run(call(values, named)))

        return blocking

    def _wrap(self, value: Any) -> Any:
        match value:
            case Object():
                return Blocking(value, self._loop)
            case Stream():
                return BlockingStream(value, self._loop)
            case list() | tuple():
                return [self._wrap(item) for item in value]
            case Record() if any(isinstance(item, Object) for item in value):
                return type(value)(*map(self._wrap, value))
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocking) and other._target == self._target

    def __hash__(self) -> int:
        return hash(self._target)

    def __repr__(self) -> str:
        return f"<blocking {self._target!r}>"

    def __dir__(self) -> list[str]:
        return dir(self._target)


class Instance(Blocking):
    """Stands for a root object. Closes it, and ends the thread, on `close()` or at the end of a `with`."""

    def __init__(self, target: Any, loop: Loop, leave: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        super().__init__(target, loop)
        self._leave = leave

    def listen(self, listener: Listener, event: Event | None = None, subject: Any = None) -> Callable[[], None]:
        """Have `listener(event, subject, values)` called for events, on the instance's thread; what stops that.

        The listener must not block, and may not make calls: hand over to a thread of yours for that.
        """

        def told(event: Event, subject: Any, values: tuple[Any, ...]) -> None:
            listener(event, self._wrap(subject), values)

        async def subscribe() -> Any:
            subscription = self._target.events.subscribe(told, event, _bare(subject))
            ready = getattr(self._target.events, "ready", None)
            if ready is not None:
                await ready()
            return subscription

        subscription = self._loop.run(subscribe())

        def stop() -> None:
            self._loop.loop.call_soon_threadsafe(subscription.close)

        return stop

    def stream(self) -> "tuple[BlockingStream, Stream]":
        """A stream for a call: one end to read and write here, the other to give to the call."""

        async def make() -> tuple[Stream, Stream]:
            return pipe()

        near, far = self._loop.run(make())
        return BlockingStream(near, self._loop), far

    def close(self) -> None:
        """Close it. May be called twice."""
        if not self._loop.closed:
            try:
                self._loop.run(self._leave())
            finally:
                self._loop.close()

    def __enter__(self) -> "Instance":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BlockingStream:
    """One end of a stream, with methods that block."""

    def __init__(self, stream: Stream, loop: Loop) -> None:
        self._stream, self._loop = stream, loop

    def read(self, size: int = READ_AT_MOST) -> bytes:
        """The next bytes, at most `size`; `b""` when the peer has finished."""
        return self._loop.run(self._stream.read(size))

    def write(self, data: bytes) -> None:
        """Send bytes; waits while the peer's window is full."""
        self._loop.run(self._stream.write(data))

    def finish(self) -> None:
        """Say that no more bytes will come."""
        self._loop.run(self._stream.finish())

    def abort(self) -> None:
        """End both ways at once."""

        async def end() -> None:
            self._stream.abort()

        self._loop.run(end())


def _bare(value: Any) -> Any:
    """What an argument stands for."""
    if isinstance(value, Blocking):
        return value._target
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _open(name: str, enter: Callable[[], Coroutine[Any, Any, tuple[Any, Callable[[], Any]]]]) -> Instance:
    loop = Loop(name)
    try:
        target, leave = loop.run(enter())
    except BaseException:
        loop.close()
        raise
    return Instance(target, loop, leave)


def connect(uri: str, **options: Any) -> Instance:
    """As `splitvirt.connect`, with methods that block."""

    async def enter() -> tuple[Any, Callable[[], Any]]:
        from splitvirt.connect import connect

        root = await connect(uri, **options)
        return root, root.close

    return _open(f"splitvirt {uri}", enter)


def embed(root: str | PathLike[str] | None = None, **options: Any) -> Instance:
    """As `splitvirt.embed`, with methods that block: the driver runs on a thread of this instance."""

    async def enter() -> tuple[Any, Callable[[], Any]]:
        from splitvirt.embed import embed

        manager = embed(root, **options)
        driver = await manager.__aenter__()
        return driver, functools.partial(manager.__aexit__, None, None, None)

    return _open(f"splitvirt {root or 'embed'}", enter)


def serve(target: Any) -> Instance:
    """A root object of one's own making with methods that block; `target.close()` is awaited at the end, if there."""

    async def enter() -> tuple[Any, Callable[[], Any]]:
        return target, getattr(target, "close", _nothing)

    return _open(f"splitvirt {type(target).__name__}", enter)


async def _nothing() -> None:
    pass
