"""Shared folders: their defaults, and what may not be combined, in libvirt's words."""

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, VirtError
from splitvirt.xml.devices.filesystem import Filesystem
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in what is left open, and drop what only the other kind has."""
    for filesystem in domain.devices.filesystems:
        if filesystem.type == "mount" and filesystem.accessmode is None and filesystem.socket is None:
            filesystem.accessmode = "passthrough"
        driver = filesystem.driver
        if driver is not None and driver.type is None:
            driver.wrpolicy = None
        if not is_virtiofs(filesystem):
            filesystem.binary = None
            if driver is not None:
                driver.queue = None
        elif filesystem.binary is not None and (filesystem.binary.thread_pool or 0) < 0:
            filesystem.binary.thread_pool = None


def is_virtiofs(filesystem: Filesystem) -> bool:
    """Whether it is served by virtiofsd rather than by QEMU."""
    return filesystem.driver is not None and filesystem.driver.type == "virtiofs"


def shares_memory(domain: Domain) -> bool:
    """Whether other processes can see the guest's memory, as vhost-user wants."""
    backing = domain.memory_backing
    if backing is not None and backing.access == "shared":
        return True
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    return bool(cells) and all(cell.mem_access == "shared" for cell in cells)


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise VirtError for what QEMU cannot do."""
    for filesystem in domain.devices.filesystems:
        check_ends(filesystem)
        if filesystem.boot_order and not is_virtiofs(filesystem):
            raise ConfigUnsupported("boot order is only supported for virtiofs")
        if filesystem.type != "mount":
            raise ConfigUnsupported("only supports mount filesystem type")
        if (filesystem.fmode is not None or filesystem.dmode is not None) and filesystem.accessmode != "mapped":
            raise ConfigUnsupported("fmode and dmode must be used with accessmode=mapped")
        driver = filesystem.driver
        if driver is not None and driver.type == "handle" and filesystem.accessmode != "passthrough":
            raise ConfigUnsupported("only supports passthrough accessmode")
        if is_virtiofs(filesystem):
            check_virtiofs(filesystem, domain)


def check_ends(filesystem: Filesystem) -> None:
    """What is shared, and under which tag."""
    names = ("dir", "socket", "file", "dev", "name", "usage", "volume")
    source = next((v for n in names if (v := getattr(filesystem, n)) is not None), None)
    if source is None:
        text = f"missing source information for device {filesystem.target or ''}".rstrip()
        raise VirtError(c.VIR_ERR_NO_SOURCE, c.VIR_FROM_DOMAIN, text)
    if not filesystem.target:
        raise VirtError(c.VIR_ERR_NO_TARGET, c.VIR_FROM_DOMAIN, f"missing target information for device {source}")


def check_virtiofs(filesystem: Filesystem, domain: Domain) -> None:
    """What virtiofsd does not do."""
    driver = filesystem.driver
    if driver is not None and driver.wrpolicy is not None:
        raise ConfigUnsupported("virtiofs does not support wrpolicy")
    if filesystem.model is not None:
        raise ConfigUnsupported("virtiofs does not support model")
    if filesystem.multidevs not in (None, "default"):
        raise ConfigUnsupported("virtiofs does not support multidevs")
    if filesystem.readonly:
        raise ConfigUnsupported("virtiofs does not yet support read-only mode")
    if filesystem.accessmode not in (None, "passthrough"):
        raise ConfigUnsupported("virtiofs only supports passthrough accessmode")
    if not shares_memory(domain):
        raise ConfigUnsupported("'virtiofs' requires shared memory")
