"""`<disk>`: what the guest sees as a disk, CD-ROM or floppy drive, or SCSI LUN."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.backingstore import BackingStore, Chain, Mirror
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.encryption import Encryption
from splitvirt.xml.devices.source import Auth, MetadataCache, Storage, StorageFormat, StorageType
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import (
    LIVE,
    Element,
    Node,
    OnOff,
    Positive,
    Unsigned,
    Unsigned64,
    YesNo,
    attr,
    child,
    present,
    text,
)

DriverFormat = Literal[StorageFormat, "aio"]
Bus = Literal["ide", "fdc", "scsi", "virtio", "xen", "usb", "uml", "sata", "sd"]


class DiskDriver(VirtioOptions, tag="driver", hide_empty=True):
    """How the emulator treats the image."""

    name: str | None = attr()
    type: DriverFormat | None = attr(wrong=lambda raw: ConfigUnsupported(f"unknown driver format value '{raw}'"))
    cache: Literal["default", "none", "writethrough", "writeback", "directsync", "unsafe"] | None = attr(omit="default")
    error_policy: Literal["stop", "report", "ignore", "enospace"] | None = attr()
    rerror_policy: Literal["stop", "report", "ignore", "enospace"] | None = attr()
    io: Literal["native", "threads", "io_uring"] | None = attr()
    ioeventfd: OnOff | None = attr()
    event_idx: OnOff | None = attr()
    copy_on_read: OnOff | None = attr()
    discard: Literal["unmap", "ignore"] | None = attr()
    iothread: Positive | None = attr()
    detect_zeroes: Literal["off", "on", "unmap"] | None = attr()
    queues: Unsigned | None = attr(omit=0)
    queue_size: Unsigned | None = attr(omit=0)
    metadata_cache: MetadataCache | None = child()

    def check(self, node: Node) -> None:
        if self.type == "none":
            raise ConfigUnsupported("unknown driver format value 'none'")
        if self.type == "aio":  # the name that Xen had for it
            self.type = "raw"


class Geometry(Element, tag="geometry", hide_empty=True):
    """Cylinders, heads, sectors."""

    cyls: Unsigned | None = attr()
    heads: Unsigned | None = attr()
    secs: Unsigned | None = attr()
    trans: Literal["none", "auto", "lba"] | None = attr()

    def visible(self, bits: int) -> Mapping[str, Any]:
        """Nothing where it is incomplete."""
        return self.__dict__ if self.cyls and self.heads and self.secs else {}


def invalid(name: str) -> Any:
    """The error for a throttling value that is no number."""
    return lambda raw: XMLError(f"disk iotune field '{name}' must be an integer")


def limit(name: str) -> Any:
    """A throttling value; 0 is none."""
    return text(name, omit=0, wrong=invalid(name))


class IoTune(Element, tag="iotune", hide_empty=True):
    """Throttling: bytes and operations per second, bursts above that, and for how many seconds."""

    total_bytes_sec: Unsigned64 | None = limit("total_bytes_sec")
    read_bytes_sec: Unsigned64 | None = limit("read_bytes_sec")
    write_bytes_sec: Unsigned64 | None = limit("write_bytes_sec")
    total_iops_sec: Unsigned64 | None = limit("total_iops_sec")
    read_iops_sec: Unsigned64 | None = limit("read_iops_sec")
    write_iops_sec: Unsigned64 | None = limit("write_iops_sec")
    total_bytes_sec_max: Unsigned64 | None = limit("total_bytes_sec_max")
    read_bytes_sec_max: Unsigned64 | None = limit("read_bytes_sec_max")
    write_bytes_sec_max: Unsigned64 | None = limit("write_bytes_sec_max")
    total_iops_sec_max: Unsigned64 | None = limit("total_iops_sec_max")
    read_iops_sec_max: Unsigned64 | None = limit("read_iops_sec_max")
    write_iops_sec_max: Unsigned64 | None = limit("write_iops_sec_max")
    size_iops_sec: Unsigned64 | None = limit("size_iops_sec")
    group_name: str | None = text()
    total_bytes_sec_max_length: Unsigned64 | None = limit("total_bytes_sec_max_length")
    read_bytes_sec_max_length: Unsigned64 | None = limit("read_bytes_sec_max_length")
    write_bytes_sec_max_length: Unsigned64 | None = limit("write_bytes_sec_max_length")
    total_iops_sec_max_length: Unsigned64 | None = limit("total_iops_sec_max_length")
    read_iops_sec_max_length: Unsigned64 | None = limit("read_iops_sec_max_length")
    write_iops_sec_max_length: Unsigned64 | None = limit("write_iops_sec_max_length")


class Disk(Chain, Storage, Device, tag="disk"):
    """A disk; `bus` and the driver's name and format are set by prepare when they are missing."""

    type: StorageType | None = attr(default="file", order=-2)
    device: Literal["disk", "cdrom", "floppy", "lun"] = attr(default="disk", order=-2)
    model: VirtioModel | None = attr(order=-2)
    rawio: YesNo | None = attr(order=-2)
    sgio: Literal["filtered", "unfiltered"] | None = attr(order=-2)
    snapshot: Literal["no", "internal", "external", "manual"] | None = attr(order=-2)
    driver: DiskDriver | None = child(order=-2)
    auth: Auth | None = child(order=-2)
    backing: BackingStore | None = child("backingStore")
    backenddomain: str | None = attr("backenddomain/@name")
    geometry: Geometry | None = child()
    logical_block_size: Unsigned | None = attr("blockio/@logical_block_size", omit=0)
    physical_block_size: Unsigned | None = attr("blockio/@physical_block_size", omit=0)
    mirror: Mirror | None = child(mode=LIVE)
    target: str | None = attr("target/@dev")
    bus: Bus | None = attr("target/@bus")
    tray: Literal["closed", "open"] | None = attr("target/@tray", omit="closed")
    removable: OnOff | None = attr("target/@removable")
    rotation_rate: Unsigned | None = attr("target/@rotation_rate", omit=0)
    iotune: IoTune | None = child()
    readonly: bool = present()
    shareable: bool = present()
    transient: bool = present()
    share_backing: YesNo | None = attr("transient/@shareBacking")
    serial: str | None = text()
    wwn: str | None = text()
    vendor: str | None = text()
    product: str | None = text()
    encryption: Encryption | None = child()

    def visible(self, bits: int) -> Mapping[str, Any]:
        """That a read-only disk takes no part in snapshots goes without saying."""
        values = super().visible(bits)
        return {**values, "snapshot": None} if self.snapshot == "no" and self.readonly else values
