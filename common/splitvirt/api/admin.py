# mypy: disable-error-code="empty-body"
"""The admin interface of a daemon: its servers, their threads and clients, logging, idle exit."""

from collections.abc import Sequence
from typing import Any

from .call import call
from .record import Object, Record
from .shape import Listing
from .types import I64, U32, U64, AdminParams32, AdminParams64, OptStr, Str


class LogOutputs(Record):
    """Where the log goes, in libvirt's notation ("1:journald 3:file:/path"), and to how many places."""

    outputs: Str
    count: U32


class LogFilters(Record):
    """Which parts log at which level, in libvirt's notation ("1:rpc 3:qemu"), and how many are named."""

    filters: OptStr
    count: U32


class Server(Object):
    """One of a daemon's servers: that of its ordinary sockets, or that of its admin socket."""

    KIND, XDR = "server", "admin_nonnull_server"
    name: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The server of that name."""
        return await root.server_by_name(ref.name)

    @call("virAdmServerGetThreadPoolParameters", rpc=6, acl=(), program="admin")
    async def threadpool(self, flags: U32 = 0) -> AdminParams32:
        """Workers: minWorkers, maxWorkers, nWorkers, freeWorkers, prioWorkers, jobQueueDepth."""

    @call("virAdmServerSetThreadPoolParameters", rpc=7, acl=(), program="admin")
    async def set_threadpool(self, params: AdminParams32, flags: U32 = 0) -> None:
        """Set minWorkers, maxWorkers, prioWorkers."""

    @call("virAdmServerListClients", rpc=8, acl=(), program="admin", shape=Listing())
    async def clients(self, flags: U32 = 0) -> "Sequence[Client]":
        """Who is connected."""

    @call("virAdmServerLookupClient", rpc=9, acl=(), program="admin")
    async def client_by_id(self, id: U64, flags: U32 = 0) -> "Client":
        """The client of that number. NoClient where there is none."""

    @call("virAdmServerGetClientLimits", rpc=12, acl=(), program="admin")
    async def client_limits(self, flags: U32 = 0) -> AdminParams32:
        """Clients: nclients_max, nclients, nclients_unauth_max, nclients_unauth."""

    @call("virAdmServerSetClientLimits", rpc=13, acl=(), program="admin")
    async def set_client_limits(self, params: AdminParams32, flags: U32 = 0) -> None:
        """Set nclients_max, nclients_unauth_max."""

    @call("virAdmServerUpdateTlsFiles", rpc=18, acl=(), program="admin")
    async def update_tls_files(self, flags: U32 = 0) -> None:
        """Read the TLS certificates again."""


class Client(Object):
    """A connected client: since when (seconds from 1970), over what (VIR_CLIENT_TRANS_*)."""

    KIND, XDR = "client", "admin_nonnull_client"
    server: Server
    id: U64
    timestamp: I64
    transport: U32

    @property
    def owner(self) -> Object | None:
        """Its server."""
        return self.server

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The client of that number, of the server that is meant."""
        server = await Server.find(root, ref.server)
        return await server.client_by_id(ref.id)

    @call("virAdmClientGetInfo", rpc=10, acl=(), program="admin")
    async def info(self, flags: U32 = 0) -> AdminParams64:
        """Who it is: readonly, unix_user_id, unix_user_name, unix_group_id, unix_process_id ..."""

    @call("virAdmClientClose", rpc=11, acl=(), program="admin")
    async def close(self, flags: U32 = 0) -> None:
        """Disconnect it."""


class Admin:
    """A daemon, as its administrator sees it."""

    KIND = "connect"
    OBJECTS = (Server, Client)

    @call("virAdmConnectGetLibVersion", rpc=3, acl=(), program="admin")
    async def lib_version(self) -> U64:
        """The version of libvirt's interface that is spoken: major * 1,000,000 + minor * 1,000 + release."""

    @call("virAdmConnectListServers", rpc=4, acl=(), program="admin", shape=Listing())
    async def servers(self, flags: U32 = 0) -> Sequence[Server]:
        """Its servers."""

    @call("virAdmConnectLookupServer", rpc=5, acl=(), program="admin")
    async def server_by_name(self, name: Str, flags: U32 = 0) -> Server:
        """The server of that name. NoServer where there is none."""

    @call("virAdmConnectGetLoggingOutputs", rpc=14, acl=(), program="admin")
    async def log_outputs(self, flags: U32 = 0) -> LogOutputs:
        """Where the log goes."""

    @call("virAdmConnectSetLoggingOutputs", rpc=16, acl=(), program="admin")
    async def set_log_outputs(self, outputs: OptStr, flags: U32 = 0) -> None:
        """Say where the log goes; None or "": to the usual place."""

    @call("virAdmConnectGetLoggingFilters", rpc=15, acl=(), program="admin")
    async def log_filters(self, flags: U32 = 0) -> LogFilters:
        """Which parts log at which level."""

    @call("virAdmConnectSetLoggingFilters", rpc=17, acl=(), program="admin")
    async def set_log_filters(self, filters: OptStr, flags: U32 = 0) -> None:
        """Say which parts log at which level; None or "": none apart from the rest."""

    @call("virAdmConnectSetDaemonTimeout", rpc=19, acl=(), program="admin")
    async def set_timeout(self, seconds: U32, flags: U32 = 0) -> None:
        """Have it leave after so many seconds without anything to do; 0: never."""
