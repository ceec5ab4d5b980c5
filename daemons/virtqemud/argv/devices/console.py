"""Consoles as QEMU arguments."""

from splitvirt.xml.devices.console import Console
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .chardev import chardev
from .properties import device

DRIVERS = {"virtio": "virtconsole", "sclp": "sclpconsole", "sclplm": "sclplmconsole"}


def console(dev: Console, ctx: Context) -> Parts:
    """A chardev and the console; nothing where it only repeats a serial port."""
    driver = DRIVERS.get(dev.target_type or "serial")
    if driver is None:
        return Parts()
    parts = chardev(dev, f"char{dev.alias}", ctx, dev.alias or "")
    device(parts, driver, dev, ctx, chardev=f"char{dev.alias}")
    return parts
