"""Small devices: balloon, random numbers, TPM, panic, shared memory."""

from splitvirt.xml.devices.memballoon import Memballoon
from splitvirt.xml.devices.rng import RandomBackend
from splitvirt.xml.devices.shmem import Shmem
from splitvirt.xml.devices.tpm import EmulatorBackend
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in what the small devices leave open; every guest gets a balloon."""
    devices = domain.devices
    if devices.memballoon is None:
        devices.memballoon = Memballoon(model="virtio")
    if devices.memballoon.model == "none":
        devices.memballoon.alias = devices.memballoon.address = devices.memballoon.acpi_index = None
    for rng in devices.rngs:
        if isinstance(rng.backend, RandomBackend) and rng.backend.file is None:
            rng.backend.file = "/dev/random"
    for tpm in devices.tpms:
        tpm.model = tpm.model or "tpm-tis"
        if isinstance(tpm.backend, EmulatorBackend) and tpm.backend.version is None:
            tpm.backend.version = "1.2" if tpm.model == "tpm-tis" else "2.0"
    for panic in devices.panics:
        panic.model = panic.model or "isa"
    for shmem in devices.shmems:
        share_memory(shmem)


def share_memory(shmem: Shmem) -> None:
    """One shared memory's defaults: 4 MiB, or interrupts where a server gives the memory."""
    if shmem.model == "ivshmem-plain" and not shmem.size:
        shmem.size = 4 << 20
    if shmem.model == "ivshmem-doorbell":
        shmem.msi = True
        if shmem.msi_ioeventfd is None:
            shmem.msi_ioeventfd = True
