# mypy: disable-error-code="empty-body"
"""Devices of the host."""

from collections.abc import Sequence
from typing import Annotated, Any

from .call import Older, call
from .event import event
from .host import Connection
from .record import Object
from .shape import Length, Listing, Room
from .types import I32, U32, Bool, OptStr, Str
from .wire import Many, String


class NodeDevice(Object):
    """A device of the host."""

    KIND, XDR, BUS = "node_device", "remote_nonnull_node_device", "org.libvirt.NodeDevice"
    PROPS = {"Name": ("name", "s")}
    LIST_MAX = 65536
    name: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The device of that name."""
        return await root.device_by_name(ref.name)

    @call("virNodeDeviceGetXMLDesc", rpc=114, acl="node_device:read", dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its description (VIR_NODE_DEVICE_XML_*)."""

    @call("virNodeDeviceGetParent", rpc=115, acl="node_device:read", high=True, prop="Parent")
    async def parent(self) -> OptStr:
        """The name of the device that it hangs on; None at the top."""

    @call(
        "virNodeDeviceListCaps",
        rpc=117,
        acl="node_device:read",
        high=True,
        dbus="ListCaps",
        shape=Room("maxnames", at=None, total=False),
        older=[Older(116, shape=Length())],
    )
    async def caps(self) -> Annotated[list[str], Many(String(), 65536)]:
        """What it can do."""

    @call(
        "virNodeDeviceDetachFlags",
        rpc=301,
        acl="node_device:detach",
        dbus="Detach",
        older=[Older(118, driver=None, flags=0)],
    )
    async def detach(self, driver: OptStr = None, flags: U32 = 0) -> None:
        """Take it from the host's driver, for a guest; `driver`: "vfio", None for the usual."""

    @call("virNodeDeviceReAttach", rpc=119, acl="node_device:detach", dbus="ReAttach")
    async def reattach(self) -> None:
        """Give it back to the host's driver."""

    @call("virNodeDeviceReset", rpc=120, acl="node_device:detach", dbus="Reset")
    async def reset(self) -> None:
        """Reset it."""

    @call("virNodeDeviceDestroy", rpc=124, acl="node_device:stop", high=True, dbus="Destroy")
    async def destroy(self) -> None:
        """Stop a virtual device."""

    @call("virNodeDeviceUndefine", rpc=429, acl="node_device:delete", high=True)
    async def undefine(self, flags: U32 = 0) -> None:
        """Forget the configuration of a virtual device."""

    @call("virNodeDeviceCreate", rpc=430, acl="node_device:start", high=True)
    async def create(self, flags: U32 = 0) -> None:
        """Start a defined virtual device."""

    @call("virNodeDeviceGetAutostart", rpc=433, acl="node_device:read", high=True)
    async def autostart(self) -> Bool:
        """Whether it starts with its parent."""

    @call("virNodeDeviceSetAutostart", rpc=434, acl="node_device:write", high=True)
    async def set_autostart(self, autostart: Bool) -> None:
        """Have it start with its parent, or not."""

    @call("virNodeDeviceIsPersistent", rpc=435, acl="node_device:read", high=True)
    async def is_persistent(self) -> Bool:
        """Whether its configuration outlives it."""

    @call("virNodeDeviceIsActive", rpc=436, acl="node_device:read", high=True)
    async def is_active(self) -> Bool:
        """Whether it is there."""

    @event(rpc=376, id=0, dbus="NodeDeviceEvent", on_root=True)
    def lifecycle(self, event: I32, detail: I32) -> None:
        """It came, went, was defined or undefined (VIR_NODE_DEVICE_EVENT_*)."""

    @event(rpc=377, id=1)
    def updated(self) -> None:
        """Its description changed."""


class NodeDevices(Connection):
    """The devices of a host."""

    OBJECTS = (NodeDevice,)

    @call(
        "virConnectListAllNodeDevices",
        rpc=285,
        acl="connect:search_node_devices",
        filter="node_device:getattr",
        high=True,
        dbus="ListNodeDevices",
        shape=Listing(),
    )
    async def devices(self, flags: U32 = 0) -> Sequence[NodeDevice]:
        """Its devices; VIR_CONNECT_LIST_NODE_DEVICES_* say which."""

    @call(
        "virNodeListDevices",
        rpc=112,
        acl="connect:search_node_devices",
        filter="node_device:getattr",
        high=True,
        shape=Room("maxnames", total=False),
        older=[Older(111, shape=Length())],
    )
    async def devices_with(self, capability: OptStr = None, flags: U32 = 0) -> Sequence[NodeDevice]:
        """Its devices with a capability; None: all."""

    @call("virNodeDeviceLookupByName", rpc=113, acl="node_device:getattr", high=True, dbus="NodeDeviceLookupByName")
    async def device_by_name(self, name: Str) -> NodeDevice:
        """The device of that name. NoNodeDevice where there is none."""

    @call(
        "virNodeDeviceLookupSCSIHostByWWN",
        rpc=297,
        acl="node_device:getattr",
        high=True,
        dbus="NodeDeviceLookupSCSIHostByWWN",
    )
    async def scsi_host_by_wwn(self, wwnn: Str, wwpn: Str, flags: U32 = 0) -> NodeDevice:
        """The SCSI host of those world-wide names. NoNodeDevice where there is none."""

    @call("virNodeDeviceCreateXML", rpc=123, acl=("node_device:write", "node_device:start"), dbus="NodeDeviceCreateXML")
    async def create(self, xml: Str, flags: U32 = 0) -> NodeDevice:
        """Make a virtual device, without keeping its configuration."""

    @call("virNodeDeviceDefineXML", rpc=428, acl="node_device:write")
    async def define(self, xml: Str, flags: U32 = 0) -> NodeDevice:
        """Keep a virtual device's configuration."""
