"""What a disk may not be: combinations that QEMU or the guest's bus do not have, in libvirt's words."""

import re
from itertools import combinations

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InternalError, VirtError, XMLError
from splitvirt.xml.address import DriveAddress
from splitvirt.xml.devices.backingstore import BackingStore
from splitvirt.xml.devices.disk import Disk, DiskDriver, IoTune
from splitvirt.xml.devices.source import NetworkSource, NvmeSource
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .diskbasics import check_address, check_engine, source_name
from .drives import index_of
from .filesystems import shares_memory
from .machine import is_i440fx
from .tune import thread_ids
from .virtio import no_virtio_options

SAFE_SERIAL = re.compile(r"[-A-Za-z0-9_ .+]*")
LIMIT = 10**15  # QEMU's bound of a throttling value
NOT_VHOSTUSER = ("serial", "wwn", "vendor", "product", "geometry", "iotune", "readonly", "shareable", "transient")
HARD = ("hd", "sd", "vd", "xvd", "ubd")


def check(domain: Domain, caps: Capabilities) -> None:
    """All other checks, one disk after the other and then between them."""
    threads = thread_ids(domain)
    for disk in domain.devices.disks:
        driver = disk.driver or DiskDriver()
        check_address(disk)
        check_source(disk)
        check_name(disk)
        check_kind(disk)
        check_vhostuser(disk, domain)
        check_driver(disk, driver)
        check_iothread(disk, driver, threads)
        check_sharing(disk, driver)
        check_formats(disk)
        for encryption in (disk.encryption, disk.source.encryption if disk.source is not None else None):
            if encryption is not None:
                check_engine(encryption, disk.source)
        check_identity(disk)
        check_geometry(disk)
        check_drive(disk, domain)
        if disk.iotune is not None:
            check_iotune(disk.iotune)
    check_pairs(domain.devices.disks)


def check_source(disk: Disk) -> None:
    """What is needed of LUNs and of whole sources, before the drive itself is looked at."""
    check_lun_source(disk)
    source = disk.source
    if source is not None and source.reservations and disk.device != "lun":
        raise ConfigUnsupported("<reservations/> allowed only for lun devices")
    if isinstance(source, NvmeSource) and not source.namespace:
        raise ConfigUnsupported("NVMe namespace can't be zero")
    if disk.model is not None and disk.bus != "virtio":
        raise ConfigUnsupported(f"disk model '{disk.model}' not supported for bus '{disk.bus}'")


def check_name(disk: Disk) -> None:
    """The tray, then a name and a bus that fit each other."""
    target = disk.target or ""
    if disk.tray is not None and disk.device not in ("cdrom", "floppy"):
        raise ConfigUnsupported("tray is only valid for cdrom and floppy")
    if disk.device == "floppy":
        if disk.bus != "fdc":
            raise InternalError(f"Invalid bus type '{disk.bus}' for floppy disk")
        if not target.startswith("fd"):
            raise InternalError(f"Invalid floppy device name: {target}")
    else:
        if disk.bus == "fdc":
            raise InternalError("Invalid bus type 'fdc' for disk")
        if disk.device == "disk" and not target.startswith(HARD):
            raise InternalError(f"Invalid harddisk device name: {target}")
    xen = disk.bus == "xen" and target.startswith(("xvd", "hd"))
    if not xen and target[-1:].isdigit() and index_of(target) is not None:
        raise ConfigUnsupported(f"invalid disk target '{target}', partitions can't appear in disk targets")


def check_kind(disk: Disk) -> None:
    """What each kind of drive has."""
    if disk.removable is not None and disk.bus != "usb":
        raise XMLError("removable is only valid for usb disks")
    if disk.device == "cdrom" and disk.bus in ("virtio", "sd"):
        raise ConfigUnsupported(f"disk type of '{disk.target}' does not support ejectable media")
    if disk.rotation_rate and disk.bus not in ("scsi", "ide", "sata"):
        raise InternalError("rotation rate is only valid for SCSI/IDE/SATA bus")
    if disk.rotation_rate and disk.device != "disk":
        raise InternalError("rotation rate is only valid for disk device")
    if disk.device == "disk" and disk.readonly and disk.bus in ("ide", "sata"):
        raise ConfigUnsupported(f"readonly {disk.bus} disks are not supported")
    source = disk.source
    if source is not None and source.startup_policy:
        optional = disk.type in ("file", "block", "volume", "dir")
        if not optional:
            kind = f"disk startupPolicy '{source.startup_policy}' is not allowed for disk of '{disk.type}' type"
            raise XMLError(kind)
        if disk.device not in ("cdrom", "floppy") and source.startup_policy == "requisite":
            raise XMLError("disk startupPolicy 'requisite' is allowed only for cdrom or floppy")
    if isinstance(source, NetworkSource):
        check_network(source)
    check_lun(disk)
    if disk.empty and disk.device not in ("cdrom", "floppy"):
        text = f"missing source information for device {disk.target}"
        raise VirtError(c.VIR_ERR_NO_SOURCE, c.VIR_FROM_DOMAIN, text)


def check_vhostuser(disk: Disk, domain: Domain) -> None:
    """The other process does all the work, in the guest's memory."""
    if disk.type != "vhostuser":
        return
    if disk.bus != "virtio":
        raise ConfigUnsupported("vhostuser disk supports only virtio bus")
    if disk.snapshot != "no":
        raise ConfigUnsupported("only snapshot=no is supported with vhostuser disk")
    for name in NOT_VHOSTUSER:
        if getattr(disk, name):
            raise ConfigUnsupported(f"{name} is not supported with vhostuser disk")
    for name in ("cache", "error_policy", "rerror_policy", "io", "ioeventfd", "copy_on_read", "discard", "iothread",
                 "detect_zeroes"):  # fmt: skip
        if getattr(disk.driver, name, None) is not None:
            raise ConfigUnsupported(f"{name} is not supported with vhostuser disk")
    if not shares_memory(domain):
        raise ConfigUnsupported("'vhostuser' requires shared memory")


def check_network(source: NetworkSource) -> None:
    """Protocols that QEMU has, and ports where they may be told."""
    if source.protocol == "tftp":
        raise ConfigUnsupported(f"'{source.protocol}' protocol is not supported with this QEMU binary")
    if source.protocol == "nfs" and any(host.port for host in source.hosts):
        raise ConfigUnsupported("port cannot be specified in 'nfs' protocol host")


def check_lun_source(disk: Disk) -> None:
    """A LUN is a real SCSI device, passed through as it is."""
    if disk.device != "lun":
        for name in ("rawio", "sgio"):
            if getattr(disk, name) is not None:
                raise ConfigUnsupported(f"{name} can be used only with device='lun'")
        return
    if disk.type not in ("block", "network", "volume") or disk.empty:
        raise ConfigUnsupported("disk device='lun' is only valid for block type disk source")
    source = disk.source
    if isinstance(source, NetworkSource) and source.protocol != "iscsi":
        raise ConfigUnsupported(f"disk device='lun' is not supported for protocol='{source.protocol}'")
    if source is not None and source.slices:
        raise ConfigUnsupported("disk device 'lun' doesn't support storage slice")


def check_lun(disk: Disk) -> None:
    """What QEMU can pass through, and what a LUN says itself."""
    if disk.device != "lun":
        return
    if disk.bus not in ("scsi", "virtio"):
        raise ConfigUnsupported(f"disk device='lun' is not supported for bus='{disk.bus}'")
    if disk.driver and disk.driver.type not in (None, "raw"):
        raise ConfigUnsupported("disk device 'lun' must use 'raw' format")
    if disk.sgio == "unfiltered":
        raise ConfigUnsupported("unfiltered sgio is no longer supported")
    if disk.serial and disk.bus == "scsi":
        raise ConfigUnsupported("scsi-block 'lun' devices do not support the serial property")
    if disk.wwn:
        raise ConfigUnsupported("Setting wwn is not supported for lun device")
    if disk.vendor or disk.product:
        raise ConfigUnsupported("Setting vendor or product is not supported for lun device")


def check_driver(disk: Disk, driver: DiskDriver) -> None:
    """Options that need a bus or each other."""
    if driver.metadata_cache and driver.metadata_cache.max_size and driver.type != "qcow2":
        raise ConfigUnsupported("metadata cache max size control is supported only with qcow2 images")
    if driver.name != "qemu":
        raise ConfigUnsupported(f"unsupported driver name '{driver.name}' for disk '{disk.target}'")
    if driver.io == "native" and driver.cache not in ("none", "directsync"):
        raise ConfigUnsupported("io='native' needs either no disk cache or directsync cache mode")
    if driver.rerror_policy == "enospace":
        raise ConfigUnsupported("Invalid disk read error policy: 'enospace'")
    if driver.copy_on_read and disk.readonly:
        raise ConfigUnsupported(f"copy_on_read is not compatible with read-only disk '{disk.target}'")
    if disk.bus == "virtio":
        return
    for name in ("ioeventfd", "event_idx"):
        if getattr(driver, name) is not None:
            raise ConfigUnsupported(f"disk {name} mode supported only for virtio bus")
    if driver.queues:
        raise ConfigUnsupported("queues attribute in disk driver element is only supported by virtio-blk")
    no_virtio_options(driver)


def check_iothread(disk: Disk, driver: DiskDriver, threads: set[int]) -> None:
    """Only virtio disks have I/O threads, and only those that the guest has."""
    if driver.iothread is None:
        return
    if disk.bus != "virtio":
        raise ConfigUnsupported(f"IOThreads not available for bus {disk.bus} target {disk.target}")
    if driver.iothread not in threads:
        raise ConfigUnsupported(f"Disk iothread '{driver.iothread}' not defined in iothreadid")


def check_sharing(disk: Disk, driver: DiskDriver) -> None:
    """Disks shared between guests, and those whose changes are forgotten."""
    if disk.shareable and driver.type not in ("raw", None):
        text = f"shared access for disk '{disk.target}' requires use of supported storage format"
        raise ConfigUnsupported(text)
    if not disk.transient:
        return
    if disk.share_backing and disk.bus not in ("virtio", "usb", "scsi"):
        raise ConfigUnsupported(f"disk bus '{disk.bus}' doesn't support transiend disk backing image sharing")
    if disk.readonly:
        raise ConfigUnsupported(f"transient disk '{disk.target}' must not be read-only")
    if disk.type != "file":
        raise ConfigUnsupported(f"transient disk supported only with 'file' type ({disk.target})")
    if disk.device != "disk":
        text = f"transient disk is supported only with 'disk' device type ({disk.target})"
        raise ConfigUnsupported(text)


def check_formats(disk: Disk) -> None:
    """Formats that QEMU does not have, of the disk and of what is below it."""
    check_format(disk.driver.type if disk.driver else None, disk.type or "", writable=not disk.readonly)
    below = disk.backing
    while isinstance(below, BackingStore) and below.type is not None:
        check_format(below.format.type if below.format else None, below.type, writable=False)
        below = below.backing


def check_format(format_: str | None, type_: str, *, writable: bool) -> None:
    if format_ == "cow":
        raise ConfigUnsupported(f"'{format_}' storage format is not supported")
    if format_ == "dir":
        raise ConfigUnsupported(
            "'directory' storage format is not directly supported by QEMU, use 'dir' disk type instead"
        )
    if format_ == "iso":
        raise ConfigUnsupported("storage format 'iso' is not directly supported by QEMU, use 'raw' instead")
    if format_ == "luks":
        raise ConfigUnsupported("unknown driver format value 'luks'")
    if format_ == "fat" and type_ not in ("dir", "volume"):
        raise ConfigUnsupported("storage format 'fat' is supported only with 'dir' storage type")
    if type_ == "dir" and format_ != "fat":
        raise ConfigUnsupported("storage type 'dir' requires use of storage format 'fat'")
    if type_ == "dir" and writable:
        raise ConfigUnsupported("virtual FAT storage can't be accessed in read-write mode")


def check_identity(disk: Disk) -> None:
    """Serial number, world wide name, vendor, product."""
    if disk.serial and not SAFE_SERIAL.fullmatch(disk.serial):
        raise InternalError(f"driver serial '{disk.serial}' contains unsafe characters")
    if disk.wwn and not re.fullmatch("(0x)?[0-9a-fA-F]{16}", disk.wwn):
        raise InternalError(f"Malformed wwn: {disk.wwn}")
    if disk.wwn and disk.bus not in ("ide", "scsi"):
        raise ConfigUnsupported("Only ide and scsi disk support wwn")
    for name, most in (("vendor", 8), ("product", 16)):
        if len(getattr(disk, name) or "") > most:
            raise ConfigUnsupported(f"disk {name} is more than {most} characters")
    if (disk.vendor or disk.product) and disk.bus != "scsi":
        raise ConfigUnsupported("Only scsi disk supports vendor and product")


def check_geometry(disk: Disk) -> None:
    """Cylinders, heads and sectors are for disks of old buses."""
    if disk.geometry is None:
        return
    if disk.bus in ("usb", "fdc", "sd"):
        raise ConfigUnsupported(f"CHS geometry can not be set for '{disk.bus}' bus")
    if disk.geometry.trans and disk.bus != "ide":
        raise ConfigUnsupported(f"CHS translation mode can only be set for 'ide' bus not '{disk.bus}'")


def check_drive(disk: Disk, domain: Domain) -> None:
    """How many controllers, buses and targets the emulated hardware has."""
    address = disk.address
    if not isinstance(address, DriveAddress):
        return
    controller, bus, target, _ = address.place
    if disk.bus == "scsi":
        check_scsi(address, domain)
    elif disk.bus == "ide" and not is_i440fx(domain):
        raise ConfigUnsupported("IDE controllers are unsupported for this QEMU binary or machine type")
    elif disk.bus in ("ide", "fdc"):
        if controller:
            kind = "IDE" if disk.bus == "ide" else "fdc"
            raise InternalError(f"Only 1 {kind} controller is supported")
        if bus and disk.bus == "fdc":
            raise InternalError("Only 1 fdc bus is supported")
        if target:
            word = "controller fdc" if disk.bus == "fdc" else "ide controller"
            raise ConfigUnsupported(f"target must be 0 for {word}")
    elif disk.bus == "sata" and (bus or target):
        raise ConfigUnsupported(f"{'bus' if bus else 'target'} must be 0 for sata controller")


def check_scsi(address: DriveAddress, domain: Domain) -> None:
    """Only virtio-scsi has targets."""
    if address.bus:
        raise InternalError("SCSI controller only supports 1 bus")
    found = [x for x in domain.devices.controllers if x.type == "scsi" and x.index == address.controller]
    model = getattr(found[0], "model", None) if found else None
    if address.target and model == "lsilogic":
        raise ConfigUnsupported("target must be 0 for controller model 'lsilogic'")


def check_iotune(tune: IoTune) -> None:
    """A total and its parts exclude each other; QEMU has an upper bound."""
    for kind in ("bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max"):
        parts = getattr(tune, f"read_{kind}") or getattr(tune, f"write_{kind}")
        if getattr(tune, f"total_{kind}") and parts:
            raise XMLError(f"total and read/write {kind} cannot be set at the same time")
    values = {name: value for name in IoTune.FIELDS if name != "group_name" and (value := getattr(tune, name))}
    if tune.group_name and not values:
        raise ConfigUnsupported("group_name can be configured only together with settings")
    if any(value > LIMIT for value in values.values()):
        text = f"argument unsupported: block I/O throttle limit must be no more than {LIMIT} using QEMU"
        raise VirtError(c.VIR_ERR_ARGUMENT_UNSUPPORTED, c.VIR_FROM_QEMU, text)


def short_name(disk: Disk) -> str:
    """A source's path; of servers with volumes or pools without those, of sockets nothing."""
    if disk.type == "vhostuser":
        return ""
    source = disk.source
    if isinstance(source, NetworkSource) and source.protocol in ("gluster", "rbd"):
        return (source.name or "").partition("/")[2]
    return source_name(disk)


def check_pairs(disks: list[Disk]) -> None:
    """Two disks may not have one target, one address, one serial, or one throttling group with different limits."""
    for one, other in combinations(disks, 2):
        if one.target == other.target:
            raise XMLError(
                f"target '{one.target}' duplicated for disk sources '{short_name(one) or '<null>'}' "
                f"and '{short_name(other) or '<null>'}'"
            )
        same_bus = one.bus == other.bus and isinstance(one.address, DriveAddress)
        if same_bus and one.address == other.address and isinstance(one.address, DriveAddress):
            controller, bus, target, unit = one.address.place
            raise ConfigUnsupported(
                f"Found duplicate drive address for disk with target name '{one.target}' "
                f"controller='{controller}' bus='{bus}' target='{target}' unit='{unit}'"
            )
        a, b = one.iotune, other.iotune
        if a and b and a.group_name and a.group_name == b.group_name and a != b:
            raise ConfigUnsupported(f"different iotunes for disks {one.target} and {other.target}")
