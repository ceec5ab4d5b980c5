"""Where the chipsets of the pc and q35 machines have their own devices, and where old hardware had some of ours."""

from splitvirt.api.errors import InternalError
from splitvirt.xml.address import PciAddress, PciPlace
from splitvirt.xml.devices.controller import IdeController, PciController, PlainController, UsbController
from splitvirt.xml.devices.device import Device
from splitvirt.xml.domain import Domain
from virtqemud.prepare.machine import is_i440fx, is_q35

from .connect import KINDS, PCI_BRIDGE
from .plugs import placed, plug, wants
from .space import Space

IDE, PIIX3_USB, SATA = (0, 0, 1, 1), (0, 0, 1, 2), (0, 0, 0x1F, 2)
USB2_SLOTS, DMI_SLOT, SOUND_SLOT, LPC_SLOT = (0x1D, 0x1A), 0x1E, 0x1B, 0x1F
HEADLESS = ("none", "ramfb")


def reserve_chipset(domain: Domain, space: Space) -> None:
    """Give the devices that have one their usual place, and keep those of the chipset's own free of others.

    Raises InternalError where a device that must be in one place is told to be in another.
    """
    if is_i440fx(domain):
        piix3(domain, space)
    elif is_q35(domain):
        ich9(domain, space)


def piix3(domain: Domain, space: Space) -> None:
    """Slot 1 is the ISA bridge with IDE and USB; slot 2 the primary graphics card's."""
    for controller in domain.devices.controllers:
        if controller.index:
            continue
        if isinstance(controller, IdeController):
            fixed(space, controller, IDE, "Primary IDE controller must have PCI address 0:0:1.1")
        elif isinstance(controller, UsbController) and controller.model == "piix3-uhci":
            message = "PIIX3 USB controller at index 0 must have PCI address 0:0:1.2"
            fixed(space, controller, PIIX3_USB, message)
    space.reserve((0, 0, 1, 0), KINDS)
    primary_video(domain, space, 2)


def old_hardware(device: Device, place: PciPlace, space: Space) -> None:
    """Raise InternalError for the PIIX3's own controllers in their places on a bus that is no PCI."""
    ide = isinstance(device, IdeController) and place == IDE
    usb = isinstance(device, UsbController) and device.model == "piix3-uhci" and place == PIIX3_USB
    root = space.buses[0]
    if (ide or usb) and getattr(device, "index", None) == 0 and root is not None and not root.flags & PCI_BRIDGE:
        raise InternalError("Bus 0 must be PCI for integrated PIIX3 USB or IDE controllers")


def fixed(space: Space, device: Device, place: PciPlace, message: str) -> None:
    """A device that can be in one place only."""
    if placed(device):
        assert isinstance(device.address, PciAddress)
        if device.address.place != place:
            raise InternalError(message)
    else:
        put(space, device, place)


def put(space: Space, device: Device, place: PciPlace, *, multifunction: bool | None = None) -> None:
    """Reserve a place for a device and tell it."""
    space.reserve(place, KINDS)
    domain, bus, slot, function = place
    device.address = PciAddress(domain=domain, bus=bus, slot=slot, function=function, multifunction=multifunction)


def ich9(domain: Domain, space: Space) -> None:
    """The ISA bridge, SATA and SMBus share slot 1f; USB 2, DMI bridge and sound card have usual places."""
    for controller in domain.devices.controllers:
        if isinstance(controller, PlainController) and controller.type == "sata" and not controller.index:
            fixed(space, controller, SATA, "Primary SATA controller must have PCI address 0:0:1f.2")
        elif isinstance(controller, UsbController) and controller.model == "ich9-uhci1" and wants(controller):
            slot = next((s for s in USB2_SLOTS if not space.used(s)), None)
            if slot is not None:
                put(space, controller, (0, 0, slot, 0), multifunction=True)
        elif isinstance(controller, PciController) and controller.model == "dmi-to-pci-bridge":
            usual(space, controller, DMI_SLOT)
    space.reserve((0, 0, LPC_SLOT, 0), KINDS)
    space.reserve((0, 0, LPC_SLOT, 3), KINDS)
    primary_video(domain, space, 1)
    for sound in domain.devices.sounds:
        if sound.model == "ich9":
            usual(space, sound, SOUND_SLOT)


def usual(space: Space, device: Device, slot: int) -> None:
    """A place that a device has if it leaves the choice and nothing else is there."""
    if wants(device) and not space.used(slot):
        put(space, device, (0, 0, slot, 0))


def primary_video(domain: Domain, space: Space, slot: int) -> None:
    """The first graphics card's usual slot, if nothing else is there."""
    video = next(iter(domain.devices.videos), None)
    if video is None or video.model in HEADLESS or not wants(video):
        return
    if space.used(slot):
        video.address = space.take(plug(video, pcie=is_q35(domain)))
    else:
        put(space, video, (0, 0, slot, 0))
