"""Vsock devices as QEMU arguments."""

from splitvirt.xml.devices.vsock import Vsock
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts

from .properties import virtio


def vsock(dev: Vsock, ctx: Context) -> Parts:
    """The device; where the driver opened /dev/vhost-vsock and chose the CID, with that descriptor."""
    parts = Parts()
    fd = ctx.vsock_fd
    if fd is not None:
        parts.fds.append(fd)
    shown = "-1" if ctx.native else None if fd is None else str(fd)  # printed, nothing is open
    cid = dev.cid or (0 if ctx.native else None)
    virtio(parts, "vhost-vsock", dev, ctx, dev.driver, **{"guest-cid": cid, "vhostfd": shown})
    return parts
