"""Host devices: their defaults, and what may not be passed through, in libvirt's words."""

from itertools import combinations

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.address import DriveAddress, PciAddress, Unassigned, UsbAddress
from splitvirt.xml.devices.hostdev import (
    AnyHostdev,
    Hostdev,
    MdevHostdev,
    PciHostdev,
    ScsiHostdev,
    ScsiHostHostdev,
    UsbHostdev,
)
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .diskchecks import check_scsi


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in what is left open."""
    for device in domain.devices.hostdevs:
        if isinstance(device, ScsiHostdev) and device.protocol == "iscsi":
            iscsi(device)
        if isinstance(device, MdevHostdev) and device.model == "vfio-pci" and device.display is None:
            device.display = False


def iscsi(device: ScsiHostdev) -> None:
    """The first LUN."""
    if device.name and "/" not in device.name:
        device.name += "/0"


def basics(domain: Domain, caps: Capabilities) -> None:
    """Checks that come before addresses are given out: kinds of addresses."""
    for device in domain.devices.hostdevs:
        check_address(device)


def check_pairs(domain: Domain) -> None:
    """No device of the host twice, and no two in one place."""
    cards = [card for card in domain.devices.interfaces if card.type == "hostdev"]
    for card, another in combinations(cards, 2):
        if card.host_address is not None and card.host_address == another.host_address:
            raise XMLError("Hostdev already exists in the domain configuration")
    for one, other in combinations(domain.devices.hostdevs, 2):
        if identity(one) is not None and identity(one) == identity(other):
            raise XMLError("Hostdev already exists in the domain configuration")
        if isinstance(one.address, DriveAddress) and one.address == other.address:
            controller, bus, target, unit = one.address.place
            raise ConfigUnsupported(
                f"SCSI host address controller='{controller}' bus='{bus}' target='{target}' unit='{unit}' "
                "in use by another SCSI host device"
            )


def identity(device: AnyHostdev) -> object:
    """What makes a device of the host the same as another; None for what cannot be compared."""
    if isinstance(device, PciHostdev) and device.host is not None:
        return device.type, device.host.place
    if isinstance(device, UsbHostdev):
        return device.type, device.vendor, device.product, device.bus, device.device
    if isinstance(device, ScsiHostdev):
        hosts = tuple((h.name, h.port) for h in device.hosts)
        return device.type, device.adapter, device.bus, device.target, device.unit, device.name, hosts
    if isinstance(device, ScsiHostHostdev):
        return device.type, device.wwpn
    return (device.type, device.uuid) if isinstance(device, MdevHostdev) else None


def check_address(device: Hostdev) -> None:
    """Raise where a device is on a bus that it cannot be on."""
    address = device.address
    if address is None:
        return
    if isinstance(device, PciHostdev) and not isinstance(address, PciAddress | Unassigned):
        raise InternalError("PCI host devices must use 'pci' or 'unassigned' address type")
    if isinstance(device, UsbHostdev) and not isinstance(address, UsbAddress):
        raise ConfigUnsupported("USB host device must use 'usb' address type")
    if isinstance(device, ScsiHostdev) and not isinstance(address, DriveAddress):
        raise ConfigUnsupported("SCSI host device must use 'drive' address type")
    if isinstance(device, MdevHostdev):
        wanted = {"vfio-pci": "pci", "vfio-ccw": "ccw"}.get(device.model, "")
        if address.type not in (wanted, "unassigned"):
            raise XMLError(f"Unsupported address type '{address.type}' with mediated device model '{device.model}'")


def check(domain: Domain, caps: Capabilities) -> None:
    """All other checks."""
    ramfb = [d for d in domain.devices.hostdevs if isinstance(d, MdevHostdev) and d.ramfb]
    if len(ramfb) > 1:
        raise ConfigUnsupported("Only one vgpu device can have 'ramfb' enabled")
    for device in domain.devices.hostdevs:
        check_mode(device, domain)
        if isinstance(device, MdevHostdev):
            check_mdev(device, domain, caps)
        elif isinstance(device, ScsiHostdev) and isinstance(device.address, DriveAddress):
            check_scsi(device.address, domain)
    check_pairs(domain)


def check_mode(device: AnyHostdev, domain: Domain) -> None:
    """What each kind of device has."""
    if isinstance(device, ScsiHostdev) and device.auth is not None and device.auth.secret_type not in ("iscsi", None):
        raise ConfigUnsupported(f"invalid secret type {device.auth.secret_type}")
    if device.mode == "capabilities":
        raise ConfigUnsupported(f"hostdev mode 'capabilities' is not supported in {domain.type}")
    tuned = device.rom_enabled is not None or device.rom_bar is not None or device.rom_file is not None
    if tuned and not isinstance(device, PciHostdev | MdevHostdev):
        raise ConfigUnsupported("ROM tuning is only supported for PCI devices")
    if isinstance(device, PciHostdev) and device.write_filtering is not None:
        raise ConfigUnsupported(
            "Write filtering of PCI device configuration space is not supported by qemu"
        )  # fmt: skip
    if isinstance(device, ScsiHostdev) and device.sgio == "unfiltered":
        raise ConfigUnsupported("unfiltered sgio is no longer supported")
    if isinstance(device, ScsiHostHostdev) and device.boot_order:
        raise ConfigUnsupported("booting from assigned devices is not supported by vhost SCSI devices")


def check_mdev(device: MdevHostdev, domain: Domain, caps: Capabilities) -> None:
    """Kinds that this QEMU has; a display needs graphics to show it."""
    for model, shown in (("vfio-ccw", "CCW"), ("vfio-ap", "AP")):
        if device.model == model and not caps.has_device(model):
            text = f"VFIO {shown} device assignment is not supported by this version of QEMU"
            raise ConfigUnsupported(text)
    if device.display and not domain.devices.graphics:
        raise ConfigUnsupported("graphics device is needed for attribute value 'display=on' in <hostdev>")
