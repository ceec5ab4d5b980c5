"""A running daemon as others may look at it: `org.splitvirt.Daemon1` on the bus, and the figures behind its metrics."""

import os
import time
from typing import TYPE_CHECKING, Any

from splitvirt.api.call import Call, call, calls
from splitvirt.api.errors import VirtError
from splitvirt.api.record import Object, ObjectWire, Record
from splitvirt.api.types import F64, I64, U32, U64, Bool, Str
from splitvirt.api.wire import Many

if TYPE_CHECKING:
    from splitvirt.daemon.life import Daemon


class ClientRow(Record):
    """A client of a socket: its server, number, user, process, whether it may only look, and since when (Unix time)."""

    server: Str
    id: U64
    user: Str
    pid: U32
    readonly: Bool
    since: I64


class JobRow(Record):
    """A call under way: its name, who made it, and its age in seconds."""

    name: Str
    client: Str
    seconds: F64


class ObjectRow(Record):
    """How many objects of a kind are in a state."""

    kind: Str
    state: Str
    count: U32


class MemoryRow(Record):
    """Memory in bytes: resident, proportional share (PSS) and peak."""

    rss: U64
    pss: U64
    peak: U64


class Report:
    """What a daemon says of itself."""

    KIND = "connect"
    BUS = "org.splitvirt.Daemon1"
    OBJECTS: tuple[type[Object], ...] = ()

    @call("Daemon1.Name", rpc=0, acl="connect:getattr", prop="Name")
    async def daemon_name(self) -> Str:
        """The daemon's name, such as virtqemud."""
        raise NotImplementedError

    @call("Daemon1.State", rpc=0, acl="connect:getattr", prop="State")
    async def state(self) -> Str:
        """starting, running or stopping."""
        raise NotImplementedError

    @call("Daemon1.Uptime", rpc=0, acl="connect:getattr", prop="Uptime")
    async def uptime(self) -> F64:
        """Seconds since it was started."""
        raise NotImplementedError

    @call("Daemon1.Version", rpc=0, acl="connect:getattr", prop="Version")
    async def version(self) -> Str:
        """splitvirt's version."""
        raise NotImplementedError

    @call("Daemon1.Timeout", rpc=0, acl="connect:getattr", prop="Timeout")
    async def timeout(self) -> U32:
        """Seconds without work after which it leaves; 0: never."""
        raise NotImplementedError

    @call("Daemon1.Idle", rpc=0, acl="connect:getattr", prop="Idle")
    async def idle(self) -> Bool:
        """Whether nothing holds it."""
        raise NotImplementedError

    @call("Daemon1.GetClients", rpc=0, acl="connect:read", dbus="GetClients")
    async def clients(self) -> list[ClientRow]:
        """Who is connected to its sockets."""
        raise NotImplementedError

    @call("Daemon1.GetJobs", rpc=0, acl="connect:read", dbus="GetJobs")
    async def jobs(self) -> list[JobRow]:
        """Calls that have not been answered yet."""
        raise NotImplementedError

    @call("Daemon1.GetObjects", rpc=0, acl="connect:read", dbus="GetObjects")
    async def objects(self) -> list[ObjectRow]:
        """How many objects there are, by kind and state."""
        raise NotImplementedError

    @call("Daemon1.GetMemory", rpc=0, acl="connect:getattr", dbus="GetMemory")
    async def memory(self) -> MemoryRow:
        """What it uses."""
        raise NotImplementedError


class DaemonReport(Report):
    """The report of a daemon that runs."""

    def __init__(self, daemon: "Daemon"):
        self.daemon = daemon

    async def daemon_name(self) -> str:
        return self.daemon.service.name

    async def state(self) -> str:
        return self.daemon.state

    async def uptime(self) -> float:
        return time.monotonic() - self.daemon.started

    async def version(self) -> str:
        from splitvirt.daemon.main import VERSION

        return VERSION

    async def timeout(self) -> int:
        return self.daemon.timeout

    async def idle(self) -> bool:
        return not self.daemon.driver.busy and not any(server.peers for server in self.daemon.servers.values())

    async def clients(self) -> list[ClientRow]:
        return [
            ClientRow(name, peer.number, peer.identity.user, peer.identity.pid, peer.readonly, int(peer.since))
            for name, server in self.daemon.servers.items()
            for peer in server.peers.values()
        ]

    async def jobs(self) -> list[JobRow]:
        now = time.monotonic()
        over_rpc = (one for server in self.daemon.servers.values() for one in server.under_way.values())
        found = [JobRow(one.name, one.client, now - one.since) for one in over_rpc]
        if export := self.daemon.on_bus.export:
            found += [JobRow(one.name, one.sender, now - one.since) for one in export.running.values()]
        return found

    async def objects(self) -> list[ObjectRow]:
        counted = await census(self.daemon.service.contract, self.daemon.driver)
        return [ObjectRow(kind, state, count) for (kind, state), count in sorted(counted.items())]

    async def memory(self) -> MemoryRow:
        return memory()


async def census(contract: type, root: Any) -> dict[tuple[str, str], int]:
    """How many objects a driver has, by kind and state: active, inactive, or "there" where a kind has no such state."""
    found: dict[tuple[str, str], int] = {}
    for lists in {_listed(one): one for one in calls(contract) if _listed(one) is not None}.values():
        try:
            objects = await getattr(root, lists.name)(*[lists.defaults.get(name, 0) for name, _ in lists.params])
        except VirtError:
            continue
        for one in objects:
            key = (one.KIND, await _state(one))
            found[key] = found.get(key, 0) + 1
    return found


async def _state(one: Any) -> str:
    try:
        return "active" if await one.is_active() else "inactive"
    except (AttributeError, VirtError):
        return "there"


def _listed(one: Call) -> type[Object] | None:
    """The kind of which a call of the root lists all objects."""
    if one.on_object or not one.filter:
        return None
    of = one.result.of if isinstance(one.result, Many) else None
    return of.kind if isinstance(of, ObjectWire) else None


def memory(pid: int | str = "self") -> MemoryRow:
    """A process's memory, from /proc; zeros where it may not be read."""
    page = os.sysconf("SC_PAGESIZE")
    rss = pss = peak = 0
    try:
        with open(f"/proc/{pid}/statm") as file:
            rss = int(file.read().split()[1]) * page
        with open(f"/proc/{pid}/smaps_rollup") as file:
            pss = next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
        with open(f"/proc/{pid}/status") as file:
            peak = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
    except OSError:
        pass
    return MemoryRow(rss, pss, peak)
