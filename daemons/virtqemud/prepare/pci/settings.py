"""What each PCI controller is called and numbered by: model name, chassis, port, bus number."""

from splitvirt.xml.address import PciAddress
from splitvirt.xml.devices.controller import PciController
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

NAMES = {
    "pci-bridge": "pci-bridge",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
    "pci-expander-bus": "pxb",
    "pcie-expander-bus": "pxb-pcie",
}
"""QEMU's device behind each model that has only one."""
PORTS = ("pcie-root-port", "pcie-switch-downstream-port")
EXPANDERS = ("pci-expander-bus", "pcie-expander-bus")


def set_options(domain: Domain, caps: Capabilities) -> None:
    """Fill in what does not depend on the controller's address."""
    controllers = [c for c in domain.devices.controllers if isinstance(c, PciController)]
    for controller in controllers:
        if controller.model == "pcie-root-port" and controller.name is None:
            controller.name = "pcie-root-port" if caps.has_device("pcie-root-port") else "ioh3420"
        elif controller.name is None and controller.model in NAMES:
            controller.name = NAMES[controller.model]  # type: ignore[assignment]
        if controller.model == "pci-bridge" and controller.chassis_nr is None:
            controller.chassis_nr = controller.index
        elif controller.model in PORTS and controller.chassis is None:
            controller.chassis = controller.index
        elif controller.model in EXPANDERS and controller.bus_nr is None:
            controller.bus_nr = free_bus_number(controllers)


def free_bus_number(controllers: list[PciController]) -> int:
    """Below the lowest in use, with room for a bridge on the bus."""
    return min([256, *(c.bus_nr for c in controllers if c.model in EXPANDERS and c.bus_nr is not None)]) - 2


def set_ports(domain: Domain) -> None:
    """Number root ports and switch ports by their place."""
    for controller in domain.devices.controllers:
        if not isinstance(controller, PciController) or controller.port is not None:
            continue
        address = controller.address
        if controller.model in PORTS and isinstance(address, PciAddress):
            whole = address.slot << 3 | address.function
            controller.port = whole if controller.model == "pcie-root-port" else address.slot
