"""Which of a guest's disks its agent speaks of: both know where on which bus it sits."""

from collections.abc import Iterator, Mapping
from typing import Any

from splitvirt.xml.address import DriveAddress, PciAddress
from splitvirt.xml.devices.controller import Controller
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud import devicelist

Place = tuple[int, ...]
"""Numbers of the PCI function; of a drive's controller, followed by its bus, target and unit."""

Targets = Mapping[Place, str]


def targets(config: DomainXML) -> Targets:
    """The targets ("vda") of disks, by their places."""
    buses = {
        (controller.type, controller.index): controller.address.place
        for controller in devicelist.of(config, Controller)
        if isinstance(controller.address, PciAddress)
    }
    found: dict[Place, str] = {}
    for disk in devicelist.of(config, Disk):
        at = disk.address
        if isinstance(at, PciAddress):
            found[at.place] = disk.target or ""
        elif isinstance(at, DriveAddress) and (bus := buses.get((disk.bus or "", at.controller))):
            found[(*bus, at.bus, at.target, at.unit)] = disk.target or ""
    return found


def target(known: Targets, at: Mapping[str, Any]) -> str | None:
    """The target of the disk at an address as the agent tells it; None for one that is not known."""
    return next((known[place] for place in _places(at) if place in known), None)


def _places(at: Mapping[str, Any]) -> Iterator[Place]:
    card = at.get("pci-controller", {})
    function = tuple(int(card.get(name, -1)) for name in ("domain", "bus", "slot", "function"))
    yield function
    yield (*function, *(int(at.get(name, -1)) for name in ("bus", "target", "unit")))
