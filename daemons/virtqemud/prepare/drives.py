"""Drive addresses: where on which controller a disk is follows from its target name."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.address import DriveAddress
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.hostdev import ScsiHostdev
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

PREFIXES = ("fd", "hd", "vd", "sd", "xvd", "ubd")
SCSI_UNITS = 7  # of a narrow bus, without the controller's own


def index_of(target: str | None) -> int | None:
    """The number of a target name: "sda" is 0, "vdaa" 26; None for names of no such kind."""
    letters = next((target[len(p) :] for p in PREFIXES if target and target.startswith(p)), "")
    letters = letters.rstrip("0123456789")
    if not letters or not letters.isascii() or not letters.islower():
        return None
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index - 1


def place(bus: str | None, index: int) -> tuple[int, int, int] | None:
    """Controller, bus and unit of the disk with that number on a kind of bus; None for buses without drives."""
    match bus:
        case "scsi":
            return index // SCSI_UNITS, 0, index % SCSI_UNITS
        case "ide":
            return index // 4, index % 4 // 2, index % 2
        case "sata":
            return index // 6, 0, index % 6
        case "fdc":
            return index // 2, 0, index % 2
    return None


def defaults(domain: Domain, caps: Capabilities) -> None:
    """An address for every disk on a drive bus, then for SCSI host devices what is left."""
    for disk in domain.devices.disks:
        if disk.address is None:
            from_target(domain, disk)
    for device in domain.devices.hostdevs:
        if isinstance(device, ScsiHostdev) and device.address is None:
            device.address = free_unit(domain)


def from_target(domain: Domain, disk: Disk) -> None:
    """Raise ConfigUnsupported when a host device is there already."""
    index = index_of(disk.target)
    found = place(disk.bus, index) if index is not None else None
    if found is None:
        return
    address = DriveAddress(controller=found[0], bus=found[1], target=0, unit=found[2])
    if disk.bus == "scsi" and address.place in hostdev_places(domain):
        controller, bus, target, unit = address.place
        raise ConfigUnsupported(
            f"using disk target name '{disk.target}' conflicts with SCSI host device address "
            f"controller='{controller}' bus='{bus}' target='{target}' unit='{unit}"
        )
    disk.address = address


def hostdev_places(domain: Domain) -> set[tuple[int, int, int, int]]:
    """Where SCSI host devices are."""
    return {d.address.place for d in domain.devices.hostdevs if isinstance(d.address, DriveAddress)}


def free_unit(domain: Domain) -> DriveAddress:
    """The first place that no SCSI disk and no host device has."""
    disks = {d.address.place for d in domain.devices.disks if d.bus == "scsi" and isinstance(d.address, DriveAddress)}
    taken = disks | hostdev_places(domain)
    controller = 0
    while True:
        for unit in range(SCSI_UNITS):
            if (controller, 0, 0, unit) not in taken:
                return DriveAddress(controller=controller, bus=0, target=0, unit=unit)
        controller += 1
