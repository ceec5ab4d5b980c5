"""USB hubs as QEMU arguments."""

from splitvirt.xml.devices.hub import Hub
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import device


def hub(dev: Hub, ctx: Context) -> Parts:
    """The hub."""
    parts = Parts()
    device(parts, "usb-hub", dev, ctx)
    return parts
