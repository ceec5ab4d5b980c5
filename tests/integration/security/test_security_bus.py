"""Signals on the system's bus reach those alone who may look."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus
from support.lamps import Lamps, RealLamps

from splitvirt.access.identity import Identity
from splitvirt.access.rules import Access
from splitvirt.api.errors import VirtError
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.export import Export

NAME, BASE, ROOT = "org.splitvirt.lamps", "/org/splitvirt/Lamps", "org.splitvirt.Lamps1"


LAMP = "org.splitvirt.Lamp1"


def note(told: list[Bus], listener: Bus, message: Any) -> None:
    """A signal has come."""
    told.append(listener)


class Says:
    """Stands where polkit does."""

    def __init__(self) -> None:
        self.allowed = True

    async def check(self, action: str, caller: Identity, details: dict[str, str], *, interactive: bool = False) -> bool:
        """As it was told to say."""
        return self.allowed


@pytest.mark.parametrize("fine", [False, True])
async def test_signals_are_for_those_who_may_look(tmp_path: Path, fine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitvirt.access.rules.Access.auth", lambda self, caller, readonly: 2)  # also of root
    authority = Says()
    access = Access("lamps", private=False, auth_ro="polkit", auth_rw="polkit", fine=fine, authority=authority)
    with private_bus(tmp_path) as address:
        room, bus, one, other = RealLamps("desk"), *[await Bus.connect(address) for _ in range(3)]
        export = Export(bus, BASE, access)
        export.offer(Lamps, room)
        await export.start(lambda: None)
        await bus.request_name(NAME)
        told: list[Bus] = []
        for listener in (one, other):
            await listener.subscribe(
                f"type='signal',interface='{LAMP}'", LAMP, "Changed", partial(note, told, listener)
            )
        await one.call(NAME, BASE, ROOT, "ListLamps", "u", [0])
        authority.allowed = False
        with pytest.raises(VirtError):
            await other.call(NAME, BASE, ROOT, "ListLamps", "u", [0])
        authority.allowed = True  # too late for the one who was refused
        await next(iter(room.all.values())).switch(True)
        async with asyncio.timeout(60):
            while one not in told:  # noqa: ASYNC110 (what is waited for is outside)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert told == [one]
        for each in (one, other, bus):
            each.close()
            await each.closed()
