"""Lamps on a bus whose polkit is a test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from splitvirt.access.polkit import Polkit
from splitvirt.access.rules import MANAGE, MONITOR, Access
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.export import Export
from splitvirt.dbus.library import Message

from .lamps import Lamps, RealLamps

NAME, BASE, ROOT = "org.splitvirt.lamps", "/org/splitvirt/Lamps", "org.splitvirt.Lamps1"
POLKIT, AUTHORITY = "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority"


class Authority:
    """Who plays polkit on the bus: says yes to `granted`, or whatever `answer` is."""

    def __init__(self, bus: Bus):
        self.bus = bus
        self.granted = {MONITOR, MANAGE}
        self.answer: tuple[str, list[Any]] | None = None
        self.silent = False
        self.asked: list[str] = []
        self.questions: list[str] = []
        """Actions that a person is asked about, until `say`."""
        self._open: list[Message] = []
        bus.on_method(self._asked)

    def _asked(self, message: Message) -> bool:
        if message.path != AUTHORITY:
            return False
        action = message.body[1]
        if message.body[3]:  # a person may be asked
            self.questions.append(action)
            self._open.append(message)
            return True
        self.asked.append(action)
        signature, body = self.answer or ("(bba{ss})", [[action in self.granted, False, {}]])
        if not self.silent:
            self.bus.send(Message.new_method_return(message, signature, body))
        return True

    def say(self, allowed: bool, challenge: bool, details: dict[str, str]) -> None:
        """What the person said."""
        for message in self._open:
            self.bus.send(Message.new_method_return(message, "(bba{ss})", [[allowed, challenge, details]]))
        self._open.clear()

    def changed(self) -> None:
        """Say that a rule has changed."""
        self.bus.send(Message.new_signal(AUTHORITY, f"{POLKIT}.Authority", "Changed", "", []))


class Everybody(Access):
    """Takes nobody for the daemon's own user, as a system daemon does with us."""

    def auth(self, caller: Any, readonly: bool) -> int:
        return 2

    def trusts(self, peer: Any) -> bool:
        return False


@contextlib.asynccontextmanager
async def served(address: str) -> AsyncIterator[tuple[RealLamps, Export, Authority, Callable[[], Any]]]:
    """Lamps on a bus with a polkit, and a way to make more connections."""
    made: list[Bus] = []

    async def connect() -> Bus:
        made.append(await Bus.connect(address))
        return made[-1]

    authority = Authority(await connect())
    await authority.bus.request_name(POLKIT)
    access = Everybody("lamps", private=False, auth_ro="polkit", auth_rw="polkit", authority=Polkit(connect, 0.5))
    room, bus = RealLamps("desk"), await connect()
    export = Export(bus, BASE, access)
    export.offer(Lamps, room)
    await export.start(lambda: None)
    await bus.request_name(NAME)
    try:
        yield room, export, authority, connect
    finally:
        for one in made:
            one.close()
            await one.closed()


def path_of(room: RealLamps) -> str:
    return f"{BASE}/lamp/_{str(next(iter(room.all))).replace('-', '_')}"


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 (what is waited for is outside)
            await asyncio.sleep(0.01)


async def readonly(client: Bus) -> bool:
    """How a caller is graded."""
    (said,) = await client.call(NAME, BASE, ROOT, "WhoAmI")
    return str(said).endswith("True")
