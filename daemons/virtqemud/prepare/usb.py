"""USB addresses: which port of which controller or hub every USB device has.

Ports and the choice among them are measured facts of libvirt 9.0: a level's own ports come before those of the hubs
plugged into it, hubs before other devices, and hubs are added while the ports do not suffice.
"""

from collections.abc import Iterator

from splitvirt.api.errors import InternalError, XMLError
from splitvirt.xml.address import UsbAddress
from splitvirt.xml.devices.controller import UsbController
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.hub import Hub
from splitvirt.xml.domain import Domain

ROOT_PORTS = {
    "piix3-uhci": 2, "piix4-uhci": 2, "vt82c686b-uhci": 2, "pci-ohci": 3, "nec-xhci": 4, "qemu-xhci": 4,
    "ehci": 6, "ich9-ehci1": 6,
}  # fmt: skip
HUB_PORTS = 8
MAX_DEPTH = 4  # a port's path has at most four numbers
COMPANIONS = ("ich9-uhci1", "ich9-uhci2", "ich9-uhci3")  # share the ports of their EHCI controller


class Level:
    """The ports of a root or of a hub: what is plugged into each, a `Level` where that is a hub."""

    def __init__(self, ports: int) -> None:
        self.ports = ports
        self.taken: dict[int, Level | None] = {}

    def free(self, path: tuple[int, ...] = ()) -> tuple[int, ...] | None:
        """The path of the first free port, this level's own before its hubs'."""
        if len(path) >= MAX_DEPTH:
            return None
        for port in range(1, self.ports + 1):
            if port not in self.taken:
                return (*path, port)
        hubs = ((port, hub) for port, hub in sorted(self.taken.items()) if hub is not None)
        return next((found for port, hub in hubs if (found := hub.free((*path, port)))), None)


Buses = dict[int, Level]


def assign_usb(domain: Domain) -> None:
    """Check the USB addresses that are given and choose the others; adds hubs where ports do not suffice."""
    buses = _buses(domain)
    if not buses:
        return
    hubs, others = list(domain.devices.hubs), list(usb_devices(domain))
    for device in (*hubs, *others):
        elsewhere = device.address is not None and not isinstance(device.address, UsbAddress)
        if elsewhere and not isinstance(device, Hub):
            raise XMLError("Invalid address for a USB device")
        if _given(device):
            _reserve(buses, device)
    domain.devices.hubs += (added := _more_hubs(buses, domain, len(hubs) + len(others)))
    for device in (*hubs, *added, *others):
        if not _given(device):
            _place(buses, device)


def usb_devices(domain: Domain) -> Iterator[Device]:
    """The USB devices that are not hubs, in the order in which they get their ports."""
    devices = domain.devices
    yield from (d for d in devices.hostdevs if getattr(d, "type", "") == "usb")
    yield from (d for d in devices.disks if d.bus == "usb")
    yield from (d for d in devices.controllers if d.type == "ccid")
    yield from (d for d in devices.inputs if d.bus == "usb")
    yield from (d for d in devices.serials if d.target_type == "usb-serial")
    yield from (d for d in devices.sounds if d.model == "usb")
    yield from (d for d in devices.redirdevs if d.bus == "usb")


def _buses(domain: Domain) -> Buses:
    buses: Buses = {}
    for controller in domain.devices.controllers:
        if not isinstance(controller, UsbController) or controller.model in COMPANIONS:
            continue
        ports = controller.ports or ROOT_PORTS.get(controller.model or "", 0)
        if not ports:
            continue
        index = controller.index or 0
        if index in buses:
            raise XMLError(f"Duplicate USB controllers with index {index}")
        buses[index] = Level(ports)
    return buses


def _given(device: Device) -> bool:
    """Whether the device has a whole address; port 0 is none."""
    return isinstance(device.address, UsbAddress) and bool(device.address.path) and device.address.path != (0,)


def _reserve(buses: Buses, device: Device) -> None:
    address = device.address
    assert isinstance(address, UsbAddress)
    if address.bus not in buses:
        raise XMLError(f"Missing USB bus {address.bus}")
    level = buses[address.bus]
    for port in address.path[:-1]:
        hub = level.taken.get(port)
        if hub is None:
            raise XMLError(f"there is no hub at port {port} in USB address bus: {address.bus} port: {address.port}")
        level = hub
    last = address.path[-1]
    if last > level.ports:
        raise XMLError(f"requested USB port {address.port} not present on USB bus {address.bus}")
    if last in level.taken:
        if isinstance(device, Hub):
            raise XMLError(f"Duplicate USB hub on bus {address.bus} port {address.port}")
        raise XMLError(f"Duplicate USB address bus {address.bus} port {address.port}")
    level.taken[last] = Level(HUB_PORTS) if isinstance(device, Hub) else None


def _more_hubs(buses: Buses, domain: Domain, needed: int) -> list[Hub]:
    """The hubs that are missing for `needed` devices; every hub costs a port and brings eight."""
    available = sum(level.ports for level in buses.values()) + HUB_PORTS * len(domain.devices.hubs)
    if needed <= available:
        return []
    return [Hub(type="usb") for _ in range(-(-(needed - available + 1) // (HUB_PORTS - 1)))]


def _place(buses: Buses, device: Device) -> None:
    wanted = device.address.bus if isinstance(device.address, UsbAddress) else None
    if wanted is not None and wanted not in buses:
        raise XMLError(f"USB bus {wanted} requested but no controller with that index is present")
    for bus in sorted(buses) if wanted is None else [wanted]:
        if path := buses[bus].free():
            device.address = UsbAddress(bus=bus, port=".".join(map(str, path)))
            _reserve(buses, device)
            return
    raise InternalError("No free USB ports")
