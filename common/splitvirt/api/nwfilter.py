# mypy: disable-error-code="empty-body"
"""Network filters, and to which guest's interfaces they are bound."""

from collections.abc import Sequence
from typing import Any

from .call import Older, call
from .host import Connection
from .record import Object
from .shape import Length, Listing, Names
from .types import U32, Str, Uuid


class NWFilter(Object):
    """A network filter."""

    KIND, XDR, BUS = "nwfilter", "remote_nonnull_nwfilter", "org.libvirt.NWFilter"
    PROPS = {"Name": ("name", "s"), "UUID": ("uuid", "s")}
    name: Str
    uuid: Uuid

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The filter of that UUID."""
        return await root.filter_by_uuid(ref.uuid)

    @call("virNWFilterGetXMLDesc", rpc=177, acl="nwfilter:read", high=True, dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its rules."""

    @call("virNWFilterUndefine", rpc=181, acl="nwfilter:delete", high=True, dbus="Undefine")
    async def undefine(self) -> None:
        """Forget it."""


class NWFilterBinding(Object):
    """A filter bound to the host's end of a guest's interface."""

    KIND, XDR = "nwfilter_binding", "remote_nonnull_nwfilter_binding"
    device: Str
    filter: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """What is bound to that device."""
        return await root.binding_by_device(ref.device)

    @call("virNWFilterBindingGetXMLDesc", rpc=398, acl="nwfilter_binding:read", high=True)
    async def xml(self, flags: U32 = 0) -> Str:
        """Its description."""

    @call("virNWFilterBindingDelete", rpc=400, acl="nwfilter_binding:delete", high=True)
    async def delete(self) -> None:
        """Take the filter off."""


class NWFilters(Connection):
    """The network filters of a host."""

    OBJECTS = (NWFilter, NWFilterBinding)

    @call(
        "virConnectListAllNWFilters",
        rpc=286,
        acl="connect:search_nwfilters",
        filter="nwfilter:getattr",
        high=True,
        dbus="ListNWFilters",
        shape=Listing(),
        older=[
            Older(178, shape=Length(), flags=0),
            Older(179, shape=Names(), flags=0),
        ],
    )
    async def filters(self, flags: U32 = 0) -> Sequence[NWFilter]:
        """All filters."""

    @call("virNWFilterLookupByName", rpc=175, acl="nwfilter:getattr", high=True, dbus="NWFilterLookupByName")
    async def filter_by_name(self, name: Str) -> NWFilter:
        """The filter of that name. NoNWFilter where there is none."""

    @call("virNWFilterLookupByUUID", rpc=176, acl="nwfilter:getattr", high=True, dbus="NWFilterLookupByUUID")
    async def filter_by_uuid(self, uuid: Uuid) -> NWFilter:
        """The filter of that UUID. NoNWFilter where there is none."""

    @call(
        "virNWFilterDefineXMLFlags",
        rpc=431,
        acl=("nwfilter:write", "nwfilter:save"),
        high=True,
        dbus="NWFilterDefineXML",
        off_bus=["flags"],
        older=[Older(180, flags=0)],
    )
    async def define(self, xml: Str, flags: U32 = 0) -> NWFilter:
        """Keep a filter, or change it."""

    @call(
        "virConnectListAllNWFilterBindings",
        rpc=401,
        acl="connect:search_nwfilter_bindings",
        filter="nwfilter_binding:getattr",
        high=True,
        shape=Listing(),
    )
    async def bindings(self, flags: U32 = 0) -> Sequence[NWFilterBinding]:
        """All bindings."""

    @call("virNWFilterBindingLookupByPortDev", rpc=397, acl="nwfilter_binding:getattr", high=True)
    async def binding_by_device(self, device: Str) -> NWFilterBinding:
        """What is bound to that device. NoNWFilterBinding where nothing is."""

    @call("virNWFilterBindingCreateXML", rpc=399, acl="nwfilter_binding:create", high=True)
    async def bind(self, xml: Str, flags: U32 = 0) -> NWFilterBinding:
        """Bind a filter."""
