"""The guest's IOMMU as QEMU arguments."""

from typing import Any

from splitvirt.xml.devices.iommu import Iommu
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import pci_place


def iommu(dev: Iommu, ctx: Context) -> Parts:
    """The device; ARM's is a property of the board (see `machine.board`)."""
    parts, driver = Parts(), dev.driver
    if dev.model == "virtio":
        parts.json("-device", {"driver": "virtio-iommu", "id": dev.alias} | pci_place(dev, ctx))
    elif dev.model == "intel":
        value: dict[str, Any] = {"driver": "intel-iommu", "id": dev.alias}
        if driver is not None:
            value |= {
                "intremap": word(driver.intremap), "caching-mode": driver.caching_mode, "eim": word(driver.eim),
                "device-iotlb": driver.iotlb, "aw-bits": driver.aw_bits or None,
            }  # fmt: skip
        parts.json("-device", value)
    return parts


def word(on: bool | None) -> str | None:
    return None if on is None else "on" if on else "off"
