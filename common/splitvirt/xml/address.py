"""`<address>`: where a device sits on its bus.

`type` picks the class. `unset` says that an address names its bus only, and leaves the place for prepare to choose.
"""

from splitvirt.api.errors import InternalError, XMLError
from splitvirt.xml.element import Element, Hex1, Hex2, Hex4, Hex8, Hex64, Node, OnOff, PlainHex, Unsigned, attr, child
from splitvirt.xml.units import decimal

PciPlace = tuple[int, int, int, int]
"""Domain, bus, slot, function."""


class Zpci(Element, tag="zpci"):
    """What a PCI device is called on IBM Z."""

    uid: Hex4 | None = attr()
    fid: Hex8 | None = attr()


class Pci(Element):
    """The numbers of a PCI address, on the host or in the guest."""

    domain: Hex4 = attr(default=0)
    bus: Hex2 = attr(default=0)
    slot: Hex2 = attr(default=0)
    function: Hex1 = attr(default=0)

    @property
    def place(self) -> PciPlace:
        """The address as a key."""
        return self.domain, self.bus, self.slot, self.function

    @property
    def unset(self) -> bool:
        """Whether no place was given: slot 0 of bus 0 is the host bridge's own."""
        return not any(self.place[:3])

    def __str__(self) -> str:
        return spell_pci(self.place)

    def check(self, node: Node) -> None:
        for name, high, shown in (("bus", 0xFF, "FF"), ("slot", 0x1F, "1F")):
            if getattr(self, name) > high:
                raise XMLError(f"Invalid PCI address {name}='0x{getattr(self, name):x}', must be <= 0x{shown}")
        if self.function > 7:
            raise XMLError(f"Invalid PCI address function=0x{self.function:x}, must be <= 7")


def spell_pci(place: PciPlace) -> str:
    """As everybody writes it: 0000:00:1f.2."""
    domain, bus, slot, function = place
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


class Address(Element, tag="address"):
    """A base for all kinds."""

    type: str = attr(order=-1)

    @property
    def unset(self) -> bool:
        """Whether the place on the bus is still open."""
        return False


class PciAddress(Pci, Address, tag="address", when=("type", "pci")):
    """On a PCI or PCIe bus; `bus` is the index of a controller."""

    type: str = attr(default="pci", order=-1)
    multifunction: OnOff | None = attr(last=True)
    zpci: Zpci | None = child(last=True)


class DriveAddress(Address, when=("type", "drive")):
    """On an IDE, SCSI, SATA or floppy controller."""

    type: str = attr(default="drive", order=-1)
    controller: Unsigned = attr(default=0)
    bus: Unsigned = attr(default=0)
    target: Unsigned = attr(default=0)
    unit: Unsigned = attr(default=0)

    @property
    def place(self) -> tuple[int, int, int, int]:
        """The address as a key."""
        return self.controller, self.bus, self.target, self.unit


class VirtioSerialAddress(Address, when=("type", "virtio-serial")):
    """A port of a virtio-serial controller; port 0 is for consoles."""

    type: str = attr(default="virtio-serial", order=-1)
    controller: Unsigned = attr(default=0)
    bus: Unsigned = attr(default=0)
    port: Unsigned = attr(default=0)


class CcidAddress(Address, when=("type", "ccid")):
    """A slot of a smart card reader."""

    type: str = attr(default="ccid", order=-1)
    controller: Unsigned = attr(default=0)
    slot: Unsigned = attr(default=0)

    @property
    def place(self) -> tuple[int, int]:
        """Reader and slot."""
        return self.controller, self.slot


class UsbAddress(Address, when=("type", "usb")):
    """A port of a USB controller, or of a hub on a port: "1.2" is port 2 of the hub at port 1."""

    type: str = attr(default="usb", order=-1)
    bus: Unsigned = attr(default=0)
    port: str | None = attr()

    @property
    def unset(self) -> bool:
        return self.port is None

    @property
    def path(self) -> tuple[int, ...]:
        """The port, from the root outwards; empty when not given."""
        return tuple(int(p) for p in self.port.split(".")) if self.port else ()

    def check(self, node: Node) -> None:
        if self.port is not None:
            parts = self.port.split(".")
            if len(parts) > 4 or not all(map(decimal, parts)):
                raise InternalError("Cannot parse <address> 'port' attribute")
            self.port = ".".join(str(int(p)) for p in parts)


class SpaprVioAddress(Address, when=("type", "spapr-vio")):
    """A register of POWER's virtual I/O."""

    type: str = attr(default="spapr-vio", order=-1)
    reg: Hex64 | None = attr()


class S390Address(Address, when=("type", "virtio-s390")):
    """The bus before CCW; it has no places, and a device on it no address."""

    type: str = attr(default="virtio-s390", order=-1)

    def check(self, node: Node) -> None:
        raise XMLError("virtio-s390 bus doesn't have an address")


class CcwAddress(Address, when=("type", "ccw")):
    """A channel of IBM Z."""

    type: str = attr(default="ccw", order=-1)
    cssid: Hex1 | None = attr()
    ssid: Hex1 | None = attr()
    devno: Hex4 | None = attr()

    @property
    def unset(self) -> bool:
        return self.devno is None

    def check(self, node: Node) -> None:
        given = [v is not None for v in (self.cssid, self.ssid, self.devno)]
        if any(given) and not all(given):
            raise InternalError("Invalid partial specification for virtio ccw address")


class MmioAddress(Address, when=("type", "virtio-mmio")):
    """A virtio device without a bus; QEMU finds it a place."""

    type: str = attr(default="virtio-mmio", order=-1)


class IsaAddress(Address, when=("type", "isa")):
    """I/O port and interrupt line."""

    type: str = attr(default="isa", order=-1)
    iobase: PlainHex | None = attr(omit=0)
    irq: PlainHex | None = attr(omit=0)


class DimmAddress(Address, when=("type", "dimm")):
    """A memory slot, and where its memory begins."""

    type: str = attr(default="dimm", order=-1)
    slot: Unsigned | None = attr(needed=True)
    base: Hex64 | None = attr(omit=0)

    @property
    def unset(self) -> bool:
        return self.slot is None


class Unassigned(Address, when=("type", "unassigned")):
    """A host device that the guest does not get."""

    type: str = attr(default="unassigned", order=-1)


AnyAddress = (
    PciAddress
    | DriveAddress
    | VirtioSerialAddress
    | CcidAddress
    | UsbAddress
    | SpaprVioAddress
    | S390Address
    | CcwAddress
    | MmioAddress
    | IsaAddress
    | DimmAddress
    | Unassigned
)
