"""Random number generators as QEMU arguments."""

from splitvirt.xml.devices.rng import EgdBackend, RandomBackend, Rng
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import virtio


def rng(dev: Rng, ctx: Context) -> Parts:
    """A source of randomness and the device that hands it to the guest."""
    parts, id = Parts(), f"obj{dev.alias}"
    if isinstance(dev.backend, RandomBackend):
        path = dev.backend.file or "/dev/random"
        parts.object("rng-random", id, filename=path)
        parts.paths.append(path)
    elif isinstance(dev.backend, EgdBackend):
        parts += chardev(dev.backend, f"char{dev.alias}", ctx, dev.alias or "")
        parts.object("rng-egd", id, chardev=f"char{dev.alias}")
    else:
        parts.object("rng-builtin", id)
    limit = {"max-bytes": dev.rate.bytes, "period": dev.rate.period or 1000} if dev.rate and dev.rate.bytes else {}
    virtio(parts, "virtio-rng", dev, ctx, dev.driver, rng=id, **limit)
    return parts
