"""Tap devices: an open descriptor that is one end of a cable whose other end a bridge holds."""

import fcntl
import os
import struct

TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100


def open_tap(name: str = "vnet%d", *, vnet_hdr: bool = True, queues: int = 1) -> tuple[str, list[int]]:
    """Make a tap and open it, once per queue; its name (the kernel fills in "%d") and the descriptors.

    The device is gone when the last descriptor is closed. `vnet_hdr` is what virtio wants of it. Raises OSError.
    """
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if vnet_hdr else 0) | (IFF_MULTI_QUEUE if queues > 1 else 0)
    fds: list[int] = []
    try:
        for _ in range(queues):
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fds.append(fd)
            answer = fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            name = answer[:16].rstrip(b"\0").decode()
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return name, fds


def open_macvtap(name: str, index: int, *, vnet_hdr: bool = True, queues: int = 1) -> list[int]:
    """Open the character device of a macvtap, by its name and interface number, once per queue. Raises OSError."""
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if vnet_hdr else 0) | (IFF_MULTI_QUEUE if queues > 1 else 0)
    fds: list[int] = []
    try:
        for _ in range(queues):
            fds.append(os.open(f"/dev/tap{index}", os.O_RDWR | os.O_CLOEXEC))
            fcntl.ioctl(fds[-1], TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return fds
