"""`<hostdev>`: a device of the host given to the guest; one class a kind."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.source import Auth, Host, HostAddress, StartupPolicy
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import (
    Hex4,
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


class Hostdev(Device):
    """A base for all kinds."""

    mode: Literal["subsystem", "capabilities"] = attr(default="subsystem", order=-5)
    type: str = attr(order=-4)
    managed: YesNo = attr(default=False, order=-3)
    readonly: bool = present()
    shareable: bool = present()


class PciHostdev(Hostdev, tag="hostdev", when=("type", "pci")):
    """A PCI function, through VFIO."""

    type: str = attr(default="pci", order=-4)
    driver: Literal["kvm", "vfio", "xen"] | None = attr("driver/@name", order=-1)
    startup_policy: StartupPolicy | None = attr("source/@startupPolicy", order=-1)
    write_filtering: YesNo | None = attr("source/@writeFiltering", order=-1)
    host: HostAddress = child("source/address", order=-1)
    teaming: Literal["persistent", "transient"] | None = attr("teaming/@type", order=-1)
    persistent: str | None = attr("teaming/@persistent", order=-1)


class UsbHostdev(Hostdev, tag="hostdev", when=("type", "usb")):
    """A USB device, by what it is or by where it is plugged in."""

    type: str = attr(default="usb", order=-4)
    startup_policy: StartupPolicy | None = attr("source/@startupPolicy", order=-1)
    guest_reset: Literal["off", "uninitialized", "on"] | None = attr("source/@guestReset", order=-1)
    missing: YesNo | None = attr("source/@missing", order=-1)
    vendor: Hex4 | None = attr("source/vendor/@id", order=-1)
    product: Hex4 | None = attr("source/product/@id", order=-1)
    bus: Unsigned | None = attr("source/address/@bus", order=-1)
    device: Unsigned | None = attr("source/address/@device", order=-1)


class ScsiHostdev(Hostdev, tag="hostdev", when=("type", "scsi")):
    """A SCSI device: behind an adapter of the host, or an iSCSI LUN."""

    type: str = attr(default="scsi", order=-4)
    sgio: Literal["filtered", "unfiltered"] | None = attr(order=-2)
    rawio: YesNo | None = attr(order=-2)
    protocol: Literal["adapter", "iscsi"] | None = attr("source/@protocol", order=-1, omit="adapter")
    name: str | None = attr("source/@name", order=-1)
    hosts: list[Host] = children("source/host", order=-1)
    auth: Auth | None = child("source/auth", order=-1)
    initiator: str | None = attr("source/initiator/iqn/@name", order=-1)
    adapter: str | None = attr("source/adapter/@name", order=-1)
    bus: Unsigned | None = attr("source/address/@bus", order=-1)
    target: Unsigned | None = attr("source/address/@target", order=-1)
    unit: Unsigned64 | None = attr("source/address/@unit", order=-1)


class ScsiHostHostdev(Hostdev, tag="hostdev", when=("type", "scsi_host")):
    """A whole SCSI target, through vhost-scsi."""

    type: str = attr(default="scsi_host", order=-4)
    model: VirtioModel | None = attr(order=-2)
    protocol: Literal["vhost"] = attr("source/@protocol", order=-1)
    wwpn: str | None = attr("source/@wwpn", order=-1)


class MdevHostdev(Hostdev, tag="hostdev", when=("type", "mdev")):
    """A mediated device: a share of a GPU or of an IBM Z adapter."""

    type: str = attr(default="mdev", order=-4)
    model: Literal["vfio-pci", "vfio-ccw", "vfio-ap"] = attr(order=-2)
    display: OnOff | None = attr(order=-2)
    ramfb: OnOff | None = attr(order=-2)
    uuid: str = attr(
        "source/address/@uuid",
        order=-1,
        missing=lambda: ConfigUnsupported("Missing 'uuid' attribute for element <address>"),
    )


class CapabilityHostdev(Hostdev, tag="hostdev", when=("mode", "capabilities")):
    """A block device, character device or interface of the host, in a container."""

    mode: Literal["subsystem", "capabilities"] = attr(default="capabilities", order=-5)
    type: Literal["storage", "misc", "net"] = attr(order=-4)
    managed = None
    block: str | None = text("source/block", when="storage", order=-1)
    char: str | None = text("source/char", when="misc", order=-1)
    interface: str | None = text("source/interface", when="net", order=-1)


AnyHostdev = CapabilityHostdev | PciHostdev | UsbHostdev | ScsiHostdev | ScsiHostHostdev | MdevHostdev
