"""Memory devices as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.memory import MemoryDevice
from virtqemud.argv.context import Context
from virtqemud.argv.machine.memory import aligned, backend
from virtqemud.argv.parts import Parts

from .properties import pci_place

DRIVERS = {"dimm": "pc-dimm", "nvdimm": "nvdimm", "virtio-pmem": "virtio-pmem-pci", "virtio-mem": "virtio-mem-pci"}

MODULE = 2 << 10
"""KiB that the size of a memory module is a multiple of."""


def memory(dev: MemoryDevice, ctx: Context) -> Parts:
    """A backend and the device."""
    id = f"mem{dev.alias}"
    parts = backend(ctx, id, aligned(dev.size, MODULE), None, dev)
    driver = DRIVERS.get(dev.model)
    if driver is None:
        raise ConfigUnsupported("sgx epc isn't supported")
    value: dict[str, Any] = {"driver": driver}
    if dev.model != "virtio-pmem":
        value["node"] = dev.node
    if dev.model == "nvdimm":
        label = dev.label_size << 10 if dev.label_size else None
        value |= {"label-size": label, "uuid": dev.uuid, "unarmed": True if dev.readonly else None}
    if dev.model == "virtio-mem":
        value |= {
            "block-size": (dev.block or 0) << 10,
            "requested-size": dev.requested << 10 if dev.requested else None,
        }
    parts.json("-device", value | {"memdev": id, "id": dev.alias} | slot(dev, ctx))
    return parts


def slot(dev: MemoryDevice, ctx: Context) -> dict[str, Any]:
    """Its memory slot, or its place on PCI."""
    at: Any = dev.address
    if at is None:
        return {}
    if at.type == "dimm":
        return {"slot": at.slot, "addr": at.base or None}
    return pci_place(dev, ctx)
