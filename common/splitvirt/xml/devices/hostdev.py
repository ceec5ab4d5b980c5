"""`<hostdev>`: a device of the host given to the guest; one class a kind."""

import re
from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.encryption import UUID
from splitvirt.xml.devices.source import Auth, Host, HostAddress, StartupPolicy
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import (
    AnyBase,
    Hex4,
    Node,
    OnlyYes,
    OnOff,
    Unsigned,
    Unsigned64,
    YesNo,
    attr,
    child,
    children,
    present,
    text,
)
from splitvirt.xml.netparts import IPAddress, Route


class Hostdev(Device):
    """A base for all kinds."""

    mode: Literal["subsystem", "capabilities"] = attr(
        default="subsystem", order=-5, wrong=lambda raw: ConfigUnsupported(f"unknown hostdev mode '{raw}'")
    )
    type: str = attr(order=-4)
    managed: OnlyYes = attr(default=False, order=-3)
    readonly: bool = present()
    shareable: bool = present()

    def check(self, node: Node) -> None:
        if node.find("source") is None:
            raise XMLError("Missing <source> element in hostdev device")
        if self.type != "scsi":
            self.readonly = self.shareable = False


class PciHostdev(Hostdev, tag="hostdev", when=("type", "pci")):
    """A PCI function, through VFIO."""

    type: str = attr(default="pci", order=-4)
    driver: Literal["kvm", "vfio", "xen"] | None = attr("driver/@name", order=-1)
    startup_policy: StartupPolicy | None = attr("source/@startupPolicy", order=-1)
    write_filtering: YesNo | None = attr("source/@writeFiltering", order=-1)
    host: HostAddress | None = child("source/address", order=-1)
    teaming: Literal["persistent", "transient"] | None = attr("teaming/@type", order=-1)
    persistent: str | None = attr("teaming/@persistent", order=-1)

    def check(self, node: Node) -> None:
        super().check(node)
        if self.startup_policy is not None:
            raise ConfigUnsupported("Setting startupPolicy is only allowed for USB devices")
        self.host = self.host or HostAddress()


class UsbHostdev(Hostdev, tag="hostdev", when=("type", "usb")):
    """A USB device, by what it is or by where it is plugged in.

    A `<source>` that says neither is written too, unlike libvirt's, whose own document then could not be read again.
    """

    type: str = attr(default="usb", order=-4)
    has_source: bool = present("source", order=-1)
    startup_policy: StartupPolicy | None = attr("source/@startupPolicy", order=-1)
    guest_reset: Literal["off", "uninitialized", "on"] | None = attr("source/@guestReset", order=-1)
    missing: YesNo | None = attr("source/@missing", order=-1)
    vendor: Hex4 | None = attr("source/vendor/@id", order=-1, needed=True)
    product: Hex4 | None = attr("source/product/@id", order=-1, needed=True)
    bus: Unsigned | None = attr("source/address/@bus", order=-1, needed=True)
    device: Unsigned | None = attr("source/address/@device", order=-1, needed=True)

    def check(self, node: Node) -> None:
        super().check(node)
        for name, value in (("vendor", self.vendor), ("product", self.product)):
            if value == 0:
                text = f"Invalid value for attribute 'id' in element '{name}': Zero is not permitted"
                raise XMLError(text)
        if (self.vendor is None) != (self.product is None):
            raise InternalError("missing product" if self.product is None else "missing vendor")


class ScsiHostdev(Hostdev, tag="hostdev", when=("type", "scsi")):
    """A SCSI device: behind an adapter of the host, or an iSCSI LUN."""

    type: str = attr(default="scsi", order=-4)
    sgio: Literal["filtered", "unfiltered"] | None = attr(order=-2)
    rawio: YesNo | None = attr(order=-2)
    protocol: Literal["adapter", "iscsi"] | None = attr(
        "source/@protocol",
        order=-1,
        omit="adapter",
        wrong=lambda raw: ConfigUnsupported(f"Unknown SCSI subsystem protocol '{raw}'"),
    )
    name: str | None = attr("source/@name", order=-1)
    hosts: list[Host] = children("source/host", order=-1)
    auth: Auth | None = child("source/auth", order=-1)
    initiator: str | None = attr("source/initiator/iqn/@name", order=-1)
    adapter: str | None = attr("source/adapter/@name", order=-1)
    bus: AnyBase | None = attr("source/address/@bus", order=-1)
    target: AnyBase | None = attr("source/address/@target", order=-1)
    unit: Unsigned64 | None = attr("source/address/@unit", order=-1)

    def check(self, node: Node) -> None:
        super().check(node)
        if self.protocol == "iscsi":
            if not self.name:
                raise XMLError("missing iSCSI hostdev source path name")
            if not self.hosts:
                raise XMLError("missing the host address for the iSCSI hostdev")
            if len(self.hosts) > 1:
                raise XMLError("only one source host address may be specified for the iSCSI hostdev")
        elif self.unit is None:
            raise XMLError("'address' must be specified for scsi hostdev source")
        elif not self.adapter:
            raise XMLError("'adapter' name must be specified for scsi hostdev source")


class ScsiHostHostdev(Hostdev, tag="hostdev", when=("type", "scsi_host")):
    """A whole SCSI target, through vhost-scsi."""

    type: str = attr(default="scsi_host", order=-4)
    model: VirtioModel | None = attr(order=-2)
    protocol: Literal["vhost"] = attr(
        "source/@protocol",
        order=-1,
        missing=lambda: XMLError("Missing scsi_host subsystem protocol"),
        wrong=lambda raw: ConfigUnsupported(f"Unknown scsi_host subsystem protocol '{raw}'"),
    )
    wwpn: str = attr("source/@wwpn", order=-1, missing=lambda: XMLError("missing vhost-scsi hostdev source wwpn"))

    def check(self, node: Node) -> None:
        super().check(node)
        if not re.fullmatch("naa[.][0-9a-fA-F]{16}", self.wwpn):
            raise XMLError("malformed 'wwpn' value")


class MdevHostdev(Hostdev, tag="hostdev", when=("type", "mdev")):
    """A mediated device: a share of a GPU or of an IBM Z adapter."""

    type: str = attr(default="mdev", order=-4)
    model: Literal["vfio-pci", "vfio-ccw", "vfio-ap"] = attr(order=-2)
    display: OnOff | None = attr(order=-2)
    ramfb: OnOff | None = attr(order=-2)
    uuid: str = attr("source/address/@uuid", order=-1, default="")

    def check(self, node: Node) -> None:
        super().check(node)
        source = node.find("source")
        if source is not None and source.find("address") is None:
            raise ConfigUnsupported("Missing <address> element")
        if not self.uuid:
            raise ConfigUnsupported("Missing 'uuid' attribute for element <address>")
        if not UUID.fullmatch(self.uuid):
            raise InternalError("Cannot parse uuid attribute of element <address>")


class CapabilityHostdev(Hostdev, tag="hostdev", when=("mode", "capabilities")):
    """A block device, character device or interface of the host, in a container."""

    mode: Literal["subsystem", "capabilities"] = attr(default="capabilities", order=-5)
    type: Literal["storage", "misc", "net"] = attr(order=-4)
    managed = None  # type: ignore[assignment]
    block: str | None = text("source/block", when="storage", order=-1)
    char: str | None = text("source/char", when="misc", order=-1)
    interface: str | None = text("source/interface", when="net", order=-1)
    ips: list[IPAddress] = children(order=-1)
    routes: list[Route] = children(order=-1)


class UnknownHostdev(Hostdev, tag="hostdev"):
    """A kind that does not exist: always refused."""

    type: str | None = attr(order=-4)  # type: ignore[assignment]

    def check(self, node: Node) -> None:
        if self.type is None:
            raise XMLError("missing source address type")
        raise ConfigUnsupported(f"unknown host device source address type '{self.type}'")


AnyHostdev = PciHostdev | UsbHostdev | ScsiHostdev | ScsiHostHostdev | MdevHostdev | CapabilityHostdev | UnknownHostdev
