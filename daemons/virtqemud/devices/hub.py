"""USB hubs as QEMU arguments."""

from splitvirt.xml.devices.hub import Hub
from virtqemud.context import Context
from virtqemud.devices.properties import device
from virtqemud.parts import Parts


def hub(dev: Hub, ctx: Context) -> Parts:
    """The hub."""
    parts = Parts()
    device(parts, "usb-hub", dev, ctx)
    return parts
