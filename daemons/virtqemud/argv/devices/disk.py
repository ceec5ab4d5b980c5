"""Disks as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import InternalError
from splitvirt.xml.devices.controller import ScsiController
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.source import VhostUserSource
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options
from virtqemud.prepare.drives import index_of

from .blockdev import Chain, cache_mode
from .properties import controller_alias, place, virtio_name, virtio_options

NARROW = frozenset({"lsilogic", "ncr53c90", "dc390", "am53c974"})
"""Models of SCSI controllers that have targets only, without LUNs."""
VOLATILE = {"none": "on", "writeback": "on", "unsafe": "on", "writethrough": "off", "directsync": "off"}
"""Whether the guest must flush, by cache mode."""


def disk(dev: Disk, ctx: Context, chain: Chain | None, bootindex: int | None) -> Parts:
    """The block nodes of the image, if there is one, and the drive."""
    parts = Parts()
    source = dev.source
    if dev.bus == "sd":
        path = getattr(source, "file", None) or getattr(source, "dev", None)
        parts.add("-drive", options(file=path, format="raw", if_="sd", index=index_of(dev.target) or 0))
        return parts
    extra: dict[str, Any] = {}
    if isinstance(source, VhostUserSource):
        extra["chardev"] = f"chr-vu-{dev.alias}"
        again = source.reconnect
        seconds = None if again is None else (again.timeout or 0) if again.enabled else 0
        parts.add("-chardev", options("socket", id=extra["chardev"], path=source.path, reconnect=seconds))
    elif chain is not None:
        parts += chain.parts
        extra["drive"] = chain.top
    parts.json("-device", drive(dev, ctx, extra, bootindex))
    return parts


def drive(dev: Disk, ctx: Context, extra: dict[str, Any], bootindex: int | None) -> dict[str, Any]:
    """`-device` of the drive."""
    driver = dev.driver
    value = {"driver": driver_name(dev, ctx)} | position(dev, ctx) | extra | {"id": dev.alias}
    if dev.bus != "fdc":  # floppies boot by their controller's word
        value["bootindex"] = bootindex
    if dev.bus == "virtio":
        value = {"driver": value.pop("driver")} | virtio_options(driver) | queues(dev) | value
    if dev.bus == "usb":
        value["removable"] = bool(dev.removable)
    elif dev.removable is not None:
        value["removable"] = dev.removable
    cache = cache_mode(dev) if "chardev" not in extra else None
    if dev.bus != "fdc":
        value["write-cache"] = VOLATILE.get(cache or "")
    return value | geometry(dev) | identity(dev) | errors(dev)


def driver_name(dev: Disk, ctx: Context) -> str:
    """QEMU's name for a drive on its bus. Raises InternalError for a bus that QEMU has not."""
    cd = dev.device == "cdrom"
    match dev.bus:
        case "ide" | "sata":
            return "ide-cd" if cd else "ide-hd"
        case "scsi":
            return "scsi-block" if dev.device == "lun" else "scsi-cd" if cd else "scsi-hd"
        case "usb":
            return "usb-storage"
        case "fdc":
            return "floppy"
        case "virtio":
            base = "vhost-user-blk" if dev.type == "vhostuser" else "virtio-blk"
            return virtio_name(base, dev, ctx, dev.model or "")
    raise InternalError(f"unsupported disk bus '{dev.bus}' with device setup")


def position(dev: Disk, ctx: Context) -> dict[str, Any]:
    """Where the drive hangs."""
    at: Any = dev.address
    if dev.bus in ("virtio", "usb"):
        return place(dev, ctx)
    if at is None:
        return {}
    match dev.bus:
        case "ide":
            return {"bus": f"{controller_alias(ctx, 'ide', at.controller)}.{at.bus}", "unit": at.unit}
        case "sata":
            return {"bus": f"{controller_alias(ctx, 'sata', at.controller)}.{at.unit}"}
        case "fdc":
            return {"unit": at.unit}
    return scsi_position(dev, ctx, at)


def scsi_position(dev: Disk, ctx: Context, at: Any) -> dict[str, Any]:
    """A target, and on virtio-scsi a LUN; what it calls itself in page 0x83."""
    bus = f"{controller_alias(ctx, 'scsi', at.controller)}.0"
    name = None
    if dev.device in ("disk", "cdrom", None):
        name = dev.serial or f"drive-{dev.alias}"
    if scsi_model(ctx, at.controller) in NARROW:
        return {"bus": bus, "scsi-id": at.unit, "device_id": name}
    return {"bus": bus, "channel": at.bus, "scsi-id": at.target, "lun": at.unit, "device_id": name}


def scsi_model(ctx: Context, index: int) -> str | None:
    """The model of a SCSI controller."""
    found = (c for c in ctx.domain.devices.controllers if isinstance(c, ScsiController) and c.index == index)
    return next((c.model for c in found), None)


def queues(dev: Disk) -> dict[str, Any]:
    """How a virtio disk's requests are carried."""
    driver = dev.driver
    value: dict[str, Any] = {}
    if driver is not None:
        value = {
            "iothread": f"iothread{driver.iothread}" if driver.iothread else None, "ioeventfd": driver.ioeventfd,
            "event_idx": driver.event_idx, "num-queues": driver.queues or None,
            "queue-size": driver.queue_size or None,
        }  # fmt: skip
    return value | ({"scsi": True} if dev.device == "lun" else {})


def geometry(dev: Disk) -> dict[str, Any]:
    """Cylinders, block sizes and what else describes the medium."""
    at = dev.geometry
    translate = at.trans if at and at.trans not in (None, "none") else None
    return {
        "share-rw": True if dev.shareable else None,
        "logical_block_size": dev.logical_block_size or None,
        "physical_block_size": dev.physical_block_size or None,
        "cyls": at.cyls or None if at else None, "heads": at.heads or None if at else None,
        "secs": at.secs or None if at else None,
        "bios-chs-trans": translate, "rotation_rate": dev.rotation_rate or None,
    }  # fmt: skip


def identity(dev: Disk) -> dict[str, Any]:
    """What the drive says it is."""
    return {
        "wwn": int(dev.wwn, 16) if dev.wwn else None,
        "vendor": dev.vendor,
        "product": dev.product,
        "serial": None if dev.serial is None else dev.serial.replace(" ", "\\ "),
    }


def errors(dev: Disk) -> dict[str, Any]:
    """What happens on I/O errors."""
    write: str | None = dev.driver.error_policy if dev.driver else None
    read: str | None = dev.driver.rerror_policy if dev.driver else None
    write, read = (None if p == "default" else p for p in (write, read))
    if read is None and write != "enospace":
        read = write
    return {"werror": "enospc" if write == "enospace" else write, "rerror": read}


def floppy_controller(ctx: Context, order: dict[int, int]) -> Parts:
    """The boot order of floppies, which their controller is told; q35 has none of its own."""
    parts = Parts()
    drives = [d for d in ctx.domain.devices.disks if d.bus == "fdc"]
    indexes = {f"bootindex{'AB'[getattr(d.address, 'unit', 0) & 1]}": order.get(id(d)) for d in drives}
    if not drives:
        return parts
    if ctx.i440fx or "isapc" in ctx.machine:
        for name, value in indexes.items():
            if value is not None:
                parts.add("-global", f"isa-fdc.{name}={value}")
    else:
        parts.json("-device", {"driver": "isa-fdc"} | indexes)
    return parts
