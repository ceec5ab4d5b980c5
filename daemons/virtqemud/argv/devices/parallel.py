"""Parallel ports as QEMU arguments."""

from splitvirt.xml.devices.parallel import Parallel
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev


def parallel(dev: Parallel, ctx: Context) -> Parts:
    """A chardev and the port."""
    parts = chardev(dev, f"char{dev.alias}", ctx, dev.alias or "", kind="parallel")
    parts.json("-device", {"driver": "isa-parallel", "chardev": f"char{dev.alias}", "id": dev.alias})
    return parts
