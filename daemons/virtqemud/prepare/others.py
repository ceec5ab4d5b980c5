"""Small devices: balloon, random numbers, TPM, watchdog, panic, filesystems, memory, host devices, IOMMU, vsock."""

from splitvirt.xml.devices.filesystem import Filesystem
from splitvirt.xml.devices.hostdev import MdevHostdev
from splitvirt.xml.devices.memballoon import Memballoon
from splitvirt.xml.devices.rng import RandomBackend
from splitvirt.xml.devices.tpm import EmulatorBackend
from splitvirt.xml.domain import Domain

from ..capabilities import Capabilities


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in what the small devices leave open; every guest gets a balloon."""
    devices = domain.devices
    if devices.memballoon is None:
        devices.memballoon = Memballoon(model="virtio")
    for rng in devices.rngs:
        if isinstance(rng.backend, RandomBackend) and rng.backend.file is None:
            rng.backend.file = "/dev/random"
    for tpm in devices.tpms:
        tpm.model = tpm.model or "tpm-tis"
        if isinstance(tpm.backend, EmulatorBackend) and tpm.backend.version is None:
            tpm.backend.version = "1.2" if tpm.model == "tpm-tis" else "2.0"
    for filesystem in devices.filesystems:
        shared(filesystem)
    for panic in devices.panics:
        panic.model = panic.model or "isa"
    for hostdev in devices.hostdevs:
        if isinstance(hostdev, MdevHostdev) and hostdev.model == "vfio-pci" and hostdev.display is None:
            hostdev.display = False
    slots(domain)


def shared(filesystem: Filesystem) -> None:
    """One filesystem's defaults."""
    if filesystem.type == "mount" and filesystem.accessmode is None:
        filesystem.accessmode = "passthrough"


def slots(domain: Domain) -> None:
    """A slot for every DIMM."""


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise ConfigUnsupported for what QEMU cannot do."""
