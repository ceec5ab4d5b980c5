# mypy: disable-error-code="empty-body"
"""Virtual networks, and the ports that guests hold on them."""

from collections.abc import Sequence
from typing import Annotated, Any

from . import constants as c
from .call import Older, call
from .errors import NoNetwork
from .event import event
from .host import Connection
from .record import Object, Record, wire
from .shape import Length, Listing, Names, Room
from .types import I32, I64, U32, Bool, OptStr, Params16, Str, Uuid
from .wire import Many


class Lease(Record):
    """A DHCP lease: ends so many seconds after 1970 (0: never); address family VIR_IP_ADDR_TYPE_*."""

    MEANINGS = {"type": "VIR_IP_ADDR_TYPE_"}
    interface: Str
    expires: I64
    type: I32
    mac: OptStr
    iaid: OptStr
    address: Str
    prefix: U32
    hostname: OptStr
    client_id: OptStr


class Network(Object):
    """A virtual network."""

    KIND, XDR, BUS = "network", "remote_nonnull_network", "org.libvirt.Network"
    PROPS = {"Name": ("name", "s"), "UUID": ("uuid", "s")}
    name: Str
    uuid: Uuid

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The network of that UUID."""
        try:
            return await root.network_by_uuid(ref.uuid)
        except NoNetwork as error:
            name = getattr(ref, "name", "")
            if not name:
                raise
            raise NoNetwork(f"no network with matching uuid '{ref.uuid}' ({name})", domain=error.domain) from None

    @call("virNetworkCreate", rpc=39, acl="network:start", dbus="Create")
    async def create(self) -> None:
        """Start a defined network."""

    @call("virNetworkDestroy", rpc=42, acl="network:stop", high=True, dbus="Destroy")
    async def destroy(self) -> None:
        """Stop it."""

    @call("virNetworkUndefine", rpc=49, acl="network:delete", high=True, dbus="Undefine")
    async def undefine(self) -> None:
        """Forget its configuration. A running one becomes transient."""

    @call(
        "virNetworkUpdate",
        rpc=291,
        acl=(
            "network:write",
            "network:save:!VIR_NETWORK_UPDATE_AFFECT_CONFIG|VIR_NETWORK_UPDATE_AFFECT_LIVE",
            "network:save:VIR_NETWORK_UPDATE_AFFECT_CONFIG",
        ),
        high=True,
        dbus="Update",
    )
    async def update(self, command: U32, section: U32, index: I32, xml: Str, flags: U32 = 0) -> None:
        """Change one entry of a section (VIR_NETWORK_UPDATE_COMMAND_*, VIR_NETWORK_SECTION_*), live or kept or both."""

    @call("virNetworkGetXMLDesc", rpc=43, acl="network:read", high=True, dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its configuration (VIR_NETWORK_XML_INACTIVE: as it will be at the next start)."""

    @call("virNetworkGetBridgeName", rpc=45, acl="network:read", high=True)
    async def bridge_name(self) -> Str:
        """The host's bridge that it uses."""

    @call("virNetworkGetAutostart", rpc=44, acl="network:read", high=True, prop="Autostart")
    async def autostart(self) -> Bool:
        """Whether it starts with the daemon."""

    @call("virNetworkSetAutostart", rpc=48, acl="network:write", high=True, prop="Autostart")
    async def set_autostart(self, autostart: Bool) -> None:
        """Have it start with the daemon, or not."""

    @call("virNetworkIsActive", rpc=152, acl="network:read", high=True, prop="Active")
    async def is_active(self) -> Bool:
        """Whether it is started."""

    @call("virNetworkIsPersistent", rpc=153, acl="network:read", high=True, prop="Persistent")
    async def is_persistent(self) -> Bool:
        """Whether its configuration outlives it."""

    @call("virNetworkGetDHCPLeases", rpc=341, acl="network:read", dbus="GetDHCPLeases", shape=Listing())
    async def leases(self, mac: OptStr = None, flags: U32 = 0) -> Annotated[list[Lease], Many(wire(Lease), 65536)]:
        """Its DHCP leases, or those of one MAC address."""

    @call(
        "virNetworkListAllPorts",
        rpc=404,
        acl="network:search_ports",
        filter="network_port:getattr",
        high=True,
        shape=Listing(),
    )
    async def ports(self, flags: U32 = 0) -> "Sequence[Port]":
        """The ports that guests hold on it."""

    @call("virNetworkPortLookupByUUID", rpc=405, acl="network_port:getattr", high=True)
    async def port_by_uuid(self, uuid: Uuid) -> "Port":
        """The port of that UUID. NoNetworkPort where there is none."""

    @call("virNetworkPortCreateXML", rpc=406, acl="network_port:create")
    async def create_port(self, xml: Str, flags: U32 = 0) -> "Port":
        """Give a guest's interface a place on it (VIR_NETWORK_PORT_CREATE_*)."""

    @event(rpc=315, id=0, dbus="NetworkEvent", on_root=True, off_bus=("detail",))
    def lifecycle(self, event: I32, detail: I32) -> None:
        """It was defined, undefined, started or stopped (VIR_NETWORK_EVENT_*)."""


class Port(Object):
    """The place of one guest's interface on a network."""

    KIND, XDR = "network_port", "remote_nonnull_network_port"
    network: Network
    uuid: Uuid

    @property
    def owner(self) -> Object | None:
        """Its network."""
        return self.network

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The port of that UUID, of the network that is meant."""
        network = await Network.find(root, ref.network)
        return await network.port_by_uuid(ref.uuid)

    @call("virNetworkPortGetXMLDesc", rpc=409, acl="network_port:read")
    async def xml(self, flags: U32 = 0) -> Str:
        """Where it was placed, and how."""

    @call("virNetworkPortGetParameters", rpc=407, acl="network_port:read", shape=Room(heeded=False))
    async def params(self, flags: U32 = 0) -> Params16:
        """Its bandwidth; rates in KiB/s, bursts in KiB."""

    @call("virNetworkPortSetParameters", rpc=408, acl="network_port:write")
    async def set_params(self, params: Params16, flags: U32 = 0) -> None:
        """Limit its bandwidth; rates in KiB/s, bursts in KiB."""

    @call("virNetworkPortDelete", rpc=410, acl="network_port:delete")
    async def delete(self, flags: U32 = 0) -> None:
        """Give it back."""


class Networks(Connection):
    """The networks of a host."""

    OBJECTS = (Network, Port)

    @call(
        "virNetworkDefineXMLFlags",
        rpc=432,
        acl=("network:write", "network:save"),
        high=True,
        dbus="NetworkDefineXML",
        off_bus=["flags"],
        older=[Older(41, flags=0)],
    )
    async def define(self, xml: Str, flags: U32 = 0) -> Network:
        """Keep a network's configuration, or change it, without starting it (VIR_NETWORK_DEFINE_*)."""

    @call(
        "virNetworkCreateXMLFlags",
        rpc=437,
        acl=("network:write", "network:start"),
        high=True,
        dbus="NetworkCreateXML",
        off_bus=["flags"],
        older=[Older(40, high=False, flags=0)],
    )
    async def create(self, xml: Str, flags: U32 = 0) -> Network:
        """Start a network from XML, without keeping its configuration (VIR_NETWORK_CREATE_*)."""

    @call("virNetworkLookupByName", rpc=46, acl="network:getattr", high=True, dbus="NetworkLookupByName")
    async def network_by_name(self, name: Str) -> Network:
        """The network of that name. NoNetwork where there is none."""

    @call("virNetworkLookupByUUID", rpc=47, acl="network:getattr", high=True, dbus="NetworkLookupByUUID")
    async def network_by_uuid(self, uuid: Uuid) -> Network:
        """The network of that UUID. NoNetwork where there is none."""

    @call(
        "virConnectListAllNetworks",
        rpc=283,
        acl="connect:search_networks",
        filter="network:getattr",
        high=True,
        dbus="ListNetworks",
        shape=Listing(),
        older=[
            Older(52, shape=Length(), flags=c.VIR_CONNECT_LIST_NETWORKS_ACTIVE),
            Older(38, shape=Names(), flags=c.VIR_CONNECT_LIST_NETWORKS_ACTIVE),
            Older(50, shape=Length(), flags=c.VIR_CONNECT_LIST_NETWORKS_INACTIVE),
            Older(36, shape=Names(), flags=c.VIR_CONNECT_LIST_NETWORKS_INACTIVE),
        ],
    )
    async def networks(self, flags: U32 = 0) -> Sequence[Network]:
        """Its networks; VIR_CONNECT_LIST_NETWORKS_* say which, any of each group."""
