"""From what a user wrote to what the driver runs: defaults, addresses, and the rules between devices.

`prepare` changes the model in place. Its passes run in the order of the lists below; each is a function of the guest
and of what its emulator can do, in a file named after its subject, with the checks of that subject beside it.
"""

from collections.abc import Callable

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import VirtError
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from . import (
    addresses,
    aliases,
    chardevs,
    controllerchecks,
    controllers,
    cpu,
    diskbasics,
    diskchecks,
    disks,
    displays,
    drives,
    features,
    filesystems,
    hostdevs,
    identity,
    interfaces,
    iommus,
    memory,
    memorydevices,
    numa,
    os,
    others,
    pci,
    rules,
    sysinfo,
    tune,
    usb,
    virtioserial,
)

Pass = Callable[[Domain, Capabilities], None]

DEFAULTS: tuple[Pass, ...] = (
    cpu.vcpus,
    numa.defaults,
    memory.defaults,
    tune.defaults,
    features.defaults,
    cpu.defaults,
    identity.defaults,
    controllers.as_read,
    controllers.number,
    disks.defaults,
    diskbasics.check,
    hostdevs.defaults,
    hostdevs.basics,
    drives.defaults,
    controllers.defaults,
    interfaces.defaults,
    chardevs.defaults,
    displays.defaults,
    filesystems.defaults,
    memorydevices.defaults,
    iommus.basics,
    others.defaults,
)
CHECKS: tuple[Pass, ...] = (
    os.check,
    memory.check,
    numa.check,
    tune.check,
    features.check,
    cpu.check,
    sysinfo.check,
    addresses.check,
    identity.check,
    diskchecks.check,
    controllerchecks.check,
    hostdevs.check,
    filesystems.check,
    memorydevices.check,
    iommus.check,
    rules.check,
)


def prepare(
    domain: Domain,
    caps: Capabilities,
    *,
    for_start: bool = False,
    nvram: str = "/var/lib/libvirt/qemu/nvram",
    spice_tls: bool = False,
) -> None:
    """Make a guest complete, or refuse it. Raises VirtError with libvirt's codes and words.

    With `for_start` also what only a running guest has: aliases. `nvram` is the folder of the guests' own firmware
    variables, `spice_tls` whether qemu.conf turns SPICE's encryption on.
    """
    try:
        _run(domain, caps, nvram, spice_tls)
    except VirtError as error:
        error.domain = error.domain or VIR_FROM_QEMU
        raise
    if for_start:
        aliases.assign(domain)


def _run(domain: Domain, caps: Capabilities, nvram: str, spice_tls: bool) -> None:
    os.defaults(domain, caps, nvram)
    for fill in DEFAULTS:
        fill(domain, caps)
    controllers.for_devices(domain, caps)
    controllerchecks.check_pci_early(domain)
    controllerchecks.check_usb_users(domain)
    virtioserial.assign_virtio_serial(domain)
    pci.assign_pci(domain, caps)
    usb.assign_usb(domain)
    chardevs.place_console(domain)
    for check in CHECKS:
        check(domain, caps)
    rules.spice(domain, spice_tls)
