"""Network interfaces: MAC, model."""

from secrets import token_bytes

from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from . import virtualports
from .pci.plugs import OLD_CARDS
from .virtio import no_virtio_options

MODELS = (("rtl8139", "rtl8139"), ("e1000", "e1000"), ("virtio-net-pci", "virtio"))
"""QEMU's devices and our names for them; the first that the emulator has is the default."""


CANONICAL = {name.lower(): name for name in (*OLD_CARDS, "virtio", "e1000e", "usb-net", "spapr-vlan")} | {
    f"virtio-{kind}": f"virtio-{kind}" for kind in ("transitional", "non-transitional")
}
"""Models that libvirt knows, in whatever case they are written."""

GENERATED = ("vnet", "macvtap", "macvlan")
"""Names of taps that the driver gives, which are none of a configuration."""


def new_mac() -> str:
    """A MAC address in QEMU's range."""
    return "52:54:00:" + token_bytes(3).hex(":")


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in MAC addresses and models."""
    default = next((name for device, name in MODELS if caps.has_device(device)), None)
    for card in domain.devices.interfaces:
        card.mac = card.mac.lower() if card.mac else new_mac()
        card.model = card.model and CANONICAL.get(card.model.lower(), card.model)
        if card.model is None and card.type != "hostdev":
            card.model = "virtio" if card.type == "vdpa" else default
        reduce(card)


def reduce(card: Interface) -> None:
    """Drop what has no meaning for this kind of card. Raises ConfigUnsupported for virtio options of others."""
    if card.driver is not None:
        if not (card.model or "").startswith("virtio"):
            no_virtio_options(card.driver)
            card.driver = None
        elif card.driver.queues == 1:
            card.driver.queues = None
    if not (card.model or "").startswith("virtio"):
        card.vhost = None
    if card.type not in ("ethernet", "network", "bridge"):
        card.filterref = None
    if card.target_dev and card.target_dev.startswith(GENERATED):
        card.target_dev = None
    virtualports.complete(card)
