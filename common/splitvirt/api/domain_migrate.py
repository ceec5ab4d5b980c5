# mypy: disable-error-code="empty-body"
"""Moving a running domain to another host: five steps that a client leads, in four generations of the protocol."""

from . import domain as domains
from .call import call
from .record import Record
from .stream import Stream
from .types import I32, U32, U64, Cookie, OptStr, Params64, Str


class Prepared(Record):
    """What the source is to send on, and where to."""

    cookie: Cookie
    uri: OptStr


class Begun(Record):
    """What the target is to be sent, and the domain's configuration for it."""

    cookie: Cookie
    xml: Str


class Arrived(Record):
    """The domain that arrived, and what the source is to be told."""

    domain: "domains.Domain"
    cookie: Cookie


class Departure:
    """The steps at the source, and their limits."""

    @call("virDomainMigrateBegin3", rpc=213, acl="domain:migrate")
    async def migrate_begin(self, xml: OptStr, flags: U64, name: OptStr, bandwidth: U64) -> Begun:
        """First step, at the source; bandwidth in MiB/s, 0 for no limit."""

    @call("virDomainMigrateBegin3Params", rpc=302, acl="domain:migrate")
    async def migrate_begin_params(self, params: Params64, flags: U32 = 0) -> Begun:
        """First step, at the source."""

    @call("virDomainMigratePerform", rpc=62, acl="domain:migrate")
    async def migrate_perform1(self, cookie: Cookie, uri: Str, flags: U64, name: OptStr, bandwidth: U64) -> None:
        """Send the guest's memory, in the first generation."""

    @call("virDomainMigratePerform3", rpc=216, acl="domain:migrate")
    async def migrate_perform(
        self, xml: OptStr, cookie: Cookie, connect: OptStr, uri: OptStr, flags: U64, name: OptStr, bandwidth: U64
    ) -> Cookie:
        """Third step, at the source: send the guest's memory."""

    @call("virDomainMigratePerform3Params", rpc=305, acl="domain:migrate")
    async def migrate_perform_params(self, connect: OptStr, params: Params64, cookie: Cookie, flags: U32 = 0) -> Cookie:
        """Third step, at the source: send the guest's memory."""

    @call("virDomainMigrateConfirm3", rpc=218, acl="domain:migrate")
    async def migrate_confirm(self, cookie: Cookie, flags: U64, cancelled: I32) -> None:
        """Last step, at the source: let go of the guest, or take it back."""

    @call("virDomainMigrateConfirm3Params", rpc=307, acl="domain:migrate")
    async def migrate_confirm_params(self, params: Params64, cookie: Cookie, flags: U32, cancelled: I32) -> None:
        """Last step, at the source: let go of the guest, or take it back."""

    @call("virDomainMigrateSetMaxDowntime", rpc=166, acl="domain:migrate", dbus="MigrateSetMaxDowntime")
    async def migrate_set_max_downtime(self, downtime: U64, flags: U32 = 0) -> None:
        """How many milliseconds the guest may stand still."""

    @call("virDomainMigrateGetMaxDowntime", rpc=387, acl="domain:migrate")
    async def migrate_max_downtime(self, flags: U32 = 0) -> U64:
        """How many milliseconds the guest may stand still."""

    @call("virDomainMigrateSetMaxSpeed", rpc=207, acl="domain:migrate", dbus="MigrateSetMaxSpeed")
    async def migrate_set_max_speed(self, bandwidth: U64, flags: U32 = 0) -> None:
        """How many MiB/s may be sent."""

    @call("virDomainMigrateGetMaxSpeed", rpc=242, acl="domain:migrate", dbus="MigrateGetMaxSpeed")
    async def migrate_max_speed(self, flags: U32 = 0) -> U64:
        """How many MiB/s may be sent."""

    @call("virDomainMigrateSetCompressionCache", rpc=300, acl="domain:migrate", dbus="MigrateSetCompressionCache")
    async def migrate_set_compression_cache(self, size: U64, flags: U32 = 0) -> None:
        """How many bytes the cache for repeatedly sent pages has."""

    @call("virDomainMigrateGetCompressionCache", rpc=299, acl="domain:migrate", dbus="MigrateGetCompressionCache")
    async def migrate_compression_cache(self, flags: U32 = 0) -> U64:
        """How many bytes the cache for repeatedly sent pages has."""

    @call("virDomainMigrateStartPostCopy", rpc=364, acl="domain:migrate", dbus="MigrateStartPostCopy")
    async def migrate_start_post_copy(self, flags: U32 = 0) -> None:
        """Let the guest run at the target now, and fetch what is missing when it is touched."""


class Arrival:
    """The steps at the target."""

    @call("virDomainMigratePrepare", rpc=61, acl=("domain:migrate", "domain:start", "domain:write"))
    async def migrate_prepare1(self, uri: OptStr, flags: U64, name: OptStr, bandwidth: U64) -> Prepared:
        """Make ready to receive, in the first generation."""

    @call("virDomainMigratePrepare2", rpc=108, acl=("domain:migrate", "domain:start", "domain:write"))
    async def migrate_prepare2(self, uri: OptStr, flags: U64, name: OptStr, bandwidth: U64, xml: Str) -> Prepared:
        """Make ready to receive, in the second generation."""

    @call("virDomainMigratePrepare3", rpc=214, acl=("domain:migrate", "domain:start", "domain:write"))
    async def migrate_prepare(
        self, cookie: Cookie, uri: OptStr, flags: U64, name: OptStr, bandwidth: U64, xml: Str
    ) -> Prepared:
        """Second step, at the target: make ready to receive."""

    @call("virDomainMigratePrepare3Params", rpc=303, acl=("domain:migrate", "domain:start", "domain:write"))
    async def migrate_prepare_params(self, params: Params64, cookie: Cookie, flags: U32 = 0) -> Prepared:
        """Second step, at the target: make ready to receive."""

    @call("virDomainMigratePrepareTunnel", rpc=148, acl=("domain:migrate", "domain:start", "domain:write"), stream="in")
    async def migrate_prepare_tunnel2(self, flags: U64, name: OptStr, bandwidth: U64, xml: Str, stream: Stream) -> None:
        """Make ready to receive through a stream, in the second generation."""

    @call(
        "virDomainMigratePrepareTunnel3", rpc=215, acl=("domain:migrate", "domain:start", "domain:write"), stream="in"
    )
    async def migrate_prepare_tunnel(
        self, cookie: Cookie, flags: U64, name: OptStr, bandwidth: U64, xml: Str, stream: Stream
    ) -> Cookie:
        """Second step, at the target: make ready to receive through a stream."""

    @call(
        "virDomainMigratePrepareTunnel3Params",
        rpc=304,
        acl=("domain:migrate", "domain:start", "domain:write"),
        stream="in",
    )
    async def migrate_prepare_tunnel_params(
        self, params: Params64, cookie: Cookie, flags: U32, stream: Stream
    ) -> Cookie:
        """Second step, at the target: make ready to receive through a stream."""

    @call("virDomainMigrateFinish", rpc=63, acl="domain:migrate")
    async def migrate_finish1(self, name: Str, cookie: Cookie, uri: Str, flags: U64) -> "domains.Domain":
        """Let the guest run, in the first generation."""

    @call("virDomainMigrateFinish2", rpc=109, acl="domain:migrate")
    async def migrate_finish2(self, name: Str, cookie: Cookie, uri: Str, flags: U64, code: I32) -> "domains.Domain":
        """Let the guest run, or give it up, in the second generation."""

    @call("virDomainMigrateFinish3", rpc=217, acl="domain:migrate")
    async def migrate_finish(
        self, name: Str, cookie: Cookie, connect: OptStr, uri: OptStr, flags: U64, cancelled: I32
    ) -> Arrived:
        """Fourth step, at the target: let the guest run, or give it up."""

    @call("virDomainMigrateFinish3Params", rpc=306, acl="domain:migrate")
    async def migrate_finish_params(self, params: Params64, cookie: Cookie, flags: U32, cancelled: I32) -> Arrived:
        """Fourth step, at the target: let the guest run, or give it up."""
