"""Kinds of addresses that only other machines have."""

from collections.abc import Iterator

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.address import CcwAddress, PciAddress, Unassigned
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.hostdev import Hostdev
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities


def every(devices: Devices) -> Iterator[Device]:
    """All devices that may have an address, in the order of the document's kinds."""
    for name in devices.FIELDS:
        value = getattr(devices, name)
        for device in value if isinstance(value, list) else (value,):
            if isinstance(device, Device):
                yield device


def check(domain: Domain, caps: Capabilities) -> None:
    """Raises ConfigUnsupported for IBM Z's addresses elsewhere, and for devices that must have a place."""
    machine = domain.os.machine if domain.os else None
    for device in every(domain.devices):
        address = device.address
        if isinstance(address, CcwAddress) and not (machine or "").startswith("s390-ccw"):
            name = device.alias or "<null>"
            raise ConfigUnsupported(f"cannot use CCW address type for device '{name}' using machine type '{machine}'")
        if isinstance(address, PciAddress) and address.zpci is not None and not caps.has_device("zpci"):
            raise ConfigUnsupported("This QEMU binary doesn't support zPCI")
        if isinstance(address, Unassigned) and not isinstance(device, Hostdev):
            raise ConfigUnsupported("address of type 'unassigned' is supported only for hostdevs")
        if device.acpi_index and address is not None and not isinstance(address, PciAddress):
            raise ConfigUnsupported("ACPI index is only supported for PCI devices")
