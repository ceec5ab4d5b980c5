"""The guest's PCI buses and who has which function of which slot: what is free, what must be added."""

from splitvirt.api.errors import InternalError, XMLError
from splitvirt.xml.address import PciAddress, PciPlace, spell_pci

from . import connect
from .connect import (
    BUSES,
    DMI_BRIDGE,
    DOWNSTREAM,
    EXPANDER,
    PCI,
    PCI_BRIDGE,
    PCIE,
    PCIE_EXPANDER,
    PCIE_TO_PCI,
    ROOT_PORT,
    UPSTREAM,
)


class Bus:
    """One bus; `slots` has the functions in use of every slot that is not empty, as bits."""

    def __init__(self, model: str, *, hotplug: bool = True) -> None:
        self.model = model
        self.flags, self.first, self.last = BUSES[model]
        if not hotplug:
            self.flags &= ~connect.HOTPLUG
        self.slots: dict[int, int] = {}
        self.shared: set[int] = set()  # slots whose devices take a function each

    def free(self, flags: int, function: int) -> tuple[int, int] | None:
        """The first slot and function that a device may have."""
        if not connect.fits(flags, self.flags):
            return None
        for slot in range(self.first, self.last + 1):
            used = self.slots.get(slot, 0)
            if not used:
                return slot, function
            if flags & connect.AGGREGATE and slot in self.shared:
                for f in range(8):
                    if not used & 1 << f:
                        return slot, f
        return None

    @property
    def full(self) -> bool:
        """Whether no slot is left."""
        return all(slot in self.slots for slot in range(self.first, self.last + 1))


class Space:
    """All buses. With `growing`, buses that are missing are added; else asking for them is an error."""

    def __init__(self, *, growing: bool, to_pci: bool = True) -> None:
        self.buses: list[Bus | None] = []
        self.growing = growing
        self.to_pci = to_pci  # the emulator has pcie-pci-bridge

    def set_bus(self, index: int, bus: Bus) -> None:
        """Put a bus where a controller says it is."""
        while len(self.buses) <= index:
            self.buses.append(None)
        self.buses[index] = bus

    def fill(self, model: str) -> None:
        """A bus of the usual kind for every number below the highest that has none."""
        self.buses = [bus or Bus(model) for bus in self.buses]

    def used(self, slot: int, bus: int = 0) -> bool:
        """Whether anything is in a slot."""
        found = self.buses[bus]
        return found is not None and slot in found.slots

    def reserve(self, place: PciPlace, flags: int, *, given: bool = False) -> PciPlace:
        """Take a place; `given` are those that the XML asks for. Raises XMLError when that cannot be.

        Returns the place, which is on the next bus when this one had to become the port of a bridge to it.
        """
        _, bus, slot, function = place
        shown = spell_pci(place)
        if self.growing and bus >= len(self.buses):
            bus = max(bus, self.grow(bus - len(self.buses) + 1, flags))
            place = (place[0], bus, slot, function)
        self.check(place, flags, given, shown)
        target = self.buses[bus]
        assert target is not None
        if target.slots.get(slot, 0) & 1 << function:
            raise XMLError(f"Attempted double use of PCI Address {spell_pci(place)}")
        if slot not in target.slots and flags & connect.AGGREGATE:
            target.shared.add(slot)
        target.slots[slot] = target.slots.get(slot, 0) | 1 << function
        return place

    def check(self, place: PciPlace, flags: int, given: bool, shown: str) -> None:
        """Raise XMLError where a place is none for this kind of device; `shown` is what it was called."""
        domain, index, slot, _ = place
        if domain:
            raise XMLError(f"Invalid PCI address {shown}. Only PCI domain 0 is available")
        if index >= len(self.buses):
            raise XMLError(f"Invalid PCI address {shown}. Only PCI buses up to {len(self.buses) - 1} are available")
        bus = self.buses[index]
        if bus is None:
            raise XMLError(f"Invalid PCI address {shown}. There is no PCI controller with index='{index}'")
        self.check_kind(bus, place, flags, given)
        if slot < bus.first:
            raise XMLError(f"Invalid PCI address {shown}. slot must be >= {bus.first}")
        if slot > bus.last:
            raise XMLError(f"Invalid PCI address {shown}. slot must be <= {bus.last}")

    def check_kind(self, bus: Bus, place: PciPlace, flags: int, given: bool) -> None:
        """Raise XMLError where the bus does not take such a device; a given place counts more than what is usual."""
        takes = bus.flags
        if given:
            takes |= connect.ENDPOINTS | PCI_BRIDGE if takes & connect.ENDPOINTS else 0
            takes |= connect.HOTPLUG | connect.AUTO
        where = f"The device at PCI address {spell_pci(place)}"
        if flags & connect.INTEGRATED and place[1]:
            raise XMLError(f"{where} needs to be an integrated device (bus=0)")
        if not flags & takes & connect.KINDS:
            raise XMLError(
                f"{where} cannot be plugged into the PCI controller with index='{place[1]}'. "
                f"It requires a controller that accepts a {connect.named(flags)}."
            )
        if flags & connect.HOTPLUG and not takes & connect.HOTPLUG:
            raise XMLError(
                f"{where} requires hotplug capability, but the PCI controller with index='{place[1]}' "
                "doesn't support hotplug"
            )

    def take(self, flags: int, function: int = 0) -> PciAddress:
        """The first place that fits, reserved; a bus is added if there is none. Raises InternalError if that fails."""
        place = self.find(flags, function)
        if place is None:
            if not self.growing:
                raise InternalError("No more available PCI slots")
            index = self.grow(1, flags)
            bus = self.buses[index]
            assert bus is not None
            place = (0, index, bus.first, function)
        self.reserve(place, flags)
        return PciAddress(domain=0, bus=place[1], slot=place[2], function=place[3])

    def find(self, flags: int, function: int) -> PciPlace | None:
        """The first place that fits."""
        for index, bus in enumerate(self.buses):
            found = bus.free(flags, function) if bus is not None else None
            if found is not None:
                return 0, index, *found
        return None

    def grow(self, count: int, flags: int) -> int:
        """Add buses of the kind that takes such a device; the index of the last. Raises InternalError for others."""
        if flags & PCI:
            self.add_bridges(count)
        elif flags & (PCIE | UPSTREAM):
            self.add("pcie-root-port", count)
        elif flags & (PCI_BRIDGE | ROOT_PORT | DOWNSTREAM | DMI_BRIDGE | EXPANDER | PCIE_EXPANDER):
            raise InternalError(
                f"a PCI slot is needed to connect a PCI controller model='{connect.named(flags)}', "
                "but none is available, and it cannot be automatically added"
            )
        else:
            shown = f"{0x2000 if flags & PCIE_TO_PCI else 0:02x}"
            raise InternalError(f"Cannot automatically add a new PCI bus for a device with connect flags {shown}")
        return len(self.buses) - 1

    def add_bridges(self, count: int) -> None:
        """Buses for conventional PCI; where nothing takes a pci-bridge, first the way from PCIe to PCI."""
        if any(bus is not None and bus.flags & PCI_BRIDGE for bus in self.buses):
            self.add("pci-bridge", count)
        elif self.to_pci:
            self.add("pcie-root-port", 1)
            port = self.buses[-1]
            assert port is not None
            port.slots[0], port.flags = 1, connect.PCIE_TO_PCI  # the bridge is in it
            self.add("pcie-to-pci-bridge", 1)
            self.add("pci-bridge", count - 2)
        else:
            self.add("dmi-to-pci-bridge", 1)
            self.add("pci-bridge", max(count - 1, 1))

    def add(self, model: str, count: int) -> None:
        self.buses += [Bus(model) for _ in range(count)]
