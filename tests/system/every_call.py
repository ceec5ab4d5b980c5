"""Makes every call that a daemon offers, as users who lack one permission each, and prints what became of it as JSON.

In the container, as root: `every_call.py DAEMON socket|bus FILE`, the file being {"user": "permission that it lacks"}.
The user of "" has them all. Flags are all set where that does not decide what is needed: no allowed call does anything
then.
"""

import asyncio
import json
import os
import pwd
import struct
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.matrix import EVENTS, KINDS, LAST, PLACES, Row, Things, rows

from splitvirt.api.errors import VirtError
from splitvirt.api.program import REMOTE
from splitvirt.api.record import Ref
from splitvirt.api.shape import Names
from splitvirt.api.stream import pipe
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.proxy import connect_bus
from splitvirt.rpc.client import connect_rpc

Told = dict[str, Any]


class Front:
    """The connections of one user: a root for each contract."""

    def __init__(self, daemon: str, front: str) -> None:
        self.daemon, self.front, self.place = daemon, front, PLACES[daemon]
        self.roots: dict[type, Any] = {}

    async def connect(self) -> None:
        place = self.place
        if self.front == "socket":
            contract = place.contracts[0]
            self.roots[contract] = await connect_rpc(contract, f"/run/libvirt/{self.daemon}-sock", place.uri)
            return
        bus = await Bus.connect("system")
        for contract in place.contracts:
            self.roots[contract] = await connect_bus(contract, bus, f"org.splitvirt.{self.daemon}", place.path)

    def handle(self, contract: type, kind: Any, things: Things) -> Any:
        """A stand-in for an object, made from what is known of it: nothing is asked of the daemon."""
        fields = dict(things.objects.get(kind) or {"name": "none", "uuid": UUID(int=9)})
        for name in ("domain", "network"):
            owner = next((one for one in KINDS if one.__name__.lower() == name and one is not kind), None)
            if owner in things.objects and owner is not None:
                fields[name] = self.handle(contract, owner, things)
        root = self.roots[contract]
        if self.front == "socket":
            return root._session.adopt(kind, fields)
        return root._remote.adopt(Ref(kind, fields))

    async def make(self, row: Row, things: Things) -> tuple[int, int]:
        """What a call ends with: an error's code or 0, and how many items a list has."""
        values = [self.handle(row.contract, v, things) if isinstance(v, type) else v for v in row.values]
        call, root = row.call, self.roots[row.contract]
        try:
            async with asyncio.timeout(60):
                if self.front == "bus":
                    result = await root._remote.invoke(call, values)
                else:
                    sent = [v for (name, _), v in zip(call.params, values, strict=True) if name not in call.fixed]
                    if isinstance(call.shape, Names):
                        sent = call.shape.put(sent, 16)  # how many it may have
                    result = await root._session.invoke(call, sent, pipe()[0] if call.stream else None)
        except VirtError as error:
            return error.code, 0
        except TimeoutError:
            return -1, 0
        return 0, len(result) if isinstance(result, list) else result if call.filter else 0

    async def register(self) -> int:
        """Ask for events."""
        link = await self.roots[self.place.contracts[0]]._session.link()
        try:
            await link.request(REMOTE, EVENTS[self.daemon][0], struct.pack(">iI", 0, 0), [], 20)
        except VirtError as error:
            return error.code
        return 0


async def things_of(daemon: str) -> Things:
    """The objects that there are, seen by root."""
    front = Front(daemon, "socket")
    await front.connect()
    (root,) = front.roots.values()
    if daemon == "virtqemud":
        demo, running = await root.domain_by_name("demo"), await root.domain_by_name("other")
        found: dict[type, dict[str, Any]] = {KINDS[0]: {"name": "demo", "uuid": demo.uuid, "id": demo.id}}
        active = {"id": running.id}
    else:
        network = await root.network_by_name("matrix")
        (port,) = await network.ports()
        found, active = {KINDS[1]: {"name": "matrix", "uuid": network.uuid}, KINDS[2]: {"uuid": port.uuid}}, {}
    await root.close()
    return Things(found, active)


async def told_by(daemon: str, front: str, lacks: str, things: Things) -> list[Told]:
    """What one user's calls came to: all of them, or those that need what the user lacks."""
    made = rows(daemon, front, things)
    client, told = Front(daemon, front), []
    try:
        await client.connect()
    except VirtError as error:
        return [{"call": "open", "needs": ["connect:getattr"], "code": error.code, "items": 0}]
    if not lacks:
        seen: set[str] = set()  # each call in its harmless way alone
        made = [row for row in made if not (row.name in seen or seen.add(row.name))]  # type: ignore[func-returns-value]
        made.sort(key=lambda row: LAST.index(row.call.name) if row.call.name in LAST else -1)
    else:
        made = [row for row in made if lacks in row.needs or row.call.filter == lacks]
    for row in made:
        code, items = await client.make(row, things)
        told.append({"call": row.name, "needs": row.needs, "code": code, "items": items, "filter": row.call.filter})
    if front == "socket" and lacks in ("", EVENTS[daemon][1]):
        told.append({"call": "events", "needs": [EVENTS[daemon][1]], "code": await client.register(), "items": 0})
    return told


def as_user(user: str, work: Any) -> Any:
    """What a coroutine function gives when another user runs it, in a process of its own."""
    entry, (near, far) = pwd.getpwnam(user), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(near)
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        with os.fdopen(far, "w") as out:
            json.dump(asyncio.run(work()), out)
        os._exit(0)
    os.close(far)
    with os.fdopen(near) as said:
        text = said.read()
    assert os.waitpid(child, 0)[1] == 0, f"{user}: {text}"
    return json.loads(text)


def main(daemon: str, front: str, file: str) -> None:
    users: dict[str, str] = json.loads(Path(file).read_text())
    things = asyncio.run(things_of(daemon))
    told = {
        lacks: as_user(user, lambda lacks=lacks: told_by(daemon, front, lacks, things))
        for user, lacks in sorted(users.items(), key=lambda one: one[1] == "")
    }
    print(json.dumps(told))


main(*sys.argv[1:])
