"""PCI addresses: a first pass on a copy finds out which bridges and ports are missing, a second gives the places."""

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.address import MmioAddress, PciAddress
from splitvirt.xml.devices.controller import AnyController, PciController, UsbController
from splitvirt.xml.devices.device import Device
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.prepare.machine import has_pcie, is_i440fx, is_microvm, is_q35

from .chipset import old_hardware, reserve_chipset
from .connect import AUTO, HOTPLUG, PCI, PCIE, PLUGS
from .plugs import as_listed, homeless, in_order, placed, plug, wants
from .settings import set_options, set_ports
from .space import Bus, Space

USB2 = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}
"""The function of each part of a USB 2 controller in the slot that they share."""


def assign_pci(domain: Domain, caps: Capabilities) -> None:
    """Add the PCI controllers that are missing and give every PCI device its address.

    Raises XMLError for places that are taken or do not fit, InternalError when a bus cannot be added.
    """
    buses = pci_controllers(domain)
    if is_microvm(domain):
        for device in in_order(domain):
            if plug(device, False) and wants(device):
                device.address = MmioAddress()  # the board has slots for virtio devices, and no PCI
        return
    if not buses:
        if any(plug(device, False) and wants(device) for device in in_order(domain)):
            raise XMLError("No PCI buses available")
        return
    check_expanders(domain, buses)
    draft = domain.copy()
    space = new_space(draft, caps, growing=True)
    for device, copy in zip(as_listed(domain), as_listed(draft), strict=True):
        if placed(device):
            device.address = copy.address
    spare(draft, space, buses)
    index = 1
    while index < len(space.buses):  # a bridge that is added needs a place too, which may add another
        add_controller(domain, space, index)
        index += 1
    set_options(domain, caps)
    final = new_space(domain, caps, growing=False)
    give_places(domain, final)
    set_ports(domain)
    share_slots(domain)


def check_expanders(domain: Domain, buses: list[PciController]) -> None:
    """Raise ConfigUnsupported for extra root buses of the other kind of machine."""
    for controller in buses:
        if controller.model == "pci-expander-bus" and not is_i440fx(domain):
            text = "pci-expander-bus controllers are only supported on 440fx-based machinetypes"
            raise ConfigUnsupported(text)
        if controller.model == "pcie-expander-bus" and not is_q35(domain):
            raise ConfigUnsupported("pcie-expander-bus controllers are not supported with this machine type")


def pci_controllers(domain: Domain) -> list[PciController]:
    return [c for c in domain.devices.controllers if isinstance(c, PciController)]


def new_space(domain: Domain, caps: Capabilities, *, growing: bool) -> Space:
    """The buses that the guest has, with the places that its XML asks for and those of the chipset."""
    space = Space(growing=growing, to_pci=caps.has_device("pcie-pci-bridge"))
    for controller in pci_controllers(domain):
        root = controller.model in ("pci-root", "pcie-root")
        bus = Bus(controller.model or "pci-root", hotplug=root or controller.hotplug is not False)
        space.set_bus(controller.index or 0, bus)
    pcie = has_pcie(domain)
    if growing:
        space.fill("pcie-root-port" if pcie else "pci-bridge")
    for device in as_listed(domain):
        if placed(device) and plug(device, pcie):
            assert isinstance(device.address, PciAddress)
            old_hardware(device, device.address.place, space)
            device.address.bus = space.reserve(device.address.place, plug(device, pcie) | AUTO, given=True)[1]
    reserve_chipset(domain, space)
    return space


def spare(domain: Domain, space: Space, buses: list[PciController]) -> None:
    """Place everything on the draft, with room for one hot-plugged device more."""
    pcie = has_pcie(domain)
    hotplug = not any(c.hotplug is False for c in buses if c.model == "pci-root")
    if not pcie and hotplug and not all(bus is None or bus.full for bus in space.buses):
        space.take(PCI | HOTPLUG | AUTO)
    give_places(domain, space)
    if pcie and all(not c.index for c in buses) and len(space.buses) > 1:
        space.take(PCIE | HOTPLUG | AUTO)


def give_places(domain: Domain, space: Space) -> None:
    """An address for every PCI device that has none."""
    pcie = has_pcie(domain)
    for device in in_order(domain):
        flags = plug(device, pcie)
        if not (flags or homeless(device)) or not wants(device):
            continue
        if isinstance(device, UsbController) and device.model in USB2:
            device.address = companion(domain, space, device, flags)
        else:
            keep = device.address.zpci if isinstance(device.address, PciAddress) else None
            device.address = space.take(flags)
            device.address.zpci = keep


def companion(domain: Domain, space: Space, device: UsbController, flags: int) -> PciAddress:
    """The function of a part of a USB 2 controller, in the slot of the other parts if they have one."""
    function = USB2[device.model or ""]
    multifunction = True if function == 0 else None
    for other in domain.devices.controllers:
        if isinstance(other, UsbController) and other.model in USB2 and other.index == device.index and placed(other):
            assert isinstance(other.address, PciAddress)
            d, bus, slot, _ = other.address.place
            space.reserve((d, bus, slot, function), flags, given=True)
            return PciAddress(domain=d, bus=bus, slot=slot, function=function, multifunction=multifunction)
    address = space.take(flags, function)
    address.multifunction = multifunction
    return address


def add_controller(domain: Domain, space: Space, index: int) -> None:
    """Add the controller of a bus that has none, and keep a place for it."""
    bus = space.buses[index]
    assert bus is not None
    if all(c.index != index for c in pci_controllers(domain)):
        made: AnyController = PciController(index=index, model=bus.model)
        domain.devices.controllers.append(made)
        if bus.model != "pcie-to-pci-bridge":  # its port was reserved with it
            space.take(PLUGS[bus.model])


def share_slots(domain: Domain) -> None:
    """Say `multifunction` at function 0 of every slot of which other functions are in use."""
    slots: dict[tuple[int, int, int], list[Device]] = {}
    for device in in_order(domain):
        if isinstance(device.address, PciAddress):
            slots.setdefault(device.address.place[:3], []).append(device)
    for sharing in slots.values():
        for device in sharing:
            address = device.address
            assert isinstance(address, PciAddress)
            if len(sharing) > 1 and address.function == 0 and address.multifunction is None:
                address.multifunction = True
