"""A small driver of our own for tests of what carries calls: lamps, which can be switched, named, read and passed."""

import asyncio
import os
from uuid import UUID, uuid5

from splitvirt.api.call import Object, Record, call
from splitvirt.api.dispatch import current_caller
from splitvirt.api.errors import NoDomain, OperationInvalid
from splitvirt.api.event import Hub, event
from splitvirt.api.record import Ref
from splitvirt.api.types import I32, U32, Bool, Fd, OptStr, Params16, Str, TypedParam, Uuid

_SPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


class Light(Record):
    """What a lamp gives."""

    watts: U32
    colour: Str


class Lamp(Object):
    """Something that shines."""

    KIND = "domain"
    XDR = "remote_nonnull_domain"
    BUS = "org.splitvirt.Lamp1"
    PROPS = {"Id": ("id", "u"), "Name": ("name", "s"), "UUID": ("uuid", "s")}
    name: Str
    uuid: Uuid
    id: I32

    @classmethod
    async def find(cls, root: "Lamps", ref: Ref) -> "Lamp":
        """By UUID."""
        return await root.lamp_by_uuid(ref.uuid)

    @call("lampSwitch", rpc=9001, acl="domain:start", dbus="Switch")
    async def switch(self, on: Bool) -> None:
        """Switch it on or off."""

    @call("lampLight", rpc=9002, acl="domain:read", dbus="GetLight")
    async def light(self) -> Light:
        """What it gives."""
        raise NotImplementedError

    @call("lampSecret", rpc=9003, acl="domain:read_secure", dbus="GetSecret")
    async def secret(self) -> OptStr:
        """What it hides."""

    @call("lampOn", rpc=9004, acl="domain:getattr", prop="On")
    async def is_on(self) -> Bool:
        """Whether it shines."""
        raise NotImplementedError

    @call("lampColour", rpc=9005, acl="domain:getattr", prop="Colour")
    async def colour(self) -> Str:
        """Its colour."""
        raise NotImplementedError

    @call("lampSetColour", rpc=9006, acl="domain:write", prop="Colour")
    async def set_colour(self, colour: Str) -> None:
        """Paint it."""

    @event(rpc=9100, id=0, dbus="Changed")
    def changed(self, on: Bool) -> None:
        """It was switched."""

    @event(rpc=9101, id=1, dbus="LampEvent", on_root=True)
    def lifecycle(self, event: I32, detail: I32) -> None:
        """It came (0) or went (1)."""


class Lamps:
    """A room of lamps."""

    OBJECTS = (Lamp,)
    BUS = "org.splitvirt.Lamps1"

    @call("lampList", rpc=9010, acl="connect:search_domains", filter="domain:getattr", dbus="ListLamps")
    async def lamps(self, flags: U32 = 0) -> list[Lamp]:
        """Every lamp."""
        raise NotImplementedError

    @call("lampByUUID", rpc=9011, acl="domain:getattr", dbus="LampByUUID")
    async def lamp_by_uuid(self, uuid: Uuid) -> Lamp:
        """The lamp of that UUID."""
        raise NotImplementedError

    @call("lampAdd", rpc=9012, acl="connect:write", dbus="AddLamp")
    async def add(self, name: Str) -> Lamp:
        """A new lamp."""
        raise NotImplementedError

    @call("lampRemove", rpc=9013, acl="connect:write", dbus="RemoveLamp")
    async def remove(self, lamp: Lamp) -> None:
        """Take a lamp away."""

    @call("lampSleep", rpc=9014, acl="connect:read", dbus="Sleep")
    async def sleep(self, milliseconds: U32) -> Str:
        """Take a while."""
        raise NotImplementedError

    @call("lampEcho", rpc=9015, acl="connect:read", dbus="EchoParams")
    async def echo(self, params: Params16) -> Params16:
        """The same again."""
        raise NotImplementedError

    @call("lampRead", rpc=9016, acl="connect:read", dbus="ReadFd")
    async def read_fd(self, fd: Fd) -> Str:
        """What can be read from a descriptor."""
        raise NotImplementedError

    @call("lampPipe", rpc=9017, acl="connect:write", dbus="OpenPipe")
    async def pipe(self, text: Str) -> Fd:
        """A pipe to read `text` from; it breaks when the caller leaves."""
        raise NotImplementedError

    @call("lampWho", rpc=9018, acl="connect:getattr", dbus="WhoAmI")
    async def who(self) -> Str:
        """Who calls."""
        raise NotImplementedError

    @call("lampCrash", rpc=9019, acl="connect:getattr", dbus="Crash")
    async def crash(self) -> None:
        """Fail in a way that nobody foresaw."""

    @call("lampUnmade", rpc=9020, acl="connect:getattr", dbus="Unmade")
    async def unmade(self) -> None:
        """Not done by any driver."""


class RealLamp(Lamp):
    """A lamp that is there."""

    def __init__(self, room: "RealLamps", name: str):
        self.room, self.name, self.uuid, self.id = room, name, uuid5(_SPACE, name), -1
        self.on, self.paint = False, "white"

    async def switch(self, on: bool) -> None:
        if self.on == on:
            raise OperationInvalid(f"lamp {self.name} is {'on' if on else 'off'} already")
        self.on = on
        self.room.events.emit(Lamp.changed, self, on)

    async def light(self) -> Light:
        return Light(60 if self.on else 0, self.paint)

    async def secret(self) -> str | None:
        return None

    async def is_on(self) -> bool:
        return self.on

    async def colour(self) -> str:
        return self.paint

    async def set_colour(self, colour: str) -> None:
        self.paint = colour


class RealLamps(Lamps):
    """The room's driver."""

    def __init__(self, *names: str) -> None:
        self.events = Hub()
        self.all = {lamp.uuid: lamp for lamp in (RealLamp(self, name) for name in names)}
        self.left: list[str] = []

    @property
    def busy(self) -> bool:
        """Whether a lamp is on."""
        return any(lamp.on for lamp in self.all.values())

    def reload(self) -> None:
        """Nothing to read."""

    async def close(self) -> None:
        """Nothing to let go."""

    async def lamps(self, flags: int = 0) -> list[Lamp]:
        return list(self.all.values())

    async def lamp_by_uuid(self, uuid: UUID) -> Lamp:
        if uuid not in self.all:
            raise NoDomain(f"no lamp with uuid '{uuid}'")
        return self.all[uuid]

    async def add(self, name: str) -> Lamp:
        lamp = RealLamp(self, name)
        self.all[lamp.uuid] = lamp
        self.events.emit(Lamp.lifecycle, lamp, 0, 0)
        return lamp

    async def remove(self, lamp: Lamp) -> None:
        del self.all[lamp.uuid]
        self.events.emit(Lamp.lifecycle, lamp, 1, 0)

    async def sleep(self, milliseconds: int) -> str:
        await asyncio.sleep(milliseconds / 1000)
        return "rested"

    async def echo(self, params: list[TypedParam]) -> list[TypedParam]:
        return params

    async def read_fd(self, fd: int) -> str:
        return os.read(fd, 1000).decode()

    async def pipe(self, text: str) -> int:
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        caller = current_caller()
        assert caller is not None
        name = caller.name

        def gone() -> None:
            os.close(writing)
            self.left.append(name)

        caller.on_close(gone)
        return reading

    async def who(self) -> str:
        caller = current_caller()
        assert caller is not None
        return f"{caller.identity.uid} {caller.identity.pid} {caller.identity.bus_name} {caller.readonly}"

    async def crash(self) -> None:
        raise ZeroDivisionError
