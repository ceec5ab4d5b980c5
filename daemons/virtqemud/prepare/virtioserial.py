"""Ports of virtio-serial controllers for channels; controllers are added while the ports do not suffice.

Port 0 is left to consoles, which QEMU places by itself. Numbers are libvirt 9.0's, measured.
"""

from splitvirt.api.errors import XMLError
from splitvirt.xml.address import VirtioSerialAddress
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.controller import VirtioSerialController
from splitvirt.xml.domain import Domain

DEFAULT_PORTS = 31
Taken = dict[int, set[int]]


def assign_virtio_serial(domain: Domain) -> None:
    """Check the ports that are given and choose the others. The controllers that addresses name must exist."""
    sizes = {c.index or 0: _ports(c) for c in domain.devices.controllers if isinstance(c, VirtioSerialController)}
    channels = [c for c in domain.devices.channels if c.target_type == "virtio"]
    taken: Taken = {index: set() for index in sizes}
    consoles = [c for c in domain.devices.consoles if c.target_type == "virtio"]
    ports: list[Channel | Console] = [*consoles, *channels]
    for port in ports:
        if _given(port):
            _reserve(port, sizes, taken)
    for channel in channels:
        if not _given(channel):
            _place(domain, channel, sizes, taken)


def _ports(controller: VirtioSerialController) -> int:
    return DEFAULT_PORTS if controller.ports is None else controller.ports


def _given(channel: Channel | Console) -> bool:
    return isinstance(channel.address, VirtioSerialAddress) and channel.address.port != 0


def _reserve(channel: Channel | Console, sizes: dict[int, int], taken: Taken) -> None:
    address = channel.address
    assert isinstance(address, VirtioSerialAddress)
    number, port = address.controller, address.port
    if number not in sizes:
        raise XMLError(f"virtio serial controller {number} is missing")
    if port >= sizes[number]:
        raise XMLError(f"virtio serial controller {number} does not have port {port}")
    if port in taken[number]:
        raise XMLError(f"virtio serial port {port} on controller {number} is already occupied")
    taken[number].add(port)


def _place(domain: Domain, channel: Channel, sizes: dict[int, int], taken: Taken) -> None:
    wanted = channel.address.controller if isinstance(channel.address, VirtioSerialAddress) else None
    order = sorted(sizes, key=lambda number: (number != wanted, number))
    for number in order:
        port = next((p for p in range(1, sizes[number]) if p not in taken[number]), None)
        if port is not None:
            break
    else:
        number = next(n for n in range(len(sizes) + 1) if n not in sizes)
        port = 1
        domain.devices.controllers.append(VirtioSerialController(index=number))
        sizes[number], taken[number] = DEFAULT_PORTS, set()
    channel.address = VirtioSerialAddress(controller=number, bus=0, port=port)
    taken[number].add(port)
