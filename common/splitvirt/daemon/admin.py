"""What real virt-admin sees and changes: servers, clients, limits, log and idle exit."""

from typing import TYPE_CHECKING, Any

from splitvirt.api import admin
from splitvirt.api.errors import InternalError, InvalidArg, NoClient, NoServer
from splitvirt.api.params import TypedParam, values

if TYPE_CHECKING:
    from splitvirt.daemon.life import Daemon
    from splitvirt.rpc.peer import Peer
    from splitvirt.rpc.server import Server

LIBVIRT_VERSION = 9_000_000
"""The release of libvirt whose interface is spoken."""
_UNIX = 0  # VIR_CLIENT_TRANS_UNIX
_THREADPOOL = {"minWorkers": "min_workers", "maxWorkers": "max_workers", "prioWorkers": "prio_workers"}
_CLIENTS = {
    "nclients_max": "max_clients",
    "nclients_unauth_max": "max_anonymous_clients",
    "nclients_user_max": "max_user_clients",
    "nclients_unauth_user_max": "max_user_anonymous_clients",
}  # those of one user are ours: virt-admin shows them, and its API sets them


class Administration(admin.Admin):
    """A running daemon under the admin contract."""

    def __init__(self, daemon: "Daemon"):
        self.daemon = daemon

    async def lib_version(self) -> int:
        return LIBVIRT_VERSION

    async def servers(self, flags: int = 0) -> list[admin.Server]:
        return [AdminServer(server) for server in self.daemon.servers.values()]

    async def server_by_name(self, name: str, flags: int = 0) -> admin.Server:
        if name not in self.daemon.servers:
            raise NoServer(f"No server named '{name}'")
        return AdminServer(self.daemon.servers[name])

    async def log_outputs(self, flags: int = 0) -> admin.LogOutputs:
        outputs = self.daemon.log.outputs
        return admin.LogOutputs(outputs, len(outputs.split()))

    async def log_filters(self, flags: int = 0) -> admin.LogFilters:
        filters = self.daemon.log.filters
        return admin.LogFilters(filters or None, len(filters.split()))

    async def set_log_outputs(self, outputs: str | None, flags: int = 0) -> None:
        self.daemon.log.set_outputs(outputs or "")

    async def set_log_filters(self, filters: str | None, flags: int = 0) -> None:
        self.daemon.log.set_filters(filters or "")

    async def set_timeout(self, seconds: int, flags: int = 0) -> None:
        self.daemon.set_timeout(seconds)


class AdminServer(admin.Server):
    """One of its servers."""

    def __init__(self, server: "Server"):
        self.server = server
        self.name = server.name

    async def threadpool(self, flags: int = 0) -> list[TypedParam]:
        limits, busy = self.server.limits, self.server.busy
        workers = min(max(busy, limits.min_workers), limits.max_workers)
        return [
            TypedParam.uint("minWorkers", limits.min_workers),
            TypedParam.uint("maxWorkers", limits.max_workers),
            TypedParam.uint("nWorkers", workers),
            TypedParam.uint("freeWorkers", max(workers - busy, 0)),
            TypedParam.uint("prioWorkers", limits.prio_workers),
            TypedParam.uint("jobQueueDepth", self.server.queued),
        ]

    async def set_threadpool(self, params: list[TypedParam], flags: int = 0) -> None:
        given = _known(params, _THREADPOOL)
        limits = self.server.limits
        if given.get("min_workers", limits.min_workers) > given.get("max_workers", limits.max_workers):
            raise InvalidArg("minWorkers cannot be larger than maxWorkers")
        if given.get("max_workers") == 0:
            raise InvalidArg("maxWorkers must be at least 1")
        self.server.set_limits(**given)

    async def update_tls_files(self, flags: int = 0) -> None:
        raise InternalError("no tls service found, unable to update tls files")

    async def clients(self, flags: int = 0) -> list[admin.Client]:
        return [AdminClient(self, peer) for peer in self.server.peers.values()]

    async def client_by_id(self, id: int, flags: int = 0) -> admin.Client:
        if id not in self.server.peers:
            raise NoClient(f"No client with matching ID '{id}'")
        return AdminClient(self, self.server.peers[id])

    async def client_limits(self, flags: int = 0) -> list[TypedParam]:
        limits = self.server.limits
        return [
            TypedParam.uint("nclients_max", limits.max_clients),
            TypedParam.uint("nclients", len(self.server.peers)),
            TypedParam.uint("nclients_unauth_max", limits.max_anonymous_clients),
            TypedParam.uint("nclients_unauth", len(self.server.unproved)),
            TypedParam.uint("nclients_user_max", limits.user_clients),
            TypedParam.uint("nclients_unauth_user_max", limits.user_anonymous_clients),
        ]

    async def set_client_limits(self, params: list[TypedParam], flags: int = 0) -> None:
        given = _known(params, _CLIENTS)
        limits = self.server.limits
        most = given.get("max_clients", limits.max_clients)
        if most < 1 or given.get("max_anonymous_clients", limits.max_anonymous_clients) > most:
            raise InvalidArg("nclients_max must be at least 1 and not smaller than nclients_unauth_max")
        self.server.set_limits(**given)


class AdminClient(admin.Client):
    """One of a server's clients."""

    def __init__(self, server: AdminServer, peer: "Peer"):
        self.server, self.peer = server, peer
        self.id, self.timestamp, self.transport = peer.number, int(peer.since), _UNIX

    async def info(self, flags: int = 0) -> list[TypedParam]:
        who: Any = self.peer.identity
        found = [
            TypedParam.boolean("readonly", self.peer.readonly),
            TypedParam.int_("unix_user_id", who.uid),
            TypedParam.string("unix_user_name", who.user),
            TypedParam.int_("unix_group_id", who.gid),
            TypedParam.string("unix_group_name", who.group),
            TypedParam.int_("unix_process_id", who.pid),
        ]
        return found + ([TypedParam.string("selinux_context", who.selinux)] if who.selinux else [])

    async def close(self, flags: int = 0) -> None:
        self.peer.disconnect("an administrator closed the connection")


def _known(params: list[TypedParam], names: dict[str, str]) -> dict[str, int]:
    """Limits by our names; InvalidArg for a parameter that cannot be set or is no number."""
    found = {}
    for name, value in values(params).items():
        if name not in names or not isinstance(value, int):
            raise InvalidArg(f"{name} cannot be set, only {', '.join(names)}")
        found[names[name]] = value
    return found
