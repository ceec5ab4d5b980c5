"""Vsock devices as QEMU arguments."""

from splitvirt.xml.devices.vsock import Vsock
from virtqemud.context import Context
from virtqemud.devices.properties import virtio
from virtqemud.parts import Parts


def vsock(dev: Vsock, ctx: Context) -> Parts:
    """The device; where the driver opened /dev/vhost-vsock and chose the CID, with that descriptor."""
    parts = Parts()
    fd = ctx.vsock_fd
    if fd is not None:
        parts.fds.append(fd)
    virtio(
        parts, "vhost-vsock", dev, ctx, dev.driver, **{"guest-cid": dev.cid, "vhostfd": None if fd is None else str(fd)}
    )
    return parts
