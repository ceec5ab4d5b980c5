"""Checks of disks that come before addresses are given out: source, target, bus, kind of address, secrets."""

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InternalError, VirtError, XMLError
from splitvirt.xml.address import CcwAddress, DriveAddress, MmioAddress, PciAddress
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.encryption import Encryption
from splitvirt.xml.devices.source import Auth, NetworkSource, VolumeSource
from splitvirt.xml.domain import Domain
from splitvirt.xml.seclabel import unique
from virtqemud.emulator.capabilities import Capabilities

from .drives import index_of

FIXED = {"ide", "scsi", "sata", "fdc"}
"""Buses on which a disk has a drive address."""

WITH_PASSWORDS = ("rbd", "iscsi", "http", "https", "ftp", "ftps", "ssh")


def check(domain: Domain, caps: Capabilities) -> None:
    """Checks that come before addresses are given out: source, target, secrets, labels."""
    for disk in domain.devices.disks:
        check_target(disk)
        if index_of(disk.target) is None and disk.address is None:
            raise XMLError(f"Unknown disk name '{disk.target}' and no address specified")
        if disk.bus == "usb":
            check_address(disk)
        check_secrets(disk)
        unique(disk.source.seclabels if disk.source is not None else [])


def check_target(disk: Disk) -> None:
    """A disk must have a target name."""
    if disk.target is None:
        named = source_name(disk)
        message = f"missing target information for device {named}" if named else "missing target information for device"
        raise VirtError(c.VIR_ERR_NO_TARGET, c.VIR_FROM_DOMAIN, message)


def source_name(disk: Disk) -> str:
    """What messages call a disk's source."""
    source = disk.source
    if isinstance(source, VolumeSource):
        return f"pool = '{source.pool}', volume = '{source.volume}'"
    name = str(next((v for n in ("file", "dev", "dir", "name") if (v := getattr(source, n, None))), ""))
    in_pool = isinstance(source, NetworkSource) and source.protocol in ("gluster", "rbd")
    return name.partition("/")[2] if in_pool else name


def check_address(disk: Disk) -> None:
    """Raise for addresses of another kind of bus."""
    address = disk.address
    if address is None or disk.bus is None:
        return
    if disk.bus in FIXED and not isinstance(address, DriveAddress):
        raise ConfigUnsupported(
            f"Invalid address type '{address.type}' for the disk '{disk.target}' with the bus type '{disk.bus}'"
        )
    if disk.bus == "usb" and address.type != "usb":
        raise InternalError("unexpected address type for usb disk")
    if disk.bus == "virtio" and not isinstance(address, PciAddress | MmioAddress | CcwAddress):
        raise ConfigUnsupported(f"virtio disk cannot have an address of type '{address.type}'")


def check_secrets(disk: Disk) -> None:
    """Credentials and keys belong to the source, or as of old to the disk, but not to both."""
    source = disk.source
    if disk.auth and source is not None and source.auth:
        raise ConfigUnsupported("an <auth> definition already found for disk source")
    if disk.encryption and source is not None and source.encryption:
        raise ConfigUnsupported("an <encryption> definition already found for disk source")
    auth = disk.auth or (source.auth if source is not None else None)
    if auth is not None and isinstance(source, NetworkSource):
        check_auth(auth, source.protocol)
    for encryption in (disk.encryption, source.encryption if source is not None else None):
        if encryption is not None:
            check_encryption(encryption)


def check_auth(auth: Auth, protocol: str) -> None:
    """The secret must be of the kind that the protocol uses."""
    if protocol not in WITH_PASSWORDS:
        raise ConfigUnsupported(f"authentication is not supported for protocol '{protocol}'")
    if auth.secret_type not in ("ceph", "iscsi", "volume", "tls", "vtpm"):
        raise ConfigUnsupported(f"unknown secret type '{auth.secret_type or '<null>'}'")
    wanted = {"rbd": "ceph", "iscsi": "iscsi"}.get(protocol)
    if wanted and auth.secret_type != wanted:
        raise ConfigUnsupported(f"invalid secret type '{auth.secret_type}'")


def check_engine(encryption: Encryption, source: object) -> None:
    """Who can decrypt what."""
    if encryption.engine == "librbd":
        if not isinstance(source, NetworkSource) or source.protocol != "rbd":
            raise ConfigUnsupported("librbd encryption is supported only with RBD backed disks")
    elif encryption.format == "luks2":
        raise ConfigUnsupported("luks2 is currently not supported by the qemu encryption engine")


def check_encryption(encryption: Encryption) -> None:
    """A disk is opened, not made: how to make it has no place here."""
    if encryption.format in ("default", "qcow"):
        raise ConfigUnsupported("old qcow/qcow2 encryption is not supported")
    if encryption.cipher is not None:
        raise ConfigUnsupported("supplying <cipher> for domain disk definition is unnecessary")
    if encryption.ivgen is not None:
        raise ConfigUnsupported("supplying <ivgen> for domain disk definition is unnecessary")
