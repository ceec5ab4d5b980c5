# mypy: disable-error-code="empty-body"
"""Interfaces of the host, as its own network configuration has them."""

from collections.abc import Sequence
from typing import Any

from . import constants as c
from .call import Older, call
from .host import Connection
from .record import Object
from .shape import Length, Listing, Names
from .types import U32, Bool, Str


class Interface(Object):
    """An interface of the host."""

    KIND, XDR, BUS = "interface", "remote_nonnull_interface", "org.libvirt.Interface"
    PROPS = {"MAC": ("mac", "s"), "Name": ("name", "s")}
    name: Str
    mac: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The interface of that name."""
        return await root.interface_by_name(ref.name)

    @call("virInterfaceGetXMLDesc", rpc=130, acl="interface:read", dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its configuration (VIR_INTERFACE_XML_INACTIVE: as it will be at the next start)."""

    @call("virInterfaceUndefine", rpc=132, acl="interface:delete", high=True, dbus="Undefine")
    async def undefine(self) -> None:
        """Forget its configuration."""

    @call("virInterfaceCreate", rpc=133, acl="interface:start", dbus="Create")
    async def create(self, flags: U32 = 0) -> None:
        """Bring it up."""

    @call("virInterfaceDestroy", rpc=134, acl="interface:stop", high=True, dbus="Destroy")
    async def destroy(self, flags: U32 = 0) -> None:
        """Bring it down."""

    @call("virInterfaceIsActive", rpc=156, acl="interface:read", high=True, prop="Active")
    async def is_active(self) -> Bool:
        """Whether it is up."""


class Interfaces(Connection):
    """The interfaces of a host."""

    OBJECTS = (Interface,)

    @call(
        "virConnectListAllInterfaces",
        rpc=284,
        acl="connect:search_interfaces",
        filter="interface:getattr",
        high=True,
        dbus="ListInterfaces",
        shape=Listing(),
        older=[
            Older(126, shape=Length(), flags=c.VIR_CONNECT_LIST_INTERFACES_ACTIVE),
            Older(127, shape=Names(), flags=c.VIR_CONNECT_LIST_INTERFACES_ACTIVE),
            Older(137, shape=Length(), flags=c.VIR_CONNECT_LIST_INTERFACES_INACTIVE),
            Older(138, shape=Names(), flags=c.VIR_CONNECT_LIST_INTERFACES_INACTIVE),
        ],
    )
    async def interfaces(self, flags: U32 = 0) -> Sequence[Interface]:
        """Its interfaces; VIR_CONNECT_LIST_INTERFACES_* say which."""

    @call("virInterfaceLookupByName", rpc=128, acl="interface:getattr", high=True, dbus="InterfaceLookupByName")
    async def interface_by_name(self, name: Str) -> Interface:
        """The interface of that name. NoInterface where there is none."""

    @call("virInterfaceLookupByMACString", rpc=129, acl="interface:getattr", high=True, dbus="InterfaceLookupByMAC")
    async def interface_by_mac(self, mac: Str) -> Interface:
        """The interface of that MAC address. NoInterface where there is none."""

    @call(
        "virInterfaceDefineXML",
        rpc=131,
        acl=("interface:write", "interface:save"),
        high=True,
        dbus="InterfaceDefineXML",
    )
    async def define(self, xml: Str, flags: U32 = 0) -> Interface:
        """Keep an interface's configuration, or change it."""

    @call("virInterfaceChangeBegin", rpc=220, acl="connect:interface_transaction", dbus="InterfaceChangeBegin")
    async def change_begin(self, flags: U32 = 0) -> None:
        """Remember the configuration as it is."""

    @call("virInterfaceChangeCommit", rpc=221, acl="connect:interface_transaction", dbus="InterfaceChangeCommit")
    async def change_commit(self, flags: U32 = 0) -> None:
        """Forget what was remembered."""

    @call("virInterfaceChangeRollback", rpc=222, acl="connect:interface_transaction", dbus="InterfaceChangeRollback")
    async def change_rollback(self, flags: U32 = 0) -> None:
        """Put back what was remembered."""
