"""Balloons as QEMU arguments."""

from splitvirt.xml.devices.memballoon import Memballoon
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import virtio


def memballoon(dev: Memballoon, ctx: Context) -> Parts:
    """The balloon."""
    parts = Parts()
    if dev.model not in ("none", "xen"):
        properties = {"deflate-on-oom": dev.autodeflate, "free-page-reporting": dev.free_page_reporting}
        virtio(parts, "virtio-balloon", dev, ctx, dev.driver, **properties)
    return parts
