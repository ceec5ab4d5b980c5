"""What a configuration names on the host, looked at before QEMU is started: what is missing is told by its name."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import SystemError_
from splitvirt.host.refusal import explained, name_of, reach, refused
from splitvirt.xml.devices.source import BlockSource, FileSource

if TYPE_CHECKING:
    from splitvirt.xml.devices.disk import Disk
    from splitvirt.xml.domain import Domain as DomainXML
    from virtqemud.domain.domain import QemuDomain
    from virtqemud.security.process import Identity

log = logging.getLogger(__name__)


def look(guest: QemuDomain, live: DomainXML) -> None:
    """See that the files which a guest needs can be opened; SystemError_ for the first that cannot.

    A disk that may be missing (`startupPolicy`) goes without its medium, or goes, as libvirt has it.
    """
    boot = live.os
    for path in (boot.kernel, boot.initrd, boot.dtb) if boot else ():
        _readable(path)
    if boot and boot.loader:
        _readable(boot.loader.path)
    for disk in list(live.devices.disks):
        error = _refusal(disk)
        if error is None:
            continue
        if not (disk.source and disk.source.startup_policy == "optional" and isinstance(error, FileNotFoundError)):
            raise _told(disk, error)
        _do_without(guest, live, disk)


def barrier(live: DomainXML, who: Identity | None) -> str:
    """Which folder keeps a guest's user from what the guest names, and what opens it; "" where none is seen to.

    For the error of a QEMU that may not open a file: it says which file, not why.
    """
    if who is None:
        return ""
    boot = live.os
    named = [boot.kernel, boot.initrd, boot.dtb, boot.loader.path if boot.loader else None] if boot else []
    for path in filter(None, (*named, *map(path_of, live.devices.disks))):
        for folder in reversed(Path(os.path.realpath(path)).parents):
            if not _may_enter(folder, who):
                return f"user {name_of(who.uid)} may not enter {folder}: setfacl -m u:{name_of(who.uid)}:x {folder}"
    return ""


def _may_enter(folder: Path, who: Identity) -> bool:
    try:
        if "system.posix_acl_access" in os.listxattr(folder):
            return True  # whatever its list says
        mode = folder.stat()
    except OSError:
        return True
    shift = 6 if mode.st_uid == who.uid else 3 if mode.st_gid in (who.gid, *who.groups) else 0
    return who.uid == 0 or bool(mode.st_mode >> shift & 1)


def _readable(path: str | None) -> None:
    error = reach(path, os.R_OK) if path else None
    if error is not None:
        what = "unable to stat:" if isinstance(error, FileNotFoundError) else "cannot read"
        raise refused(what, error, domain=c.VIR_FROM_QEMU)


def path_of(disk: Disk) -> str | None:
    """The file or block device of the host behind a disk; None for other sources and for empty drives."""
    match disk.source:
        case FileSource(file=path) | BlockSource(dev=path):
            return path
    return None


def _refusal(disk: Disk) -> OSError | None:
    path = path_of(disk)
    return reach(path, os.R_OK if disk.readonly or disk.transient else os.R_OK | os.W_OK) if path else None


def _told(disk: Disk, error: OSError) -> SystemError_:
    who = f" (as uid:{os.geteuid()}, gid:{os.getegid()})" if os.geteuid() else ""
    words = f"Cannot access storage file '{path_of(disk)}'{who}: {explained(error)}"
    return SystemError_(words, domain=c.VIR_FROM_STORAGE)


def _do_without(guest: QemuDomain, live: DomainXML, disk: Disk) -> None:
    path, drops = path_of(disk), disk.device not in ("cdrom", "floppy")
    reason = c.VIR_DOMAIN_EVENT_DISK_DROP_MISSING_ON_START if drops else c.VIR_DOMAIN_EVENT_DISK_CHANGE_MISSING_ON_START
    log.warning("%r starts without %s (%s): it is not there", guest, path, disk.target)
    if drops:
        live.devices.disks.remove(disk)
    else:
        disk.source = None
    guest.driver.events.emit(Domain.disk_changed, guest, path, None, disk.alias or "", reason)
