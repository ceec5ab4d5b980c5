"""A caller on the bus that is ready to wait for a password is asked for one, where it is what the call needs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus
from support.lampsbus import BASE, NAME, ROOT, Authority, path_of, readonly, served, until

from splitvirt.access.rules import MANAGE, MONITOR
from splitvirt.api.errors import AuthCancelled, OperationDenied
from splitvirt.dbus import names
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message, MessageFlag, Variant

Said = tuple[bool, bool, dict[str, str]]
YES: Said = (True, False, {})
NO: Said = (False, False, {})
PASSWORD: Said = (False, True, {})


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        yield address


def asking(client: Bus, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Any:
    """A call of one who lets the daemon ask for a password, under way."""
    to: dict[str, Any] = {"destination": NAME, "path": path, "interface": interface, "member": member}
    flags = MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION
    return asyncio.ensure_future(client.request(Message(**to, signature=signature, body=body, flags=flags), 60))


def add(client: Bus, name: str) -> Any:
    return asking(client, BASE, ROOT, "AddLamp", "s", [name])


def looker(authority: Authority) -> None:
    """Everybody may look, and a password is needed for more."""
    authority.granted = {MONITOR}
    authority.changed()


async def test_it_waits_for_the_password_and_others_do_not_wait_for_it(address: str) -> None:
    async with served(address) as (room, _, authority, connect):
        looker(authority)
        client, other = await connect(), await connect()
        first, second = add(client, "one"), add(client, "two")
        await until(lambda: bool(authority.questions))
        assert await readonly(client), "it may look meanwhile"
        assert await readonly(other)
        with pytest.raises(OperationDenied, match="read only access prevents lampAdd"):
            await client.call(NAME, BASE, ROOT, "AddLamp", "s", ["not asked for"])
        assert authority.questions == [MANAGE], "one question for both"
        authority.say(*YES)
        await asyncio.gather(first, second)
        assert {lamp.name for lamp in room.all.values()} == {"desk", "one", "two"}
        assert await readonly(client), "it was good for these calls alone"


async def test_who_only_looks_is_not_asked(address: str) -> None:
    async with served(address) as (room, _, authority, connect):
        looker(authority)
        client = await connect()
        await asking(client, BASE, ROOT, "WhoAmI", "", [])
        await asking(client, path_of(room), "org.splitvirt.Lamp1", "GetLight", "", [])
        with pytest.raises(OperationDenied):
            await client.call(NAME, BASE, ROOT, "AddLamp", "s", ["one"])
        assert authority.questions == []


async def test_a_property_is_set_with_a_password_too(address: str) -> None:
    async with served(address) as (room, _, authority, connect):
        looker(authority)
        client = await connect()
        body = ["org.splitvirt.Lamp1", "Colour", Variant("s", "green")]
        done = asking(client, path_of(room), names.PROPERTIES, "Set", "ssv", body)
        await until(lambda: bool(authority.questions))
        authority.say(*YES)
        await done


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (NO, OperationDenied, "read only access prevents lampAdd$"),
        (PASSWORD, OperationDenied, "read only access prevents lampAdd: no polkit agent available to authenticate"),
        ((False, False, {"polkit.dismissed": "true"}), AuthCancelled, "user cancelled authentication process"),
    ],
)
async def test_a_no_is_told_apart(address: str, said: Any, error: Any, words: str) -> None:
    async with served(address) as (room, _, authority, connect):
        looker(authority)
        done = add(await connect(), "one")
        await until(lambda: bool(authority.questions))
        authority.say(*said)
        with pytest.raises(error, match=words):
            await done
        assert len(room.all) == 1


async def test_who_may_not_even_look_is_asked_as_well(address: str) -> None:
    async with served(address) as (_, _, authority, connect):
        authority.granted = set()
        authority.changed()
        done = asking(await connect(), BASE, ROOT, "WhoAmI", "", [])
        await until(lambda: bool(authority.questions))
        authority.say(*YES)
        assert str((await done).body[0]).endswith("False")
