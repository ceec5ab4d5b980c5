"""Disks: bus, driver, ports of network servers; and what may not be combined."""

from splitvirt.xml.devices.backingstore import BackingStore
from splitvirt.xml.devices.disk import Disk, DiskDriver
from splitvirt.xml.devices.source import NetworkSource, Storage
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

BUS_OF = {"hd": "ide", "sd": "scsi", "vd": "virtio", "xvd": "xen", "ubd": "uml"}
PORTS = {
    "nbd": 10809, "sheepdog": 7000, "gluster": 24007, "iscsi": 3260, "http": 80, "https": 443, "ftp": 21, "ftps": 990,
    "tftp": 69, "ssh": 22, "vxhs": 9999,
}  # fmt: skip
"""Where servers of each protocol listen."""


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in each disk's bus, driver and server ports, and sort the disks as libvirt does."""
    sort(domain)
    for disk in domain.devices.disks:
        fill(disk)


def fill(disk: Disk) -> None:
    """One disk's defaults."""
    if disk.target and disk.target.startswith("ioemu:"):
        disk.target = disk.target.removeprefix("ioemu:")
    if disk.bus is None:
        disk.bus = default_bus(disk)  # type: ignore[assignment]
    if (
        disk.type in ("block", "dir", "network", "volume")
        and disk.source is None
        and disk.device in ("cdrom", "floppy")
    ):
        disk.type = "file"
    if disk.nvme is not None and disk.nvme.managed is None:
        disk.nvme.managed = True
    if disk.device == "cdrom":
        disk.readonly = True
    if disk.snapshot is None and disk.readonly:
        disk.snapshot = "no"
    if disk.type == "vhostuser" and disk.snapshot is None:
        disk.snapshot = "no"
    driver = disk.driver = disk.driver or DiskDriver()
    if driver.name is None:
        driver.name = "qemu"
    if driver.type in (None, "none"):
        driver.type = None if disk.type == "volume" else "raw"
    each: Storage | None = disk
    while isinstance(each, Disk | BackingStore):
        servers(each)
        each = each.backing


def default_bus(disk: Disk) -> str:
    """By kind of device and target name; IDE for names that tell nothing."""
    if disk.device == "floppy":
        return "fdc"
    return next((bus for prefix, bus in BUS_OF.items() if (disk.target or "").startswith(prefix)), "ide")


def servers(storage: Storage) -> None:
    """Ports and LUN of a network disk, and who decrypts."""
    source = storage.source
    if source is not None and source.encryption and source.encryption.format == "luks":
        source.encryption.engine = source.encryption.engine or "qemu"
    if isinstance(storage, Disk) and storage.encryption and storage.encryption.format == "luks":
        storage.encryption.engine = storage.encryption.engine or "qemu"
    if not isinstance(source, NetworkSource):
        return
    if source.protocol == "iscsi" and source.name and "/" not in source.name:
        source.name += "/0"
    ports(source)


def ports(source: NetworkSource) -> None:
    """Where the servers listen."""
    for host in source.hosts:
        if host.transport in (None, "tcp") and not host.port:
            host.port = PORTS.get(source.protocol)


def sort(domain: Domain) -> None:
    """Disks of one bus beside each other, by target."""
    from .drives import index_of

    ordered: list[Disk] = []
    for disk in domain.devices.disks:
        at = -1
        for i in reversed(range(len(ordered))):
            if ordered[i].bus != disk.bus:
                continue
            if (index_of(ordered[i].target) or 0) > (index_of(disk.target) or 0):
                at = i
            elif at == -1:
                at = i + 1
        ordered.insert(len(ordered) if at == -1 else at, disk)
    domain.devices.disks = ordered
