"""What fits where on PCI: the kinds of plugs and sockets, as bits, and the socket side of every kind of bus."""

from typing import NamedTuple

PCI = 1 << 0  # a conventional PCI endpoint
PCIE = 1 << 1  # a PCIe endpoint
ROOT_PORT = 1 << 2
UPSTREAM = 1 << 3
DOWNSTREAM = 1 << 4
DMI_BRIDGE = 1 << 5
EXPANDER = 1 << 6
PCIE_EXPANDER = 1 << 7
PCI_BRIDGE = 1 << 8
PCIE_TO_PCI = 1 << 9
ENDPOINTS = PCI | PCIE
KINDS = (1 << 10) - 1
HOTPLUG = 1 << 10  # may be plugged into a running guest; a bus: allows it
AUTO = 1 << 11  # libvirt may choose the place; a bus: may be chosen
AGGREGATE = 1 << 12  # shares a slot with its like, a function each
INTEGRATED = 1 << 13  # only on bus 0

PLUGS = {
    "pci-bridge": PCI_BRIDGE,
    "pci-expander-bus": EXPANDER,
    "pcie-expander-bus": PCIE_EXPANDER,
    "dmi-to-pci-bridge": DMI_BRIDGE,
    "pcie-to-pci-bridge": PCIE_TO_PCI,
    "pcie-root-port": ROOT_PORT | AGGREGATE,
    "pcie-switch-upstream-port": UPSTREAM,
    "pcie-switch-downstream-port": DOWNSTREAM,
}
"""What each PCI controller needs of the bus that it sits on."""

NAMES = {
    PCI: "standard PCI device",
    PCIE: "PCI Express device",
    ROOT_PORT: "pcie-root-port",
    UPSTREAM: "pcie-switch-upstream-port",
    DOWNSTREAM: "pcie-switch-downstream-port",
    DMI_BRIDGE: "dmi-to-pci-bridge",
    EXPANDER: "pci-expander-bus",
    PCIE_EXPANDER: "pcie-expander-bus",
    PCI_BRIDGE: "pci-bridge",
    PCIE_TO_PCI: "pcie-to-pci-bridge",
}


class Socket(NamedTuple):
    """What a bus takes, and its first and last slot for devices."""

    flags: int
    first: int
    last: int


BUSES = {
    "pci-root": Socket(HOTPLUG | AUTO | PCI | PCI_BRIDGE | EXPANDER, 1, 31),
    "pci-bridge": Socket(HOTPLUG | AUTO | PCI | PCI_BRIDGE, 1, 31),
    "pci-expander-bus": Socket(HOTPLUG | AUTO | PCI | PCI_BRIDGE, 0, 31),
    "pcie-root": Socket(ENDPOINTS | ROOT_PORT | DMI_BRIDGE | PCIE_EXPANDER, 1, 31),
    "dmi-to-pci-bridge": Socket(PCI | PCI_BRIDGE, 0, 31),
    "pcie-to-pci-bridge": Socket(HOTPLUG | AUTO | PCI | PCI_BRIDGE, 1, 31),
    "pcie-root-port": Socket(HOTPLUG | AUTO | PCIE | UPSTREAM | PCIE_TO_PCI, 0, 0),
    "pcie-switch-upstream-port": Socket(DOWNSTREAM, 0, 31),
    "pcie-switch-downstream-port": Socket(HOTPLUG | AUTO | PCIE | UPSTREAM | PCIE_TO_PCI, 0, 0),
    "pcie-expander-bus": Socket(ROOT_PORT | DMI_BRIDGE, 0, 31),
}
"""The socket side of every PCI controller."""


def fits(plug: int, socket: int) -> bool:
    """Whether a device may be put on a bus of libvirt's own choice."""
    if plug & AUTO and not socket & AUTO:
        return False
    return bool(plug & socket & KINDS) and not (plug & HOTPLUG and not socket & HOTPLUG)


def named(plug: int) -> str:
    """The kind of a device, for messages."""
    return next((name for bit, name in NAMES.items() if plug & bit), "device")
