"""A small contract and its driver: each call shows one thing that a carrier of calls must do."""

import asyncio
import os
from typing import Any
from uuid import UUID

from splitvirt.api.call import Object, call
from splitvirt.api.dispatch import current_caller
from splitvirt.api.errors import NoDomain, OperationInvalid
from splitvirt.api.event import Hub, event
from splitvirt.api.stream import Stream
from splitvirt.api.types import I32, U32, U64, Fd, Str, Uuid


class Thing(Object):
    """An object with a name."""

    KIND = "domain"
    XDR = "remote_nonnull_domain"
    name: Str
    uuid: Uuid
    id: I32

    @event(rpc=318, id=0, older=107)
    def moved(self, event: I32, detail: I32) -> None:
        """It moved."""

    @event(rpc=319, id=1, older=169)
    def rebooted(self) -> None:
        """It began anew."""

    @call("virSmallTouch", rpc=196, acl="domain:start", echo=True)
    async def touch(self, flags: U32 = 0) -> None:
        """Move it."""

    @call("virSmallSize", rpc=16, acl="domain:read", high=True)
    async def size(self) -> U64:
        """How large it is."""
        raise NotImplementedError

    @call("virSmallConsole", rpc=201, acl="domain:open_device", stream="both")
    async def console(self, flags: U32, stream: Stream) -> None:
        """What is written comes back in capitals."""

    @call("virSmallUpload", rpc=215, acl="domain:write", stream="in", sparse=1)
    async def upload(self, flags: U32, stream: Stream) -> None:
        """Take bytes."""

    @call("virSmallDownload", rpc=211, acl="domain:read", stream="out", sparse=1)
    async def download(self, size: U64, flags: U32, stream: Stream) -> None:
        """Give bytes."""


class Small:
    """A root of things."""

    OBJECTS = (Thing,)
    events: Hub

    @call("virSmallVersion", rpc=157, acl="connect:getattr", high=True)
    async def version(self) -> U64:
        """A number that is there at once."""
        raise NotImplementedError

    @call("virSmallWait", rpc=59, acl="connect:read")
    async def wait(self, number: U32) -> U32:
        """A number that comes when it is let go."""
        raise NotImplementedError

    @call("virSmallEcho", rpc=41, acl="connect:read", high=True)
    async def echo(self, text: Str) -> Str:
        """The same text."""
        raise NotImplementedError

    @call("virSmallBreak", rpc=42, acl="connect:read")
    async def crash(self) -> None:
        """A fault."""

    @call("virSmallThings", rpc=273, acl="connect:search_domains", filter="domain:getattr", high=True)
    async def things(self, flags: U32 = 0) -> list[Thing]:
        """All of them."""
        raise NotImplementedError

    @call("virSmallByUuid", rpc=24, acl="domain:getattr", high=True)
    async def thing_by_uuid(self, uuid: Uuid) -> Thing:
        """That of a UUID."""
        raise NotImplementedError

    @call("virSmallKeep", rpc=43, acl="connect:write")
    async def keep(self, fd: Fd) -> U64:
        """The size of an open file."""
        raise NotImplementedError

    @call("virSmallOpen", rpc=44, acl="connect:read")
    async def open(self, path: Str) -> Fd:
        """An open file."""
        raise NotImplementedError

    @call("busOnly", rpc=0, acl="connect:read", dbus="BusOnly")
    async def bus_only(self) -> None:
        """What only D-Bus carries."""

    @call("virSmallNever", rpc=45, acl="connect:read")
    async def never(self) -> None:
        """What no driver does."""


class Box(Thing):
    """A thing that is there."""

    def __init__(self, root: "SmallDriver", name: str, number: int) -> None:
        self.root, self.name, self.uuid, self.id = root, name, UUID(int=number), number
        self.taken = b""
        self.tasks: set[asyncio.Task[None]] = set()
        self.console_error: Exception | None = None
        self.uploaded = asyncio.Event()

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        return await root.thing_by_uuid(ref.uuid)

    async def touch(self, flags: U32 = 0) -> None:
        if flags == 13:
            raise OperationInvalid("thirteen is not a flag")
        self.root.touched += 1
        self.root.events.emit(Thing.moved, self, self.root.touched, flags)

    async def size(self) -> U64:
        return len(self.taken)

    async def console(self, flags: U32, stream: Stream) -> None:
        self._keep(self._capitals(stream))

    async def _capitals(self, stream: Stream) -> None:
        try:
            while data := await stream.read():
                await stream.write(data.upper())
                if data == b"exit\n":
                    break
            await stream.finish()
        except Exception as error:
            self.console_error = error

    async def upload(self, flags: U32, stream: Stream) -> None:
        self._keep(self._take(flags, stream))

    async def _take(self, flags: int, stream: Stream) -> None:
        self.taken = b""
        try:
            while data := await stream.read():
                if flags & 2:
                    stream.abort(OperationInvalid("enough"))
                    return
                self.taken += data
            await stream.finish()
        except Exception as error:
            self.console_error = error
        self.uploaded.set()

    async def download(self, size: U64, flags: U32, stream: Stream) -> None:
        self._keep(self._give(size, stream))

    async def _give(self, size: int, stream: Stream) -> None:
        try:
            await stream.write(bytes(index & 0xFF for index in range(size)))
            await stream.hole(5)
            await stream.write(b"end")
            await stream.finish()
        except Exception as error:
            self.console_error = error

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


Thing.find = Box.find  # type: ignore[method-assign]


class SmallDriver(Small):
    """The driver: two things in memory."""

    def __init__(self) -> None:
        self.events = Hub()
        self.boxes = [Box(self, "one", 1), Box(self, "two", 2)]
        self.touched = 0
        self.gates: dict[int, asyncio.Event] = {}
        self.started: list[int] = []
        self.finished: list[int] = []
        self.left: list[str] = []

    async def version(self) -> U64:
        return 9000000

    async def wait(self, number: U32) -> U32:
        caller = current_caller()
        if caller is not None and number >= 100:
            caller.on_close(lambda: self.left.append(f"{number}"))
        self.started.append(number)
        await self.gates.setdefault(number, asyncio.Event()).wait()
        self.finished.append(number)
        return number

    def let_go(self, *numbers: int) -> None:
        """Let waiting calls end."""
        for number in numbers:
            self.gates.setdefault(number, asyncio.Event()).set()

    async def echo(self, text: Str) -> Str:
        return text

    async def crash(self) -> None:
        raise RuntimeError("a secret of the daemon")

    async def things(self, flags: U32 = 0) -> list[Thing]:
        return list(self.boxes)

    async def thing_by_uuid(self, uuid: Uuid) -> Thing:
        for box in self.boxes:
            if box.uuid == uuid:
                return box
        raise NoDomain(f"no thing with UUID {uuid}")

    async def keep(self, fd: Fd) -> U64:
        return os.fstat(fd).st_size

    async def open(self, path: Str) -> Fd:
        return os.open(path, os.O_RDONLY)
