"""`domxml-to-native qemu-argv`: the command line of a guest that is not started."""

from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.prepare import prepare

from .command import build, plain_interfaces
from .context import Context, Settings


def command_line(domain: Domain, caps: Capabilities, lib: str, settings: Settings | None = None) -> str:
    """The line for a configuration, which is changed; `lib` is libvirt's folder of QEMU state. Raises VirtError."""
    settings = settings or Settings()
    nvram = f"{lib}/nvram"
    prepare(domain, caps, nvram=nvram, spice_tls=settings.spice_tls)
    plain_interfaces(domain)
    boot, disks = domain.os and domain.os.boot, domain.devices.disks  # what only a document that is read decides
    prepare(domain, caps, for_start=True, nvram=nvram, spice_tls=settings.spice_tls)
    if domain.os is not None:
        domain.os.boot = boot or []
    domain.devices.disks = disks
    return build(domain, Context(domain, caps, lib, settings=settings, native=True)).text()
