"""`<controller>`: what other devices plug into."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import Node, NonNegative, NonNegativeHex, OnOff, Signed, Unsigned, attr, child, size, text

ScsiModel = Literal[
    "auto", "buslogic", "lsilogic", "lsisas1068", "vmpvscsi", "ibmvscsi", "virtio-scsi", "lsisas1078",
    "virtio-transitional", "virtio-non-transitional", "ncr53c90", "dc390", "am53c974",
]  # fmt: skip
UsbModel = Literal[
    "piix3-uhci", "piix4-uhci", "ehci", "ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3", "vt82c686b-uhci",
    "pci-ohci", "nec-xhci", "qusb1", "qusb2", "qemu-xhci", "none",
]  # fmt: skip
PciModel = Literal[
    "pci-root", "pcie-root", "pci-bridge", "dmi-to-pci-bridge", "pcie-to-pci-bridge", "pcie-root-port",
    "pcie-switch-upstream-port", "pcie-switch-downstream-port", "pci-expander-bus", "pcie-expander-bus",
]  # fmt: skip
PciDeviceName = Literal[
    "none", "pci-bridge", "i82801b11-bridge", "ioh3420", "x3130-upstream", "xio3130-downstream", "pxb", "pxb-pcie",
    "pcie-root-port", "spapr-pci-host-bridge", "pcie-pci-bridge",
]  # fmt: skip


def unknown_model(raw: str) -> ConfigUnsupported:
    """The error for a model that no controller has."""
    return ConfigUnsupported(f"Unknown model type '{raw}'")


class ControllerDriver(VirtioOptions, tag="driver", hide_empty=True):
    """Queues and limits of a SCSI controller, and the options of a virtio one."""

    queues: Unsigned | None = attr(omit=0)
    cmd_per_lun: Unsigned | None = attr(omit=0)
    max_sectors: Unsigned | None = attr(omit=0)
    ioeventfd: OnOff | None = attr()
    iothread: Unsigned | None = attr(omit=0)


class Controller(Device):
    """A base for all kinds; `index` is None until prepare numbers it."""

    type: str = attr(order=-3)
    index: NonNegative | None = attr(order=-2)
    driver: ControllerDriver | None = child()
    master: Unsigned | None = attr("master/@startport")

    def check(self, node: Node) -> None:
        """Raise XMLError for two answers to one question."""
        for name in ("model", "target"):
            if sum(inner.tag == name for inner in node.children) > 1:
                raise XMLError(f"Multiple <{name}> elements in controller definition not allowed")


class PciController(Controller, tag="controller", when=("type", "pci")):
    """A PCI bus: the root, a bridge, a port. `index` is the bus number in addresses on it."""

    type: str = attr(default="pci", order=-3)
    model: PciModel | None = attr(order=-1, wrong=unknown_model)
    name: PciDeviceName | None = attr("model/@name", order=-1, omit="none")
    chassis_nr: Signed | None = attr("target/@chassisNr", order=-1)
    chassis: Signed | None = attr("target/@chassis", order=-1)
    port: NonNegativeHex | None = attr("target/@port", order=-1)
    bus_nr: Signed | None = attr("target/@busNr", order=-1)
    target_index: Signed | None = attr("target/@index", order=-1)
    hotplug: OnOff | None = attr("target/@hotplug", order=-1)
    node: Unsigned | None = text("target/node", order=-1)
    pcihole64: int | None = size(last=True)


class UsbController(Controller, tag="controller", when=("type", "usb")):
    """A USB bus; the companions of an EHCI controller share its index and say where their ports start."""

    type: str = attr(default="usb", order=-3)
    model: UsbModel | None = attr(order=-1, wrong=unknown_model)
    ports: NonNegative | None = attr(order=-1)


class ScsiController(Controller, tag="controller", when=("type", "scsi")):
    """A SCSI host adapter."""

    type: str = attr(default="scsi", order=-3)
    model: ScsiModel | None = attr(order=-1, wrong=unknown_model)


class IdeController(Controller, tag="controller", when=("type", ("ide", None))):
    """An IDE controller, part of the i440FX machines."""

    type: str = attr(default="ide", order=-3)
    model: Literal["piix3", "piix4", "ich6"] | None = attr(order=-1, wrong=unknown_model)


class VirtioSerialController(Controller, tag="controller", when=("type", "virtio-serial")):
    """The bus of virtio consoles and channels."""

    type: str = attr(default="virtio-serial", order=-3)
    model: VirtioModel | None = attr(order=-1, wrong=unknown_model)
    ports: NonNegative | None = attr(order=-1)
    vectors: NonNegative | None = attr(order=-1)


class XenbusController(Controller, tag="controller", when=("type", "xenbus")):
    """Xen's bus."""

    type: str = attr(default="xenbus", order=-3)
    max_grant_frames: Unsigned | None = attr("@maxGrantFrames", order=-1)
    max_event_channels: Unsigned | None = attr("@maxEventChannels", order=-1)

    def check(self, node: Node) -> None:
        super().check(node)
        if "model" in node.attrs:
            raise unknown_model(node.attrs["model"])


class PlainController(Controller, tag="controller", when=("type", ("fdc", "sata", "ccid", "isa"))):
    """A kind with nothing to choose."""

    type: Literal["fdc", "sata", "ccid", "isa"] = attr(order=-3)

    def check(self, node: Node) -> None:
        super().check(node)
        if "model" in node.attrs:
            raise unknown_model(node.attrs["model"])


AnyController = (
    PciController
    | UsbController
    | ScsiController
    | IdeController
    | VirtioSerialController
    | XenbusController
    | PlainController
)
