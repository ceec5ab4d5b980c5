"""How much memory a guest's QEMU may lock, which as root it might without limit."""

from collections.abc import Iterable

from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.hostdev import MdevHostdev, PciHostdev
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.domain import Domain
from splitvirt.xml.element import Element
from virtqemud import devicelist

BESIDES = 1 << 30
"""Bytes besides the guest's memory that devices of the host are mapped with; libvirt's figure."""


def locked_memory(live: Domain, coming: Iterable[Element] = ()) -> int:
    """Bytes: -1 without limit, 0 for what needs none; `coming` are devices that it is to get besides."""
    backing = live.memory_backing
    if backing is not None and backing.locked:
        limit = live.memtune.hard_limit if live.memtune is not None else None
        return limit << 10 if limit else -1
    if any(_maps(device) for device in (*devicelist.every(live), *coming)):
        return (max(live.memory or 0, live.max_memory or 0) << 10) + BESIDES
    return 0


def _maps(device: Element) -> bool:
    """Whether the host's device reaches into the guest's memory, which then must not move."""
    match device:
        case PciHostdev() | MdevHostdev():
            return True
        case Interface():
            return device.type in ("hostdev", "vdpa")
        case Disk():
            return device.type == "nvme"
    return False
