"""What kind of PCI device each device is, and the order in which devices get their places."""

from collections.abc import Iterator
from functools import singledispatch
from pathlib import Path

from splitvirt.xml.address import PciAddress
from splitvirt.xml.devices.controller import (
    Controller,
    IdeController,
    PciController,
    PlainController,
    ScsiController,
    UsbController,
    VirtioSerialController,
)
from splitvirt.xml.devices.crypto import Crypto
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.filesystem import Filesystem
from splitvirt.xml.devices.hostdev import MdevHostdev, PciHostdev, ScsiHostHostdev
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.iommu import Iommu
from splitvirt.xml.devices.memballoon import Memballoon
from splitvirt.xml.devices.memory import MemoryDevice
from splitvirt.xml.devices.rng import Rng
from splitvirt.xml.devices.serial import Serial
from splitvirt.xml.devices.shmem import Shmem
from splitvirt.xml.devices.sound import Sound
from splitvirt.xml.devices.video import Video
from splitvirt.xml.devices.vsock import Vsock
from splitvirt.xml.devices.watchdog import Watchdog
from splitvirt.xml.domain import Domain

from .connect import AUTO, INTEGRATED, PCI, PCIE, PLUGS

OLD = PCI | AUTO
NEW = PCIE | AUTO
NOT_PCI_SOUND = ("sb16", "pcspk", "usb")
OLD_CARDS = frozenset(
    ("netfront", "rtl8139", "e1000", "lan9118", "scm91c111", "vlance", "vmxnet", "vmxnet2", "vmxnet3", "Am79C970A",
     "Am79C973", "82540EM", "82545EM", "82543GC")
)  # fmt: skip
"""Network cards that libvirt knows for conventional PCI; of others it assumes PCIe."""
USB_PCIE = ("nec-xhci", "qemu-xhci")
VIRTIO_SCSI = ("virtio-scsi", "virtio-transitional", "virtio-non-transitional")


def plug(device: Device, pcie: bool) -> int:
    """The kind of PCI device, 0 for what is none; `pcie` tells whether the guest has PCIe."""
    flags = kind(device)
    return OLD | (flags & ~NEW) if flags & PCIE and not pcie else flags


def virtio(model: str | None) -> int:
    """A virtio device: the transitional ones need conventional PCI."""
    return OLD if model == "virtio-transitional" else NEW


@singledispatch
def kind(device: Device) -> int:
    """The kind that it is where there is PCIe."""
    return 0


@kind.register
def _(device: PciController) -> int:
    return PLUGS.get(device.model or "", 0)


@kind.register
def _(device: PlainController) -> int:
    return OLD if device.type == "sata" else 0


@kind.register
def _(device: IdeController) -> int:
    return OLD


@kind.register
def _(device: UsbController) -> int:
    if device.model == "none":
        return 0
    return NEW if device.model in USB_PCIE else OLD


@kind.register
def _(device: ScsiController) -> int:
    return virtio(device.model) if device.model in VIRTIO_SCSI else OLD


@kind.register
def _(device: Disk) -> int:
    return virtio(device.model) if device.bus == "virtio" else 0


@kind.register
def _(device: Interface) -> int:
    if device.type == "hostdev":
        return host_device(device)
    model = device.model or ""
    if model.startswith("virtio"):
        return virtio(model)
    return 0 if model == "usb-net" else OLD if model in OLD_CARDS else NEW


def host_device(device: Device) -> int:
    """PCIe, unless the host says that it is a conventional PCI device."""
    host = getattr(device, "host", None) or getattr(device, "host_address", None)
    if host is None:
        return NEW
    config = Path(f"/sys/bus/pci/devices/{host}/config")
    try:
        return OLD if config.stat().st_size <= 256 else NEW
    except OSError:
        return NEW


@kind.register
def _(device: PciHostdev) -> int:
    return host_device(device)


@kind.register
def _(device: MdevHostdev) -> int:
    return NEW if device.model == "vfio-pci" else 0


@kind.register
def _(device: Sound) -> int:
    return 0 if device.model in NOT_PCI_SOUND else OLD


@kind.register
def _(device: Video) -> int:
    if device.model in ("none", "ramfb"):
        return 0
    return NEW if device.model == "virtio" else OLD


@kind.register
def _(device: Input) -> int:
    return virtio(device.model) if device.bus == "virtio" else 0


@kind.register
def _(device: Serial) -> int:
    return OLD if device.target_type == "pci-serial" else 0


@kind.register
def _(device: Watchdog) -> int:
    return OLD if device.model == "i6300esb" else 0


@kind.register
def _(device: MemoryDevice) -> int:
    return NEW if device.model in ("virtio-pmem", "virtio-mem") else 0


@kind.register
def _(device: Iommu) -> int:
    return PCIE | INTEGRATED if device.model == "virtio" else 0


@kind.register
def _(device: Shmem) -> int:
    return OLD


@kind.register(Filesystem)
@kind.register(VirtioSerialController)
@kind.register(ScsiHostHostdev)
@kind.register(Rng)
@kind.register(Vsock)
@kind.register(Crypto)
def _(device: Device) -> int:
    return virtio(getattr(device, "model", None))


@kind.register
def _(device: Memballoon) -> int:
    return 0 if device.model in ("none", "xen") else virtio(device.model)


def in_order(domain: Domain) -> Iterator[Device]:
    """All devices that may be on PCI, in the order in which they get their places (measured)."""
    devices = domain.devices
    controllers: list[Controller] = [*devices.controllers]
    cards = [card for card in devices.interfaces if card.type != "hostdev"]
    yield from (c for c in controllers if isinstance(c, PciController))
    yield from (*devices.filesystems, *cards, *devices.sounds)
    yield from (c for c in controllers if not isinstance(c, PciController))
    yield from devices.disks
    yield from (card for card in devices.interfaces if card.type == "hostdev")
    yield from devices.hostdevs
    yield from () if devices.memballoon is None else (devices.memballoon,)
    yield from (*devices.rngs, *devices.watchdogs, *devices.videos, *devices.shmems, *devices.inputs)
    yield from devices.serials
    yield from devices.panics
    yield from () if devices.vsock is None else (devices.vsock,)
    yield from devices.memories
    yield from () if devices.iommu is None else (devices.iommu,)
    yield from devices.cryptos


def as_listed(domain: Domain) -> Iterator[Device]:
    """The same devices in the order in which the places that they ask for are taken."""
    devices = domain.devices
    yield from (*devices.disks, *devices.interfaces, *devices.sounds, *devices.hostdevs, *devices.filesystems)
    yield from (*devices.controllers, *devices.serials, *devices.inputs)
    first = {id(device) for device in (*devices.disks, *devices.interfaces, *devices.sounds, *devices.hostdevs)}
    first |= {id(d) for d in (*devices.filesystems, *devices.controllers, *devices.serials, *devices.inputs)}
    yield from (device for device in in_order(domain) if id(device) not in first)


def placed(device: Device) -> bool:
    """Whether a device has a PCI address already."""
    return isinstance(device.address, PciAddress) and not device.address.unset


def homeless(device: Device) -> bool:
    """Whether libvirt looks for a PCI place for it although it is no PCI device, and finds none."""
    kinds = ("xenbus", "isa", "usb-net")
    return (isinstance(device, Controller) and device.type in kinds) or (
        isinstance(device, Interface) and device.model in kinds
    )


def wants(device: Device) -> bool:
    """Whether a device is to get a PCI address."""
    return device.address is None or (isinstance(device.address, PciAddress) and device.address.unset)
