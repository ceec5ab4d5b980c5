"""Crypto devices as QEMU arguments."""

from splitvirt.xml.devices.crypto import Crypto
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import virtio


def crypto(dev: Crypto, ctx: Context) -> Parts:
    """The host's provider and the device."""
    parts, id = Parts(), f"obj{dev.alias}"
    parts.object(f"cryptodev-backend-{dev.backend_model}", id, queues=dev.backend_queues)
    virtio(parts, "virtio-crypto", dev, ctx, dev.driver, cryptodev=id)
    return parts
