"""Parallel ports as QEMU arguments."""

from splitvirt.xml.devices.parallel import Parallel
from virtqemud.context import Context
from virtqemud.devices.chardev import chardev
from virtqemud.devices.properties import device
from virtqemud.parts import Parts


def parallel(dev: Parallel, ctx: Context) -> Parts:
    """A chardev and the port."""
    parts = chardev(dev, f"char{dev.alias}", ctx, dev.alias or "", kind="parallel")
    device(parts, "isa-parallel", dev, ctx, chardev=f"char{dev.alias}")
    return parts
