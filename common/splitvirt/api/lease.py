# mypy: disable-error-code="empty-body"
"""Ports for anyone: a place on a network together with the open tap that is plugged into it, lent to a process."""

from typing import ClassVar

from .call import call
from .event import Hub, event
from .record import Object, Record
from .types import F64, I64, U32, Fds, Str


class LentPort(Record):
    """What a taker gets: the port, the device's name, and a descriptor per queue."""

    uuid: Str
    xml: Str
    device: Str
    fds: Fds


class Holding(Record):
    """Who holds a port: network, port, device, MAC address; user and process; since when (seconds after 1970)."""

    network: Str
    uuid: Str
    device: Str
    mac: Str
    user: Str
    uid: U32
    pid: I64
    command: Str
    bus_name: Str
    since: I64


class NetworkPorts:
    """Lends ports to whoever may have them, until they are given back or the taker is gone. Only on D-Bus."""

    KIND = "connect"
    BUS = "org.splitvirt.NetworkPort1"
    OBJECTS: ClassVar[tuple[type[Object], ...]] = ()
    events: Hub

    @call("org.splitvirt.NetworkPort1.Take", rpc=0, acl="none", dbus="Take")
    async def take(self, network: Str, xml: Str = "", queues: U32 = 1, flags: U32 = 0) -> LentPort:
        """Take a port on a running network.

        `xml` is a <networkport>, made up if empty. flags: 1 for a tap without the header that virtio wants. Raises
        OperationDenied, NoNetwork, OperationInvalid when the network does not run or the
        caller's quota is used up, and what the network itself refuses.
        """

    @call("org.splitvirt.NetworkPort1.Release", rpc=0, acl="none", dbus="Release")
    async def release(self, uuid: Str) -> None:
        """Give a port back. Raises NoNetworkPort when the caller holds none of that UUID."""

    @call("org.splitvirt.NetworkPort1.HandOver", rpc=0, acl="none", dbus="HandOver")
    async def hand_over(self, uuid: Str, pid: I64) -> None:
        """Bind a port to another process of its taker's (a guest's), whose end gives it back from then on.

        So a daemon that took it may go and come again. Raises NoNetworkPort as Release does, OperationInvalid when the
        process is gone, OperationDenied when it is another user's.
        """

    @call("org.splitvirt.NetworkPort1.List", rpc=0, acl="none", dbus="List")
    async def holdings(self) -> list[Holding]:
        """Who holds what: everything for those who may manage networks, for others their own."""

    @event(rpc=0, dbus="ServerEnded", on_root=True)
    def server_ended(self, network: Str, retry: F64) -> None:
        """A network's DHCP and DNS server died; in so many seconds it is started again."""
