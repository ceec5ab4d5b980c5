"""`<devices>`: all devices of a guest, in libvirt's order."""

from splitvirt.api.errors import InternalError, Kind, XMLError
from splitvirt.xml.devices.audio import Audio
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.controller import AnyController
from splitvirt.xml.devices.crypto import Crypto
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.filesystem import Filesystem
from splitvirt.xml.devices.graphics import Graphics
from splitvirt.xml.devices.hostdev import AnyHostdev
from splitvirt.xml.devices.hub import Hub
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.iommu import Iommu
from splitvirt.xml.devices.lease import Lease
from splitvirt.xml.devices.memballoon import Memballoon
from splitvirt.xml.devices.memory import MemoryDevice
from splitvirt.xml.devices.nvram import Nvram
from splitvirt.xml.devices.panic import Panic
from splitvirt.xml.devices.parallel import Parallel
from splitvirt.xml.devices.redirdev import Redirdev, Redirfilter
from splitvirt.xml.devices.rng import Rng
from splitvirt.xml.devices.serial import Serial
from splitvirt.xml.devices.shmem import Shmem
from splitvirt.xml.devices.smartcard import Smartcard
from splitvirt.xml.devices.sound import Sound
from splitvirt.xml.devices.tpm import Tpm
from splitvirt.xml.devices.video import Video
from splitvirt.xml.devices.vsock import Vsock
from splitvirt.xml.devices.watchdog import Watchdog
from splitvirt.xml.element import Element, Node, child, children, text

SINGLE: dict[str, tuple[type[Kind], str]] = {
    "memballoon": (InternalError, "only a single memory balloon device is supported"),
    "nvram": (InternalError, "only a single nvram device is supported"),
    "redirfilter": (InternalError, "only one set of redirection filter rule is supported"),
    "vsock": (XMLError, "only a single vsock device is supported"),
    "iommu": (XMLError, "only a single IOMMU device is supported"),
}
"""What a guest has at most one of, and the words in which a second is refused."""


class Devices(Element, tag="devices", block=True):
    """All devices of a guest, in libvirt's order."""

    emulator: str | None = text()
    disks: list[Disk] = children()
    controllers: list[AnyController] = children()
    leases: list[Lease] = children()
    filesystems: list[Filesystem] = children()
    interfaces: list[Interface] = children()
    smartcards: list[Smartcard] = children()
    serials: list[Serial] = children()
    parallels: list[Parallel] = children()
    consoles: list[Console] = children()
    channels: list[Channel] = children()
    inputs: list[Input] = children()
    tpms: list[Tpm] = children()
    graphics: list[Graphics] = children()
    sounds: list[Sound] = children()
    audios: list[Audio] = children()
    videos: list[Video] = children()
    hostdevs: list[AnyHostdev] = children()
    redirdevs: list[Redirdev] = children()
    redirfilter: Redirfilter | None = child()
    hubs: list[Hub] = children()
    watchdogs: list[Watchdog] = children()
    memballoon: Memballoon | None = child()
    rngs: list[Rng] = children()
    nvram: Nvram | None = child()
    panics: list[Panic] = children()
    shmems: list[Shmem] = children()
    memories: list[MemoryDevice] = children()
    cryptos: list[Crypto] = children()
    iommu: Iommu | None = child()
    vsock: Vsock | None = child()

    def check(self, node: Node) -> None:
        """Refuse a second of what there is one of."""
        tags = [child_.tag for child_ in node.children]
        for tag, (kind, text_) in SINGLE.items():
            if tags.count(tag) > 1:
                raise kind(text_)
