"""Shared memory devices as QEMU arguments."""

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.shmem import Shmem
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options

from .properties import device

DEFAULT_SIZE = 4 << 20  # bytes, where none is given


def shmem(dev: Shmem, ctx: Context) -> Parts:
    """The memory, or the socket of the server that has it, and the device."""
    parts = Parts()
    if dev.size is not None and dev.size & (dev.size - 1):
        raise XMLError("shmem size must be a power of two")
    if dev.size is not None and dev.size < 1 << 20:
        raise XMLError("shmem size must be at least 1 MiB (1024 KiB)")
    master = {"master": "on", "peer": "off"}.get(dev.role or "")
    if dev.model == "ivshmem-plain":
        memory = f"shmmem-{dev.alias}"
        parts.json("-object", {
            "qom-type": "memory-backend-file", "id": memory, "mem-path": f"/dev/shm/{dev.name}",
            "size": dev.size or DEFAULT_SIZE, "share": True,
        })  # fmt: skip
        device(parts, "ivshmem-plain", dev, ctx, memdev=memory, master=master)
    elif dev.model == "ivshmem-doorbell":
        ioeventfd = True if dev.msi_ioeventfd is None else dev.msi_ioeventfd
        vectors = dev.msi_vectors or None
        device(parts, "ivshmem-doorbell", dev, ctx, chardev=f"char{dev.alias}", vectors=vectors, ioeventfd=ioeventfd)
        path = dev.server_path or f"{ctx.lib.removesuffix('/qemu')}/shmem-{dev.name}-sock"
        parts.add("-chardev", options("socket", id=f"char{dev.alias}", path=path))
    else:
        raise ConfigUnsupported("ivshmem device is not supported with this QEMU binary")
    return parts
