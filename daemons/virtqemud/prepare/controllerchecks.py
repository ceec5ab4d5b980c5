"""What a controller may not be or have, in libvirt's words."""

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.address import PciAddress
from splitvirt.xml.devices.controller import (
    Controller,
    ControllerDriver,
    IdeController,
    PciController,
    ScsiController,
    UsbController,
)
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .machine import is_i440fx
from .tune import thread_ids

VIRTIO_SCSI = ("virtio-scsi", "virtio-transitional", "virtio-non-transitional")
OWN_NAMES: dict[str, tuple[str, ...]] = {
    "pci-root": ("spapr-pci-host-bridge",),
    "pci-bridge": ("pci-bridge",),
    "dmi-to-pci-bridge": ("i82801b11-bridge",),
    "pcie-to-pci-bridge": ("pcie-pci-bridge",),
    "pcie-root-port": ("pcie-root-port", "ioh3420"),
    "pcie-switch-upstream-port": ("x3130-upstream",),
    "pcie-switch-downstream-port": ("xio3130-downstream",),
    "pci-expander-bus": ("pxb",),
    "pcie-expander-bus": ("pxb-pcie",),
}
"""QEMU's devices behind each model."""
PORTS = ("pcie-root-port", "pcie-switch-downstream-port")
EXPANDERS = ("pci-expander-bus", "pcie-expander-bus")
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bus_nr": ("busNr", EXPANDERS),
    "node": ("numaNode", (*EXPANDERS, "pci-root")),
    "chassis_nr": ("chassisNr", ("pci-bridge",)),
    "chassis": ("chassis", PORTS),
    "port": ("port", PORTS),
    "hotplug": ("hotplug", (*PORTS, "pci-root")),
}
"""Which models have each option."""
RANGES = {"chassis_nr": ("chassisNr", 1, 255), "chassis": ("chassis", 0, 255), "port": ("port", 0, 255)}


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise for controllers that contradict each other or that QEMU does not have."""
    threads = thread_ids(domain)
    for controller in domain.devices.controllers:
        check_driver(controller)
        if isinstance(controller, UsbController):
            check_usb(controller)
        elif isinstance(controller, ScsiController):
            check_scsi(controller, threads)
        elif isinstance(controller, PciController):
            check_pci(controller, domain)
        elif isinstance(controller, IdeController):
            check_ide(controller, domain)


def check_driver(controller: Controller) -> None:
    """Options that only virtio-scsi has."""
    driver = controller.driver
    if driver is None or (controller.type == "scsi" and getattr(controller, "model", None) in VIRTIO_SCSI):
        return
    if driver.iothread and controller.type == "scsi":
        raise XMLError("'iothread' attribute only supported for virtio scsi controllers")
    for name in ("queues", "cmd_per_lun", "max_sectors", "ioeventfd"):
        if getattr(driver, name):
            raise ConfigUnsupported(f"'{name}' is only supported by virtio-scsi controller")


def check_usb(controller: UsbController) -> None:
    """Models that QEMU has, and their ports."""
    if controller.model in ("qusb1", "qusb2"):
        raise ConfigUnsupported("USB controller model type 'qusb1' or 'qusb2' is not supported in qemu")
    if controller.model in ("nec-xhci", "qemu-xhci") and (controller.ports or 0) > 15:
        raise ConfigUnsupported(f"'{controller.model}' controller only supports up to '15' ports")


def usb_disabled(domain: Domain) -> bool:
    """Whether the guest shall have no USB."""
    controllers = domain.devices.controllers
    return any(isinstance(c, UsbController) and c.model == "none" and not c.index for c in controllers)


def check_usb_users(domain: Domain) -> None:
    """Raise ConfigUnsupported for USB devices where USB is switched off; before addresses are given out."""
    if not usb_disabled(domain):
        return
    devices = domain.devices
    if devices.hubs:
        raise ConfigUnsupported("Can't add USB hub: USB is disabled for this domain")
    if any(getattr(h, "type", "") == "usb" for h in devices.hostdevs):
        raise ConfigUnsupported("Can't add host USB device: USB is disabled in this host")
    if any(i.bus == "usb" for i in devices.inputs):
        raise ConfigUnsupported("Can't add USB input device. USB bus is disabled")
    others = (
        devices.redirdevs
        or devices.smartcards
        or any(d.bus == "usb" for d in devices.disks)
        or any(s.model == "usb" for s in devices.sounds)
        or any(s.target_type == "usb-serial" for s in devices.serials)
    )
    if others:
        raise ConfigUnsupported("USB is disabled for this domain, but USB devices are present in the domain XML")


def check_scsi(controller: ScsiController, threads: set[int]) -> None:
    """Adapters that QEMU has, and options that only virtio-scsi has."""
    model = controller.model
    if model == "buslogic":
        raise ConfigUnsupported("Unsupported controller model: buslogic")
    if model == "ncr53c90":
        raise ConfigUnsupported("ncr53c90 SCSI controller is not a built-in for this machine")
    driver = controller.driver or ControllerDriver()
    if driver.iothread and driver.iothread not in threads:
        raise ConfigUnsupported(f"controller iothread '{driver.iothread}' not defined in iothreadid")


def check_ide(controller: IdeController, domain: Domain) -> None:
    """Only the old PC has IDE, and one controller of it."""
    if not is_i440fx(domain):
        raise ConfigUnsupported("IDE controllers are unsupported for this QEMU binary or machine type")
    if controller.index:
        raise ConfigUnsupported("Only a single IDE controller is supported for this machine type")


def check_pci(controller: PciController, domain: Domain) -> None:
    """Options that the model has, in their ranges, and a NUMA node that exists."""
    where = f"PCI controller with index '{controller.index}', model '{controller.model}'"
    where += f" and modelName '{controller.name or 'none'}'"
    address = controller.address
    above = address.bus if isinstance(address, PciAddress) and controller.model == "pci-bridge" else -1
    if controller.index is not None and controller.index <= above:
        raise ConfigUnsupported(
            f"PCI controller at index {controller.index} (0x{controller.index:02x}) has bus='0x{above:02x}', "
            "but index must be larger than bus"
        )
    if controller.model in ("pci-root", "pcie-root") and address is not None:
        raise ConfigUnsupported("pci-root and pcie-root controllers should not have an address")
    if controller.target_index is not None and bool(controller.index) != bool(controller.target_index):
        raise ConfigUnsupported("Only the PCI controller with index 0 can have target index 0, and vice versa")
    for name, (shown, low, high) in RANGES.items():
        value = getattr(controller, name)
        if value is not None and not low <= value <= high:
            text = f"PCI controller {shown} '{value}' out of range - must be {low}-{high}"
            raise ConfigUnsupported(text)
    if controller.name is not None and controller.name not in OWN_NAMES.get(controller.model or "", ()):
        raise ConfigUnsupported(f"Option 'modelName' has invalid value for {where}")
    for name, (shown, models) in OPTIONS.items():
        if getattr(controller, name) is not None and controller.model not in models:
            raise ConfigUnsupported(f"Option '{shown}' is not valid for {where}")
    if controller.bus_nr is not None and not 1 <= controller.bus_nr <= 254:
        text = f"PCI controller busNr '{controller.bus_nr}' out of range - must be 1-254"
        raise ConfigUnsupported(text)


def check_pci_early(domain: Domain) -> None:
    """What must hold before addresses are given out: a model, and NUMA nodes that the guest has."""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    for controller in domain.devices.controllers:
        if not isinstance(controller, PciController):
            continue
        if controller.model is None:
            raise InternalError("PCI controller model was not set correctly")
        if controller.bus_nr is not None and not 1 <= controller.bus_nr <= 254:
            text = f"PCI controller busNr '{controller.bus_nr}' out of range - must be 1-254"
            raise ConfigUnsupported(text)
        if controller.node is not None and controller.node not in {cell.id for cell in cells}:
            raise XMLError(
                f"{controller.model} with index {controller.index} is configured for a NUMA node "
                f"({controller.node}) not present in the domain's <cpu><numa> array ({len(cells)})"
            )
