# mypy: disable-error-code="empty-body"
"""A hypervisor: its domains, and what it can do."""

from collections.abc import Sequence

from . import constants as c
from .call import Older, call
from .domain import Domain, DomainStats
from .domain_migrate import Arrival
from .host import Host
from .shape import Length, Listing, Names
from .snapshot import Checkpoint, Snapshot
from .types import I32, U32, Fds, OptStr, Params64, Str, Uuid


class Hypervisor(Host, Arrival):
    """A hypervisor, near or far."""

    OBJECTS = (Domain, Snapshot, Checkpoint)

    @call(
        "virDomainDefineXMLFlags",
        rpc=350,
        acl=("domain:write", "domain:save"),
        high=True,
        dbus="DomainDefineXML",
        off_bus=["flags"],
        older=[Older(11, flags=0)],
    )
    async def define(self, xml: Str, flags: U32 = 0) -> Domain:
        """Keep a domain's configuration, or change it, without starting it (VIR_DOMAIN_DEFINE_*)."""

    @call("virDomainCreateXML", rpc=10, acl=("domain:write", "domain:start"), dbus="DomainCreateXML")
    async def create(self, xml: Str, flags: U32 = 0) -> Domain:
        """Start a domain from XML, without keeping its configuration (VIR_DOMAIN_START_*)."""

    @call("virDomainCreateXMLWithFiles", rpc=309, acl=("domain:write", "domain:start"), dbus="DomainCreateXMLWithFiles")
    async def create_with_files(self, xml: Str, files: Fds, flags: U32 = 0) -> Domain:
        """As `create`, and hand it open files, as a container's init expects them."""

    @call("virDomainLookupByName", rpc=23, acl="domain:getattr", high=True, dbus="DomainLookupByName")
    async def domain_by_name(self, name: Str) -> Domain:
        """The domain of that name. NoDomain where there is none."""

    @call("virDomainLookupByUUID", rpc=24, acl="domain:getattr", high=True, dbus="DomainLookupByUUID")
    async def domain_by_uuid(self, uuid: Uuid) -> Domain:
        """The domain of that UUID. NoDomain where there is none."""

    @call("virDomainLookupByID", rpc=22, acl="domain:getattr", high=True, dbus="DomainLookupByID")
    async def domain_by_id(self, id: I32) -> Domain:
        """The running domain of that number. NoDomain where there is none."""

    @call(
        "virConnectListAllDomains",
        rpc=273,
        acl="connect:search_domains",
        filter="domain:getattr",
        high=True,
        dbus="ListDomains",
        shape=Listing(),
        older=[
            Older(51, shape=Length(), flags=c.VIR_CONNECT_LIST_DOMAINS_ACTIVE),
            Older(37, shape=Names("maxids", attribute="id"), flags=c.VIR_CONNECT_LIST_DOMAINS_ACTIVE),
            Older(25, shape=Length(), flags=c.VIR_CONNECT_LIST_DOMAINS_INACTIVE),
            Older(21, shape=Names(), flags=c.VIR_CONNECT_LIST_DOMAINS_INACTIVE),
        ],
    )
    async def domains(self, flags: U32 = 0) -> Sequence[Domain]:
        """Its domains; VIR_CONNECT_LIST_DOMAINS_* say which, any of each group."""

    @call(
        "virConnectGetAllDomainStats",
        rpc=344,
        acl="connect:search_domains",
        filter="domain:read",
        dbus="GetAllDomainStats",
        off_bus=["domains"],
    )
    async def stats(self, domains: list[Domain] = [], stats: U32 = 0, flags: U32 = 0) -> Sequence[DomainStats]:  # noqa: B006
        """Statistics in bulk (VIR_DOMAIN_STATS_*, 0: all) of these domains, or those that the flags say."""

    @call(
        "virDomainRestoreFlags",
        rpc=233,
        acl=("domain:start", "domain:write"),
        dbus="DomainRestore",
        older=[Older(54, xml=None, flags=0)],
    )
    async def restore(self, path: Str, xml: OptStr = None, flags: U32 = 0) -> None:
        """Start a domain from saved memory (VIR_DOMAIN_SAVE_*); `xml` replaces the configuration kept with it."""

    @call("virDomainRestoreParams", rpc=441, acl=("domain:start", "domain:write"))
    async def restore_params(self, params: Params64, flags: U32 = 0) -> None:
        """As `restore`, with the file and the rest as parameters."""

    @call("virDomainSaveImageGetXMLDesc", rpc=235, acl="domain:write", high=True, dbus="DomainSaveImageGetXMLDesc")
    async def save_image_xml(self, path: Str, flags: U32 = 0) -> Str:
        """The configuration kept with saved memory."""

    @call(
        "virDomainSaveImageDefineXML",
        rpc=236,
        acl=("domain:write", "domain:hibernate"),
        high=True,
        dbus="DomainSaveImageDefineXML",
    )
    async def save_image_define(self, path: Str, xml: Str, flags: U32 = 0) -> None:
        """Change the configuration kept with saved memory."""

    @call("virConnectGetDomainCapabilities", rpc=342, acl="connect:write", dbus="GetDomainCapabilities")
    async def domain_capabilities(
        self,
        emulator: OptStr = None,
        arch: OptStr = None,
        machine: OptStr = None,
        virt_type: OptStr = None,
        flags: U32 = 0,
    ) -> Str:
        """What a domain of that kind can have, as XML; None: the usual."""

    @call("virConnectDomainXMLFromNative", rpc=135, acl="connect:write")
    async def xml_from_native(self, format: Str, config: Str, flags: U32 = 0) -> Str:
        """A hypervisor's own configuration as domain XML."""

    @call("virConnectDomainXMLToNative", rpc=136, acl="connect:write")
    async def xml_to_native(self, format: Str, xml: Str, flags: U32 = 0) -> Str:
        """Domain XML as a hypervisor's own configuration: "qemu-argv" for QEMU's command line."""

    @call("virDomainQemuAttach", rpc=2, acl=("domain:start", "domain:write"), program="qemu")
    async def attach(self, pid: U32, flags: U32 = 0) -> Domain:
        """Take over a QEMU process that somebody else started."""
