"""Shared folders as QEMU arguments."""

from typing import Any

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.filesystem import Filesystem
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Helper, Parts, options

from .properties import virtio

SECURITY = {"passthrough": "passthrough", "mapped": "mapped", "squash": "none"}


def filesystem(dev: Filesystem, ctx: Context, bootindex: int | None) -> Parts:
    """virtiofs by a daemon's socket, else 9p by QEMU itself."""
    if dev.type != "mount":
        raise ConfigUnsupported(f"unsupported filesystem type '{dev.type}'")
    if dev.driver and dev.driver.type == "virtiofs":
        return virtiofs(dev, ctx, bootindex)
    parts, id = Parts(), f"fsdev-{dev.alias}"
    handle = dev.driver is not None and dev.driver.type == "handle"
    immediate = dev.driver is not None and dev.driver.wrpolicy == "immediate"
    values: dict[str, Any] = {
        "security_model": None if handle else SECURITY[dev.accessmode or "passthrough"],
        "multidevs": dev.multidevs if dev.multidevs != "default" else None,
        "fmode": None if dev.fmode is None else f"{dev.fmode:04o}",
        "dmode": None if dev.dmode is None else f"{dev.dmode:04o}",
        "writeout": "immediate" if immediate else None,
    }
    text = options("handle" if handle else "local", **values, id=id, path=dev.dir, readonly=dev.readonly or None)
    parts.add("-fsdev", text.replace("security-model", "security_model"))
    parts.paths.append(dev.dir or "")
    virtio(parts, "virtio-9p", dev, ctx, dev.driver, fsdev=id, mount_tag=dev.target)
    return parts


def virtiofs(dev: Filesystem, ctx: Context, bootindex: int | None) -> Parts:
    """The daemon's socket: somebody's own, or of the daemon that the driver starts."""
    parts, id = Parts(), f"chr-vu-{dev.alias}"
    path = dev.socket or f"{ctx.folder}/{dev.alias}-fs.sock"
    parts.add("-chardev", options("socket", id=id, path=path))
    if dev.socket is None and not ctx.native:
        parts.helpers.append(daemon(dev, path, debug=ctx.settings.virtiofsd_debug))
    queue = dev.driver.queue or None if dev.driver else None
    properties = {"chardev": id, "queue-size": queue, "tag": dev.target, "bootindex": bootindex}
    virtio(parts, "vhost-user-fs", dev, ctx, dev.driver, **properties)
    return parts


def daemon(dev: Filesystem, socket: str, *, debug: bool = False) -> Helper:
    """virtiofsd, serving one folder at one socket."""
    binary = dev.binary
    settings = [f"source={dev.dir}"]
    if binary:
        settings += [f"cache={binary.cache}"] if binary.cache else []
        settings += [f"sandbox={binary.sandbox}"] if binary.sandbox else []
        settings += ["xattr" if binary.xattr else "no_xattr"] if binary.xattr is not None else []
        settings += ["flock" if binary.flock else "no_flock"] if binary.flock is not None else []
        settings += ["posix_lock" if binary.posix_lock else "no_posix_lock"] if binary.posix_lock is not None else []
    program = (binary.path if binary else None) or "/usr/lib/qemu/virtiofsd"
    argv = [program, f"--socket-path={socket}", "-o", ",".join(settings)]
    if binary and binary.thread_pool is not None and binary.thread_pool >= 0:
        argv.append(f"--thread-pool-size={binary.thread_pool}")
    if debug:
        argv.append("-d")
    return Helper("virtiofsd", argv, socket=socket)
