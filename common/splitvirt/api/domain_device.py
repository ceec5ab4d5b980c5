# mypy: disable-error-code="empty-body"
"""Devices of a domain: plugging, interfaces, and what people see and touch."""

from typing import Annotated

from . import constants as c
from .call import Older, call
from .record import Record, wire
from .rule import CHANGE
from .shape import Room
from .stream import Stream
from .types import I32, I64, U32, Fd, Fds, KeyCodes, OptStr, Params16, Str
from .wire import Many


class InterfaceStats(Record):
    """What went through an interface, as the host counts; -1 where it does not."""

    rx_bytes: I64
    rx_packets: I64
    rx_errors: I64
    rx_dropped: I64
    tx_bytes: I64
    tx_packets: I64
    tx_errors: I64
    tx_dropped: I64


class IPAddress(Record):
    """An address (VIR_IP_ADDR_TYPE_*) with the length of its prefix in bits."""

    MEANINGS = {"type": "VIR_IP_ADDR_TYPE_"}
    type: I32
    address: Str
    prefix: U32


class InterfaceAddresses(Record):
    """An interface of the guest and its addresses."""

    name: Str
    mac: OptStr
    addresses: Annotated[list[IPAddress], Many(wire(IPAddress), 2048)]


class Devices:
    """Plugging and changing devices."""

    @call(
        "virDomainAttachDeviceFlags",
        rpc=160,
        acl=CHANGE,
        dbus="AttachDevice",
        older=[Older(8, flags=c.VIR_DOMAIN_AFFECT_LIVE)],
    )
    async def attach_device(self, xml: Str, flags: U32 = 0) -> None:
        """Add a device."""

    @call(
        "virDomainDetachDeviceFlags",
        rpc=161,
        acl=CHANGE,
        dbus="DetachDevice",
        older=[Older(13, flags=c.VIR_DOMAIN_AFFECT_LIVE)],
    )
    async def detach_device(self, xml: Str, flags: U32 = 0) -> None:
        """Remove a device; a guest may take its time to let go of it."""

    @call("virDomainUpdateDeviceFlags", rpc=174, acl=CHANGE, dbus="UpdateDevice")
    async def update_device(self, xml: Str, flags: U32 = 0) -> None:
        """Change what can be changed of a device: a medium, a password, a link."""

    @call("virDomainDetachDeviceAlias", rpc=392, acl=CHANGE)
    async def detach_device_alias(self, alias: Str, flags: U32 = 0) -> None:
        """Remove the device of that alias."""

    @call("virDomainInterfaceStats", rpc=65, acl="domain:read", high=True)
    async def interface_stats(self, device: Str) -> InterfaceStats:
        """What went through an interface, named by its host device or MAC address."""

    @call("virDomainGetInterfaceParameters", rpc=257, acl="domain:read", dbus="GetInterfaceParameters", shape=Room())
    async def interface_params(self, device: Str, flags: U32 = 0) -> Params16:
        """The bandwidth of an interface; rates in KiB/s, bursts in KiB."""

    @call("virDomainSetInterfaceParameters", rpc=256, acl=CHANGE, dbus="SetInterfaceParameters")
    async def set_interface_params(self, device: Str, params: Params16, flags: U32 = 0) -> None:
        """Limit the bandwidth of an interface; rates in KiB/s, bursts in KiB."""

    @call(
        "virDomainInterfaceAddresses",
        rpc=353,
        acl=("domain:read", "domain:write::source:VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT"),
        dbus="InterfaceAddresses",
    )
    async def interface_addresses(
        self, source: U32, flags: U32 = 0
    ) -> Annotated[list[InterfaceAddresses], Many(wire(InterfaceAddresses), 2048)]:
        """The addresses of its interfaces, by leases, its agent or the host's ARP table."""

    @call("virDomainFDAssociate", rpc=443, acl="domain:write")
    async def associate_fds(self, name: Str, files: Fds, flags: U32 = 0) -> None:
        """Hand it open files under a name that its disks refer to."""


class Screen:
    """Consoles, screens and keyboards."""

    @call("virDomainOpenConsole", rpc=201, acl="domain:open_device", stream="both")
    async def open_console(self, device: OptStr, flags: U32, stream: Stream) -> None:
        """Connect a stream to a console or serial port, by alias; None: the first (VIR_DOMAIN_CONSOLE_*)."""

    @call("virDomainOpenChannel", rpc=296, acl="domain:open_device", stream="both")
    async def open_channel(self, name: OptStr, flags: U32, stream: Stream) -> None:
        """Connect a stream to a channel, by name; None: the first (VIR_DOMAIN_CHANNEL_*)."""

    @call("virDomainOpenGraphics", rpc=249, acl="domain:open_graphics")
    async def open_graphics(self, index: U32, file: Fd, flags: U32 = 0) -> None:
        """Connect a socket of the caller's to a graphics server."""

    @call("virDomainOpenGraphicsFD", rpc=343, acl="domain:open_graphics", dbus="OpenGraphicsFD")
    async def open_graphics_fd(self, index: U32, flags: U32 = 0) -> Fd:
        """A socket that is connected to a graphics server."""

    @call("virDomainScreenshot", rpc=211, acl="domain:screenshot", stream="out")
    async def screenshot(self, screen: U32, flags: U32, stream: Stream) -> OptStr:
        """Send a picture of a screen down the stream; its MIME type."""

    @call("virDomainSendKey", rpc=226, acl="domain:send_input", dbus="SendKey")
    async def send_key(self, codeset: U32, holdtime: U32, keycodes: KeyCodes, flags: U32 = 0) -> None:
        """Press keys together (VIR_KEYCODE_SET_*) for so many milliseconds."""
