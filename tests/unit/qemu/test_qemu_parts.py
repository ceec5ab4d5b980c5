"""Parts of the QEMU driver that need no guest: agent, job lock, keys, pump, schema paths, XML trees, records."""

import asyncio
import json
import os
import pty
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from splitvirt.api import constants as c
from splitvirt.api.errors import AgentUnresponsive, InternalError, InvalidArg, Timeout
from splitvirt.api.stream import pipe
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.tree import Tree
from virtqemud.domain.guestdisks import target, targets
from virtqemud.domain.job import JobLock
from virtqemud.domain.keycodes import to_qnum
from virtqemud.emulator.capabilities import schema_paths
from virtqemud.running.agent import Agent, AgentError
from virtqemud.running.pump import Pump
from virtqemud.running.status import Status, load_all

Answer = Callable[[dict[str, Any]], Awaitable[bytes | None]]


async def agent_at(path: Path, answer: Answer) -> asyncio.Server:
    """The guest's half of the agent's protocol: answers syncs, and what `answer` says to the rest."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"return": "left over from before"}\n')
        while line := await reader.readline():
            message = json.loads(line.lstrip(b"\xff"))
            if message["execute"] == "guest-sync-delimited":
                writer.write(b"\xff" + json.dumps({"return": message["arguments"]["id"]}).encode() + b"\n")
            else:
                said = await answer(message)
                if said is None:
                    break
                writer.write(said + b"\n")
        writer.close()

    return await asyncio.start_unix_server(serve, path)


async def test_agent_answers_after_a_sync(tmp_path: Path) -> None:
    async def answer(message: dict[str, Any]) -> bytes:
        if message["execute"] == "guest-nope":
            return b'{"error": {"class": "CommandNotFound", "desc": "no such command"}}'
        return json.dumps({"return": message.get("arguments", {})}).encode()

    async with await agent_at(tmp_path / "agent", answer):
        agent = Agent(tmp_path / "agent")
        assert await agent.execute("guest-ping", {"a": 1}) == {"a": 1}
        both = await asyncio.gather(agent.execute("x", {"n": 1}), agent.execute("x", {"n": 2}))
        assert list(both) == [{"n": 1}, {"n": 2}]
        with pytest.raises(AgentError, match="unable to execute QEMU agent command 'guest-nope': no such command"):
            await agent.execute("guest-nope")
        await agent.close()


async def test_an_agent_that_does_not_answer(tmp_path: Path) -> None:
    tired = asyncio.Event()

    async def silent(message: dict[str, Any]) -> None:
        await tired.wait()

    async def gone(message: dict[str, Any]) -> None:
        return None

    async def babble(message: dict[str, Any]) -> bytes:
        return b"not json"

    with pytest.raises(AgentUnresponsive, match="Guest agent is not responding: QEMU guest agent is not connected"):
        await Agent(tmp_path / "none").execute("guest-ping")
    for number, how in enumerate((silent, gone, babble)):
        server = await agent_at(tmp_path / str(number), how)
        agent = Agent(tmp_path / str(number))
        with pytest.raises(AgentUnresponsive):
            await agent.execute("guest-ping", timeout=0.1)
        await agent.close()
        tired.set()
        server.close()
        async with asyncio.timeout(60):
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 (until the guest's half has noticed)
                await asyncio.sleep(0.01)


async def test_a_guest_that_leaves_takes_its_agent_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, silence = asyncio.Event(), asyncio.Event()

    async def silent(message: dict[str, Any]) -> None:
        asked.set()
        await silence.wait()

    agent = Agent(tmp_path / "agent")

    async def ask(ends: tuple[str, ...], then: Callable[[], None]) -> Any:
        asked.clear()
        call = asyncio.create_task(agent.execute("guest-x", timeout=None, ends=ends))
        async with asyncio.timeout(30):
            await asked.wait()
            then()
            return await call

    async with await agent_at(tmp_path / "agent", silent):
        assert await ask(("SUSPEND", "SHUTDOWN"), lambda: agent.heard("SHUTDOWN")) is not None
        with pytest.raises(AgentUnresponsive, match="Guest agent disappeared while executing command"):
            await ask((), agent.left)
        monkeypatch.setattr("virtqemud.running.agent.LEAVING", 0.01)
        assert await ask(("SUSPEND",), agent.left) is not None
        agent.heard("SUSPEND")
        agent.left()  # while nobody waits, nothing happens
        silence.set()
    async with asyncio.timeout(30):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 (until the guest's half has noticed)
            await asyncio.sleep(0.01)


def test_the_agents_disks_are_the_guests() -> None:
    disk = "<disk type='file'><source file='/d'/><target dev='{}' bus='{}'/><address type={}/></disk>"
    disks = disk.format("vda", "virtio", "'pci' bus='4'") + disk.format(
        "sdb", "scsi", "'drive' controller='1' unit='2'"
    )
    scsi = "<controller type='scsi' index='1'><address type='pci' bus='5' slot='1'/></controller>"
    xml = f"<domain type='qemu'><name>d</name><memory>1</memory><devices>{disks}{scsi}</devices></domain>"
    known = targets(DomainXML.from_xml(xml))

    def at(bus: int, slot: int, unit: int = 0) -> dict[str, Any]:
        card = {"domain": 0, "bus": bus, "slot": slot, "function": 0}
        return {"pci-controller": card, "bus": 0, "target": 0, "unit": unit}

    assert [target(known, each) for each in (at(4, 0), at(5, 1, 2), at(5, 1, 3), {})] == ["vda", "sdb", None, None]


async def test_jobs_take_turns_and_say_who_holds_it() -> None:
    job = JobLock(deadline=0.05)
    async with job.hold("first"):
        assert job.busy
        assert job.age < 5
        with pytest.raises(Timeout, match=r"cannot acquire state change lock \(held by monitor=first\)"):
            async with job.hold("second"):
                pass
    assert (job.busy, job.age, job.holder) == (False, 0.0, "")
    async with job.hold("third"):
        pass


def test_keys() -> None:
    assert [to_qnum(c.VIR_KEYCODE_SET_LINUX, n) for n in (1, 30, 57, 103, 111)] == [1, 30, 57, 0xC8, 0xD3]
    assert to_qnum(c.VIR_KEYCODE_SET_XT, 0xE053) == 0xD3
    assert to_qnum(c.VIR_KEYCODE_SET_QNUM, 0xD3) == 0xD3
    with pytest.raises(InternalError, match="cannot translate keycode 700 of linux codeset to qnum keycode"):
        to_qnum(c.VIR_KEYCODE_SET_LINUX, 700)
    with pytest.raises(InvalidArg):
        to_qnum(c.VIR_KEYCODE_SET_OSX, 1)


async def test_a_pump_carries_both_ways_and_ends_with_the_pty() -> None:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    ours, theirs = pipe(window=64)
    pump = Pump(os.open(os.ttyname(slave), os.O_RDWR | os.O_NOCTTY), theirs)
    tasks: list[asyncio.Task[Any]] = []

    def background(work: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.get_running_loop().create_task(work))
        return tasks[-1]

    pump.start(background)
    os.write(master, b"x" * 500 + b"\n")
    got = b""
    async with asyncio.timeout(60):
        while got.count(b"x") < 500:
            got += await ours.read()
        await ours.write(b"typed\n")
        said = b""
        while b"typed" not in said:
            await asyncio.sleep(0.01)
            try:
                said += os.read(master, 4096)
            except BlockingIOError:
                continue
        os.close(slave)
        os.close(master)
        while await ours.read():
            pass
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not pump.running


async def test_a_pump_ends_when_the_peer_finishes() -> None:
    master, slave = pty.openpty()
    ours, theirs = pipe()
    pump = Pump(os.open(os.ttyname(slave), os.O_RDWR | os.O_NOCTTY), theirs)
    tasks: list[asyncio.Task[Any]] = []

    def background(work: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.get_running_loop().create_task(work))
        return tasks[-1]

    pump.start(background)
    await ours.finish()
    async with asyncio.timeout(60):
        assert await ours.read() == b""
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not pump.running
    os.close(slave)
    os.close(master)


def test_schema_paths() -> None:
    schema: list[dict[str, Any]] = [
        {"name": "do", "meta-type": "command", "arg-type": "1", "ret-type": "0"},
        {"name": "DONE", "meta-type": "event", "arg-type": "0"},
        {"name": "0", "meta-type": "object", "members": []},
        {
            "name": "1",
            "meta-type": "object",
            "members": [{"name": "kind", "type": "2"}, {"name": "many", "type": "[3]"}],
            "tag": "kind",
            "variants": [{"case": "a", "type": "3"}, {"case": "b", "type": "0"}],
        },
        {"name": "2", "meta-type": "enum", "values": ["a", "b"]},
        {
            "name": "3",
            "meta-type": "object",
            "members": [{"name": "size", "type": "int"}, {"name": "again", "type": "1"}],
        },
        {"name": "[3]", "meta-type": "array", "element-type": "3"},
        {"name": "int", "meta-type": "builtin", "json-type": "int"},
    ]
    paths = schema_paths(schema)
    assert {"do", "DONE", "do/kind", "do/kind=a", "do/kind=b", "do/a/size", "do/many/size"} <= paths
    assert max(path.count("/") for path in paths) <= 4  # types refer to each other in circles


def test_xml_trees() -> None:
    tree = Tree("a", Tree("b", text="x < 'y'"), None, Tree("c", on=True, off=None), id=1)
    assert tree.to_xml() == "<a id='1'>\n  <b>x &lt; &apos;y&apos;</b>\n  <c on='yes'/>\n</a>\n"


def test_records_of_running_guests(tmp_path: Path) -> None:
    status = Status("n", "u", 3, True, "<domain/>", 1, 1, pid=5, started=6, vcpus=[7], helpers=[(8, 9)])
    status.save(tmp_path / "n.status")
    assert (tmp_path / "n.status").stat().st_mode & 0o777 == 0o600
    (tmp_path / "bad.status").write_text("{")
    (tmp_path / "newer.status").write_text('{"format": 99}')
    assert list(load_all(tmp_path)) == [(tmp_path / "n.status", status)]
    assert list(load_all(tmp_path / "nowhere")) == []
