"""Controllers: those that the machine has or the devices need, their numbers and models."""

from collections.abc import Iterable
from typing import Any

from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.address import CcidAddress, DriveAddress, VirtioSerialAddress
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.controller import (
    AnyController,
    Controller,
    IdeController,
    PciController,
    PlainController,
    ScsiController,
    UsbController,
    VirtioSerialController,
)
from splitvirt.xml.devices.disk import Bus
from splitvirt.xml.devices.hostdev import ScsiHostdev
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .machine import is_i440fx, is_q35, without_usb

STARTPORT = {"ich9-uhci1": 0, "ich9-uhci2": 2, "ich9-uhci3": 4}
"""The first of its EHCI controller's ports that each companion serves."""
UNIQUE = ("ide", "fdc", "sata", "scsi", "virtio-serial", "ccid", "isa", "pci", "xenbus")
CLASSES: dict[str, type[Controller]] = {
    "pci": PciController,
    "usb": UsbController,
    "scsi": ScsiController,
    "ide": IdeController,
    "virtio-serial": VirtioSerialController,
}


def of_type(domain: Domain, type_: str) -> list[AnyController]:
    """The guest's controllers of a type."""
    return [c for c in domain.devices.controllers if c.type == type_]


def sort(domain: Domain) -> None:
    """Controllers of a type beside each other by number, an EHCI controller before its companions."""
    ordered: list[AnyController] = []
    for new in domain.devices.controllers:
        same = [i for i, other in enumerate(ordered) if other.type == new.type]
        later = [i for i in same if new.index is not None and rank(ordered[i]) > rank(new)]
        ordered.insert(later[0] if later else same[-1] + 1 if same else len(ordered), new)
    domain.devices.controllers = ordered


def rank(controller: AnyController) -> tuple[int, bool]:
    """Those without a number stay in their order."""
    if controller.index is None:
        return -1, False
    return controller.index, getattr(controller, "master", None) is not None


def ensure(domain: Domain, type_: str, index: int, **values: Any) -> None:
    """Add a controller unless there is one of its type and number."""
    if any(c.index == index for c in of_type(domain, type_)):
        return
    made: Any = CLASSES.get(type_, PlainController)(type=type_, index=index, **values)
    domain.devices.controllers.append(made)


def as_read(domain: Domain, caps: Capabilities) -> None:
    """Where companions' ports start, the order of the controllers, and what goes with host devices.

    Raises XMLDetail for USB controllers beside one that switches USB off, and for companions alone.
    """
    usb = [c for c in domain.devices.controllers if isinstance(c, UsbController)]
    for controller in usb:
        if controller.master is None and controller.model in STARTPORT:
            controller.master = STARTPORT[controller.model]
        if controller.model == "none":
            controller.address = None
    if len(usb) > 1 and any(c.model == "none" for c in usb):
        raise XMLDetail("Can't add another USB controller: USB is disabled for this domain")
    if usb and all(c.master is not None for c in usb):
        raise XMLDetail("No master USB controller specified")
    sort(domain)
    for_hostdevs(domain, caps)


def number(domain: Domain, caps: Capabilities) -> None:
    """Give controllers without a number the first that is free, and refuse numbers that are used twice."""
    for controller in domain.devices.controllers:
        if controller.index is None:
            taken = {c.index for c in of_type(domain, controller.type)}
            free = next(i for i in range(len(taken) + 1) if i not in taken)
            controller.index = same_usb2(domain, controller, free)
    seen: set[tuple[str, int | None]] = set()
    for controller in domain.devices.controllers:
        key = (controller.type, controller.index)
        if key in seen and controller.type in UNIQUE:
            raise XMLError(f"Multiple '{controller.type}' controllers with index '{controller.index}'")
        seen.add(key)


def same_usb2(domain: Domain, controller: AnyController, free: int) -> int:
    """A part of a USB 2 controller belongs to the latest one that lacks it; everything else is numbered `free`."""
    if not isinstance(controller, UsbController) or not (controller.model or "").startswith("ich9-"):
        return free
    groups: dict[int, set[str]] = {}
    for other in domain.devices.controllers:
        if isinstance(other, UsbController) and other.index is not None and (other.model or "").startswith("ich9-"):
            groups.setdefault(other.index, set()).add(other.model or "")
    last = max(groups, default=None)
    return last if last is not None and controller.model not in groups[last] else free


def of_machine(domain: Domain, caps: Capabilities) -> None:
    """Add what the machine always has: USB, SATA, the PCI root. Raises XMLError when bus 0 is something else."""
    root = "pci-root" if is_i440fx(domain) else "pcie-root" if is_q35(domain) else ""
    usb_models(domain, caps)
    if not without_usb(domain) and not any(c.index == 0 for c in of_type(domain, "usb")):
        default = "qemu-xhci" if is_q35(domain) else "piix3-uhci"
        ensure(domain, "usb", 0, model=default)
    if is_q35(domain):
        ensure(domain, "sata", 0)
    check_root(domain)
    for controller in of_type(domain, "pci"):
        if isinstance(controller, PciController) and controller.model not in ("pci-root", "pcie-root"):
            controller.pcihole64 = None
    if root:
        ensure(domain, "pci", 0, model=root)
        found = next(c for c in of_type(domain, "pci") if c.index == 0)
        assert isinstance(found, PciController)
        if found.model != root:
            raise XMLError(
                f"The PCI controller with index='0' must be model='{root}' for this machine type, "
                f"but model='{found.model or '(null)'}' was found instead"
            )


def check_root(domain: Domain) -> None:
    """Raise XMLError for PCI roots that are not bus 0."""
    for controller in of_type(domain, "pci"):
        if getattr(controller, "model", "") in ("pci-root", "pcie-root") and controller.index:
            raise XMLError("pci-root and pcie-root controllers should have index 0")


def usb_models(domain: Domain, caps: Capabilities) -> None:
    """The model of USB controllers that do not say it."""
    for controller in domain.devices.controllers:
        if isinstance(controller, UsbController) and controller.model is None and caps.has_device("piix3-usb-uhci"):
            controller.model = "piix3-uhci"


def for_devices(domain: Domain, caps: Capabilities) -> None:
    """Add the controllers that drive, virtio-serial and smart card addresses name."""
    for bus, type_ in (("scsi", "scsi"), ("fdc", "fdc"), ("ide", "ide"), ("sata", "sata")):
        disks_need(domain, bus, type_)  # type: ignore[arg-type]
    virtio_ports(domain)
    for card in domain.devices.smartcards:
        ensure(domain, "ccid", card.address.controller if isinstance(card.address, CcidAddress) else 0)
    for_hostdevs(domain, caps)
    scsi_models(domain, caps)


def virtio_ports(domain: Domain) -> None:
    """The virtio-serial controllers of channels and consoles."""
    ports: list[Channel | Console] = [*domain.devices.channels, *domain.devices.consoles]
    for port in ports:
        if port.target_type == "virtio":
            at = port.address
            ensure(domain, "virtio-serial", at.controller if isinstance(at, VirtioSerialAddress) else 0)


def for_hostdevs(domain: Domain, caps: Capabilities) -> None:
    """Add the SCSI controllers that host devices name, or the first one when they leave the choice."""
    devices = [d for d in domain.devices.hostdevs if isinstance(d, ScsiHostdev)]
    places = [d.address for d in devices if isinstance(d.address, DriveAddress)]
    if devices:
        need(domain, "scsi", places or [DriveAddress()])


def disks_need(domain: Domain, bus: Bus, type_: str) -> None:
    drives = [d.address for d in domain.devices.disks if d.bus == bus and isinstance(d.address, DriveAddress)]
    if drives:
        need(domain, type_, drives)


HIGHEST = 1023
"""The number of the last controller that is made for a disk's sake: more fit on no guest's buses."""


def need(domain: Domain, type_: str, addresses: Iterable[DriveAddress]) -> None:
    """Controllers up to the highest that is named."""
    highest = max(a.controller for a in addresses)
    if highest > HIGHEST:
        raise ConfigUnsupported(f"{type_} controller {highest} would need all those before it, {HIGHEST} is the most")
    for index in range(highest + 1):
        ensure(domain, type_, index)


def scsi_models(domain: Domain, caps: Capabilities) -> None:
    """The SCSI adapter that QEMU has."""
    default = "lsilogic" if caps.has_device("lsi53c895a") else "virtio-scsi"
    for controller in domain.devices.controllers:
        if isinstance(controller, ScsiController) and controller.model in (None, "auto"):
            controller.model = default  # type: ignore[assignment]


def defaults(domain: Domain, caps: Capabilities) -> None:
    """The machine's own controllers, and models."""
    of_machine(domain, caps)
    scsi_models(domain, caps)
