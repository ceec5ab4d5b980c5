"""Controllers as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.devices.controller import (
    Controller,
    PciController,
    ScsiController,
    UsbController,
    VirtioSerialController,
)  # fmt: skip
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts
from virtqemud.prepare.machine import is_isapc

from .properties import controller_alias, device, place, virtio

ORDER = ("pci", "usb", "scsi", "ide", "sata", "fdc", "virtio-serial", "ccid", "isa", "xenbus")
"""PCI first, since the others sit on it."""

USB = {
    "piix3-uhci": "piix3-usb-uhci", "piix4-uhci": "piix4-usb-uhci", "ehci": "usb-ehci",
    "ich9-ehci1": "ich9-usb-ehci1", "ich9-uhci1": "ich9-usb-uhci1", "ich9-uhci2": "ich9-usb-uhci2",
    "ich9-uhci3": "ich9-usb-uhci3", "vt82c686b-uhci": "vt82c686b-usb-uhci", "pci-ohci": "pci-ohci",
    "nec-xhci": "nec-usb-xhci", "qemu-xhci": "qemu-xhci",
}  # fmt: skip
SCSI = {
    "lsilogic": "lsi", "lsisas1068": "mptsas1068", "lsisas1078": "megasas", "vmpvscsi": "pvscsi",
    "ncr53c90": "esp", "dc390": "dc-390", "am53c974": "am53c974",
}  # fmt: skip


def controllers(ctx: Context) -> Parts:
    """All that the board does not have already."""
    parts = Parts()
    found = ctx.domain.devices.controllers
    for kind in ORDER:
        for dev in found:
            if dev.type == kind:
                parts += controller(dev, ctx)
    if not any(dev.type == "usb" for dev in found) and is_isapc(ctx.domain):
        parts.add("-usb")
    return parts


def controller(dev: Any, ctx: Context) -> Parts:
    """One controller."""
    match dev:
        case PciController():
            return pci(dev, ctx)
        case UsbController():
            return usb(dev, ctx)
        case ScsiController():
            return scsi(dev, ctx)
        case VirtioSerialController():
            return virtio_serial(dev, ctx)
    return other(dev, ctx)


def pci(dev: PciController, ctx: Context) -> Parts:
    """A bridge, port or expander; roots belong to the board."""
    parts = Parts()
    name = dev.name or ""
    match dev.model:
        case "pci-root" | "pcie-root" | None:
            return parts
        case "pci-bridge":
            device(parts, name or "pci-bridge", dev, ctx, chassis_nr=dev.chassis_nr)
        case "pci-expander-bus" | "pcie-expander-bus":
            node = {} if dev.node is None else {"numa_node": dev.node}
            default = "pxb" if dev.model == "pci-expander-bus" else "pxb-pcie"
            device(parts, name or default, dev, ctx, bus_nr=dev.bus_nr, **node)
        case "pcie-root-port" | "pcie-switch-downstream-port":
            default = "pcie-root-port" if dev.model == "pcie-root-port" else "xio3130-downstream"
            device(parts, name or default, dev, ctx, port=dev.port, chassis=dev.chassis, hotplug=dev.hotplug)
        case "dmi-to-pci-bridge" | "pcie-switch-upstream-port" | "pcie-to-pci-bridge":
            defaults = {"dmi-to-pci-bridge": "i82801b11-bridge", "pcie-to-pci-bridge": "pcie-pci-bridge"}
            device(parts, name or defaults.get(dev.model, "x3130-upstream"), dev, ctx)
    return parts


def usb(dev: UsbController, ctx: Context) -> Parts:
    """A USB controller, or a companion of one."""
    parts = Parts()
    if dev.model == "none":
        return parts
    name = USB.get(dev.model or "")
    if name is None:
        raise ConfigUnsupported(f"usb controller type '{dev.model}' doesn't support")
    if not ctx.caps.has_device(name):
        raise ConfigUnsupported(f"USB controller model '{dev.model}' not supported in this QEMU binary")
    if dev.master is not None:
        found = ctx.domain.devices.controllers
        if not any(isinstance(c, UsbController) and c.index == dev.index and c.master is None for c in found):
            raise InternalError("masterbus not found")
        companion = {"masterbus": f"{controller_alias(ctx, 'usb', dev.index)}.0", "firstport": dev.master}
        parts.json("-device", {"driver": name} | companion | place(dev, ctx))
        return parts
    if dev.ports is not None and dev.model not in ("nec-xhci", "qemu-xhci"):
        raise ConfigUnsupported(f"usb controller type '{dev.model}' doesn't support 'ports' with this QEMU binary")
    ports = {} if dev.ports is None else {"p2": dev.ports, "p3": dev.ports}
    device(parts, name, dev, ctx, **ports)
    return parts


def scsi(dev: ScsiController, ctx: Context) -> Parts:
    """A SCSI host adapter."""
    parts, driver = Parts(), dev.driver
    if (dev.model or "virtio-scsi").startswith("virtio"):
        values: dict[str, Any] = {}
        if driver is not None:
            values = {
                "iothread": f"iothread{driver.iothread}" if driver.iothread else None,
                "num_queues": driver.queues or None, "cmd_per_lun": driver.cmd_per_lun or None,
                "max_sectors": driver.max_sectors or None, "ioeventfd": driver.ioeventfd,
            }  # fmt: skip
        virtio(parts, "virtio-scsi", dev, ctx, driver, **values)
        return parts
    name = SCSI.get(dev.model or "")
    if name is None:
        raise ConfigUnsupported(f"Unsupported controller model: {dev.model}")
    device(parts, name, dev, ctx)
    return parts


def virtio_serial(dev: VirtioSerialController, ctx: Context) -> Parts:
    """The bus of virtio channels."""
    parts = Parts()
    virtio(parts, "virtio-serial", dev, ctx, dev.driver, max_ports=dev.ports, vectors=dev.vectors)
    return parts


def other(dev: Controller, ctx: Context) -> Parts:
    """SATA beyond the one of q35, card readers. Raises ConfigUnsupported for a second IDE controller."""
    parts = Parts()
    match dev.type:
        case "sata" if not (ctx.q35 and dev.index == 0):
            device(parts, "ahci", dev, ctx)
        case "ccid":
            device(parts, "usb-ccid", dev, ctx)
        case "ide" if dev.index != 0 or not ctx.i440fx:
            raise ConfigUnsupported("Only a single IDE controller is supported for this machine type")
    return parts


def globals_of_root(ctx: Context) -> Parts:
    """What the root bus is told: the 64-bit window, and hotplug on i440FX."""
    parts = Parts()
    for dev in ctx.domain.devices.controllers:
        if not isinstance(dev, PciController) or dev.index != 0:
            continue
        if dev.model == "pci-root" and dev.hotplug is not None:
            parts.add("-global", f"PIIX4_PM.acpi-root-pci-hotplug={'on' if dev.hotplug else 'off'}")
        if dev.pcihole64 is not None:
            host = "q35-pcihost" if dev.model == "pcie-root" else "i440FX-pcihost"
            parts.add("-global", f"{host}.pci-hole64-size={dev.pcihole64}K")
    return parts
