"""SMBIOS strings and firmware blobs."""

from splitvirt.api.errors import ConfigUnsupported, XMLDetail
from splitvirt.xml.domain import Domain
from splitvirt.xml.sysinfo import FwCfgInfo
from virtqemud.emulator.capabilities import Capabilities


def check(domain: Domain, caps: Capabilities) -> None:
    """The guest's UUID is the same everywhere; blobs have names that are the user's to give."""
    for info in domain.sysinfo:
        if isinstance(info, FwCfgInfo):
            check_names(info)
            continue
        uuid = info.system.get("uuid") if info.system else None
        if uuid is not None and uuid != domain.uuid:
            raise XMLDetail("UUID mismatch between <uuid> and <sysinfo>")


def check_names(info: FwCfgInfo) -> None:
    for entry in info.entries:
        if not entry.name.startswith("opt/"):
            raise ConfigUnsupported("Invalid firmware name")
        if entry.name.startswith(("opt/ovmf/", "opt/org.qemu/")):
            raise ConfigUnsupported("That firmware name is reserved")
