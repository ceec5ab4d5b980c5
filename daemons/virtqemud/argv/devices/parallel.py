"""Parallel ports as QEMU arguments."""

from splitvirt.xml.devices.parallel import Parallel
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import device


def parallel(dev: Parallel, ctx: Context) -> Parts:
    """A chardev and the port."""
    parts = chardev(dev, f"char{dev.alias}", ctx, dev.alias or "", kind="parallel")
    device(parts, "isa-parallel", dev, ctx, chardev=f"char{dev.alias}")
    return parts
