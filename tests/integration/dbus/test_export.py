"""Contracts on a real bus: real busctl and our own client against the one message handler."""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus
from support.lamps import Lamp, Lamps, Light, RealLamps

from splitvirt.access.rules import Access
from splitvirt.api.errors import NoDomain, OperationInvalid, ServiceError, VirtError
from splitvirt.dbus import names
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.export import Export
from splitvirt.dbus.proxy import connect_bus

NAME = "org.splitvirt.lamps"
BASE = "/org/splitvirt/Lamps"
ROOT = "org.splitvirt.Lamps1"
LAMP = "org.splitvirt.Lamp1"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        yield address


@contextlib.asynccontextmanager
async def served(address: str, *lamps: str) -> AsyncIterator[tuple[RealLamps, Bus, Export]]:
    """A room of lamps on the bus, and another connection to call it from."""
    room, bus, client = RealLamps(*lamps), await Bus.connect(address), await Bus.connect(address)
    export = Export(bus, BASE, Access("lamps"))
    export.offer(Lamps, room)
    await export.start(lambda: None)
    await bus.request_name(NAME)
    try:
        yield room, client, export
    finally:
        for one in (client, bus):
            one.close()
            await one.closed()


async def until(happened: Callable[[], bool]) -> None:
    """Wait, for a minute at most."""
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 (what is waited for is outside)
            await asyncio.sleep(0.01)


def path_of(room: RealLamps, name: str) -> str:
    lamp = next(lamp for lamp in room.all.values() if lamp.name == name)
    return f"{BASE}/lamp/_{str(lamp.uuid).replace('-', '_')}"


async def busctl(address: str, *words: str) -> Any:
    command = ["busctl", f"--address={address}", "--json=short", *words]
    done = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await asyncio.wait_for(done.communicate(), 60)
    assert done.returncode == 0, err.decode()
    return json.loads(out) if out.strip() else None


async def test_busctl_lists_calls_reads_and_writes(address: str) -> None:
    async with served(address, "desk", "hall") as (room, _, _):
        listed = await busctl(address, "call", NAME, BASE, ROOT, "ListLamps", "u", "0")
        assert listed == {"type": "ao", "data": [[path_of(room, "desk"), path_of(room, "hall")]]}
        desk = path_of(room, "desk")
        await busctl(address, "call", NAME, desk, LAMP, "Switch", "b", "true")
        assert await busctl(address, "call", NAME, desk, LAMP, "GetLight") == {"type": "(us)", "data": [[60, "white"]]}
        await busctl(address, "set-property", NAME, desk, LAMP, "Colour", "s", "red")
        assert await busctl(address, "get-property", NAME, desk, LAMP, "Colour") == {"type": "s", "data": "red"}
        assert (await busctl(address, "get-property", NAME, desk, LAMP, "Id"))["data"] == 0xFFFFFFFF


async def test_introspection_names_every_object_and_argument(address: str) -> None:
    async with served(address, "desk") as (room, _, _):
        tree = await asyncio.to_thread(
            subprocess.check_output, ["busctl", f"--address={address}", "tree", "--list", NAME], text=True
        )
        assert path_of(room, "desk") in tree.split()
        table = await asyncio.to_thread(
            subprocess.check_output,
            ["busctl", f"--address={address}", "--no-legend", "introspect", NAME, path_of(room, "desk"), LAMP],
            text=True,
        )
        members = {words[0]: words[1:] for words in map(str.split, table.splitlines())}
        assert members[".Switch"] == ["method", "b", "-", "-"]
        assert members[".GetLight"] == ["method", "-", "(us)", "-"]
        assert members[".Colour"] == ["property", "s", '"white"', "writable"]
        assert members[".Changed"] == ["signal", "b", "-", "-"]


async def test_managed_objects_are_complete(address: str) -> None:
    async with served(address, "desk", "hall") as (room, client, _):
        (objects,) = await client.call(NAME, BASE, names.MANAGER, "GetManagedObjects")
        assert set(objects) == {path_of(room, "desk"), path_of(room, "hall")}
        found = {name: value.value for name, value in objects[path_of(room, "hall")][LAMP].items()}
        assert found == {
            "On": False, "Colour": "white", "Name": "hall", "Id": 0xFFFFFFFF, "UUID": str(next(
                lamp.uuid for lamp in room.all.values() if lamp.name == "hall")),
        }  # fmt: skip


async def test_errors_keep_libvirts_code_and_domain(address: str) -> None:
    async with served(address, "desk") as (room, client, _):
        with pytest.raises(OperationInvalid, match="is off already"):
            await client.call(NAME, path_of(room, "desk"), LAMP, "Switch", "b", [False])
        gone = f"{BASE}/lamp/_00000000_0000_0000_0000_000000000000"
        with pytest.raises(NoDomain):
            await client.call(NAME, gone, LAMP, "GetLight")
        with pytest.raises(VirtError, match="ZeroDivisionError") as caught:
            await client.call(NAME, BASE, ROOT, "Crash")
        assert caught.value.code == 1
        with pytest.raises(VirtError) as caught:
            await client.call(NAME, BASE, ROOT, "Unmade")
        assert caught.value.code == 3


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body", "error"),
    [
        (BASE, ROOT, "Nothing", "", [], "UnknownMethod"),
        (BASE, "org.example.None", "Nothing", "", [], "UnknownInterface"),
        (f"{BASE}/lamp/nonsense", LAMP, "GetLight", "", [], "UnknownObject"),
        (f"{BASE}/table/_1", LAMP, "GetLight", "", [], "UnknownObject"),
        (BASE, ROOT, "ListLamps", "s", ["0"], "InvalidArgs"),
        (BASE, names.PROPERTIES, "Get", "ss", [ROOT, "None"], "UnknownProperty"),
        (BASE, names.PROPERTIES, "Get", "s", [ROOT], "InvalidArgs"),
    ],
)
async def test_wrong_messages_get_the_bus_s_own_errors(
    address: str, path: str, interface: str, member: str, signature: str, body: list[Any], error: str
) -> None:
    async with served(address) as (_, client, _):
        with pytest.raises(ServiceError, match=error):
            await client.call(NAME, path, interface, member, signature, body)


async def test_descriptors_travel_both_ways_and_a_caller_s_end_is_seen(address: str) -> None:
    async with served(address) as (room, client, _):
        reading, writing = os.pipe()
        os.write(writing, b"from the caller")
        assert await client.call(NAME, BASE, ROOT, "ReadFd", "h", [0], fds=[reading]) == ["from the caller"]
        os.close(reading)
        os.close(writing)
        before = len(os.listdir("/proc/self/fd"))
        (fd,) = await client.call(NAME, BASE, ROOT, "OpenPipe", "s", ["from the daemon"])
        assert os.read(fd, 100) == b"from the daemon"
        client.close()
        await client.closed()
        await until(lambda: bool(room.left))
        assert os.read(fd, 100) == b""
        os.close(fd)
        assert len(os.listdir("/proc/self/fd")) < before + 1


async def test_typed_parameters_and_the_caller_s_identity(address: str) -> None:
    async with served(address) as (_, client, _):
        sent = {"a": client.variant("u", 5), "b": client.variant("s", "x"), "c": client.variant("b", True)}
        (answer,) = await client.call(NAME, BASE, ROOT, "EchoParams", "a{sv}", [sent])
        assert {name: (value.signature, value.value) for name, value in answer.items()} == {
            "a": ("u", 5), "b": ("s", "x"), "c": ("b", True),
        }  # fmt: skip
        (who,) = await client.call(NAME, BASE, ROOT, "WhoAmI")
        assert who == f"{os.getuid()} {os.getpid()} {client.unique_name} False"


async def test_one_slow_call_holds_up_nobody(address: str) -> None:
    async with served(address, "desk") as (_, client, export):
        slow = asyncio.ensure_future(client.call(NAME, BASE, ROOT, "Sleep", "u", [200_000]))
        async with asyncio.timeout(60):
            for _ in range(20):
                await client.call(NAME, BASE, ROOT, "ListLamps", "u", [0])
        assert [one.name for one in export.running.values()] == [f"{ROOT}.Sleep"]
        slow.cancel()


async def test_signals_of_objects_and_of_the_manager(address: str) -> None:
    async with served(address, "desk") as (room, client, _):
        heard: list[tuple[str, str, list[Any]]] = []
        added, removed = (names.MANAGER, "InterfacesAdded"), (names.MANAGER, "InterfacesRemoved")
        for interface, member in ((LAMP, "Changed"), (ROOT, "LampEvent"), added, removed):
            await client.subscribe(
                f"type='signal',interface='{interface}'", interface, member,
                lambda m: heard.append((str(m.member), str(m.path), m.body)),
            )  # fmt: skip
        await client.call(NAME, path_of(room, "desk"), LAMP, "Switch", "b", [True])
        (new,) = await client.call(NAME, BASE, ROOT, "AddLamp", "s", ["new"])
        await client.call(NAME, BASE, ROOT, "RemoveLamp", "o", [new])
        await until(lambda: len(heard) >= 5)
        assert heard[0] == ("Changed", path_of(room, "desk"), [True])
        members = [one[0] for one in heard]
        assert sorted(members[1:]) == ["InterfacesAdded", "InterfacesRemoved", "LampEvent", "LampEvent"]
        assert heard[1] == ("LampEvent", BASE, [new, 0, 0])


async def test_a_burst_of_20_000_signals_arrives_whole(address: str) -> None:
    """Both libraries drop the connection when a write meets a full socket."""
    async with served(address, "desk") as (room, client, export):
        count, done = 0, asyncio.Event()

        def heard(message: Any) -> None:
            nonlocal count
            count += 1
            if count == 20_000:
                done.set()

        await client.subscribe(f"type='signal',interface='{LAMP}'", LAMP, "Changed", heard)
        lamp = next(iter(room.all.values()))
        for n in range(20_000):
            room.events.emit(Lamp.changed, lamp, bool(n % 2))
        async with asyncio.timeout(60):
            await done.wait()
        assert await client.call(NAME, BASE, ROOT, "Sleep", "u", [0]) == ["rested"]
        assert export.bus.connected


async def test_the_proxy_speaks_the_contract(address: str) -> None:
    async with served(address, "desk", "hall") as (room, client, _):
        far: Any = await connect_bus(Lamps, client, NAME, BASE, events=True)
        heard: list[tuple[str, Any, tuple[Any, ...]]] = []
        far.events.subscribe(lambda event, subject, values: heard.append((event.name, subject, values)))
        desk, hall = await far.lamps()
        assert (desk.name, hall.name, desk.id, desk.uuid) == ("desk", "hall", -1, next(iter(room.all)))
        await desk.switch(True)
        assert await desk.light() == Light(60, "white")
        await desk.set_colour("blue")
        assert await desk.colour() == "blue"
        assert await desk.secret() is None
        await far.remove(hall)
        with pytest.raises(NoDomain):
            await hall.light()
        fd = await far.pipe("text")
        assert os.read(fd, 10) == b"text"
        os.close(fd)
        await until(lambda: len(heard) == 2)
        assert [(name, subject.uuid, values) for name, subject, values in heard] == [
            ("changed", desk.uuid, (True,)), ("lifecycle", hall.uuid, (1, 0)),
        ]  # fmt: skip
