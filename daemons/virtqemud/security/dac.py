"""Giving files to a guest's user and back again: chown, and the note of whose they were.

The note is kept at the file itself, as libvirt keeps it, so that both understand each other: the extended attributes
`trusted.libvirt.security.dac` (the owner, "+uid:+gid"), `.ref_dac` (how many guests have the file) and
`.timestamp_dac` (when the host was started: notes of an earlier boot mean nothing). Where a file system has no such
attributes, and where `remember_owner` is off, the guest's status record alone knows.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from pathlib import Path
from typing import NamedTuple

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import OperationInvalid, SystemError_

from .reach import Astray, find, name_of

log = logging.getLogger(__name__)

OWNER = "trusted.libvirt.security.dac"
COUNT = "trusted.libvirt.security.ref_dac"
STAMP = "trusted.libvirt.security.timestamp_dac"

TOLERATED = (errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EROFS)
"""Refusals of chown that mean that a file system has no owners, or is not ours to change: QEMU may manage all the same.
The same ones as libvirt's."""

CLOCK_ERROR = 2
"""Seconds by which two readings of the host's start may differ: it is computed from the time and the uptime."""


class Given(NamedTuple):
    """A file that a guest has: its path in the configuration and without links, who had it before, who has it now."""

    path: str
    real: str
    uid: int
    gid: int
    to_uid: int
    to_gid: int


class Ownership:
    """Gives files and takes them back. Counts the holders among its own guests where a file cannot say it itself."""

    def __init__(self, *, remember: bool) -> None:
        self.remember = remember
        self._held: dict[str, list[Given]] = {}
        self._boot = _boot_time()

    def expect(self, given: Given) -> None:
        """Take in that a guest has a file already, given by an earlier one of us."""
        self._held.setdefault(given.real, []).append(given)

    def prepare(self, path: str, to: tuple[int, int], *, make: bool = False) -> tuple[int, Given]:
        """Take hold of a file that `to` (user, group) is to have: a descriptor (the caller's), and what to note before.

        FileNotFoundError and other OSErrors pass through, and Astray. With `make` a missing file is made.
        """
        fd = _made(path) if make and not os.path.lexists(path) else find(path)
        about = os.fstat(fd)
        real = name_of(fd)
        held = self._held.get(real)
        if held:
            return fd, held[0]._replace(path=path, to_uid=to[0], to_gid=to[1])
        owner = (about.st_uid, about.st_gid) if self.remember else (0, 0)
        if self.remember and owner == to:  # perhaps it never came back, because the host went down
            owner = self._stale(f"/proc/self/fd/{fd}") or owner
        return fd, Given(path, real, *owner, *to)

    def give(self, fd: int, given: Given) -> None:
        """Give a prepared file to a user, noting who had it. VirtError with the path where that cannot be."""
        about = os.fstat(fd)
        same = (about.st_uid, about.st_gid) == given[4:]
        if self._others(given) and not same:
            raise _in_use(given.path)
        if self.remember and self._note(fd, given) > 1 and not same:
            self._unnote(fd)
            raise _in_use(given.path)
        self._held.setdefault(given.real, []).append(given)
        if not same:
            hand_over(fd, given.to_uid, given.to_gid, given.path)

    def lend(self, fd: int, given: Given) -> None:
        """Give a prepared file to a user for good: others may have it too, so nobody can know when it is free."""
        about = os.fstat(fd)
        if (about.st_uid, about.st_gid) != given[4:]:
            if self._others(given):
                raise _in_use(given.path)
            hand_over(fd, given.to_uid, given.to_gid, given.path)

    def take_back(self, given: Given) -> None:
        """Give a file back to who had it, unless another guest has it too, or whom it was given to has it no more."""
        others = self._others(given)
        mine = self._held.get(given.real, [])
        if given in mine:
            mine.remove(given)
        if not mine:
            self._held.pop(given.real, None)
        try:
            fd = find(given.real, given.to_uid)
        except (OSError, Astray) as error:
            log.info("%s is not given back: %s", given.path, error)
            return
        try:
            about = os.fstat(fd)
            left, owner = self._unnote(fd, least=others)
            if left or others or (about.st_uid, about.st_gid) != given[4:]:
                return
            hand_over(fd, *(owner or (given.uid, given.gid)), given.path)
        finally:
            os.close(fd)

    def _others(self, given: Given) -> int:
        """How many other guests of ours have the file."""
        held = self._held.get(given.real, [])
        return len(held) - (1 if given in held else 0)

    def _note(self, fd: int, given: Given) -> int:
        """Note one more guest at a file; how many there are now, 0 where nothing can be noted."""
        place = f"/proc/self/fd/{fd}"
        count = self._count(place)
        try:
            if not count:
                os.setxattr(place, OWNER, f"+{given.uid}:+{given.gid}".encode())
                os.setxattr(place, STAMP, str(self._boot).encode())
            os.setxattr(place, COUNT, str(count + 1).encode())  # last: it is what makes the others mean something
        except OSError as error:
            log.debug("%s: nothing can be noted at it: %s", place, error)
            return 0
        return count + 1

    def _unnote(self, fd: int, *, least: int = 0) -> tuple[int, tuple[int, int] | None]:
        """Note one guest less; how many there are left, and with the last one the owner of old.

        What is left of `least` others is not ours to count: then we were ended before we noted anything.
        """
        place = f"/proc/self/fd/{fd}"
        count = self._count(place)
        if count and count <= least:
            return count, None
        if count > 1:
            with contextlib.suppress(OSError):
                os.setxattr(place, COUNT, str(count - 1).encode())
            return count - 1, None
        owner = _noted(place) if count else None
        _clear(place)
        return 0, owner

    def _stale(self, place: str) -> tuple[int, int] | None:
        """Who had a file before an earlier boot's guest, by a note that nobody took away."""
        try:
            old = abs(int(os.getxattr(place, STAMP)) - self._boot) > CLOCK_ERROR
        except (OSError, ValueError):
            return None
        return _noted(place) if old else None

    def _count(self, place: str) -> int:
        """How many guests have a file by the note at it. What an earlier boot left there is cleared away."""
        try:
            count = int(os.getxattr(place, COUNT))
        except (OSError, ValueError):
            return 0
        try:
            fresh = abs(int(os.getxattr(place, STAMP)) - self._boot) <= CLOCK_ERROR
        except (OSError, ValueError):
            fresh = True
        if not fresh:
            _clear(place)
        return count if fresh else 0


def _noted(place: str) -> tuple[int, int] | None:
    try:
        uid, _, gid = os.getxattr(place, OWNER).decode().partition(":")
        return int(uid), int(gid)
    except (OSError, ValueError):
        return None


def _clear(place: str) -> None:
    for name in (COUNT, OWNER, STAMP):
        with contextlib.suppress(OSError):
            os.removexattr(place, name)


def hand_over(fd: int, uid: int, gid: int, path: str) -> None:
    """Change the owner of what a descriptor holds. SystemError_ with the path, but for what libvirt tolerates."""
    try:
        # By this name it is the very file that was looked at, whatever lies at its path by now.
        os.chown(f"/proc/self/fd/{fd}", uid, gid)
    except OSError as error:
        if error.errno not in TOLERATED:
            words = f"unable to set user and group to '{uid}:{gid}' on '{path}': {error.strerror}"
            raise SystemError_(words, domain=VIR_FROM_QEMU) from error
        log.info("the owner of %s cannot be changed: %s", path, error.strerror)


def hand_folder(folder: Path, gid: int, mode: int = 0o1770) -> None:
    """Let a group have entries of its own in a folder that stays ours: it cannot remove or replace what is not its."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(fd, os.geteuid(), gid)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def let_pass(folder: Path) -> None:
    """Have a folder be ours, and let everybody through it to what they know the name of."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        about = os.fstat(fd)
        if about.st_uid != os.geteuid():
            os.fchown(fd, os.geteuid(), os.getegid())
        mode = stat.S_IMODE(about.st_mode)
        if mode & 0o022 or mode & 0o711 != 0o711:
            os.fchmod(fd, (mode | 0o711) & ~0o022)
    finally:
        os.close(fd)


def own(path: int | str | Path, uid: int, gid: int) -> None:
    """Give away a file or socket (by path or descriptor) that we, or a helper of ours, just made."""
    if isinstance(path, int):
        os.fchown(path, uid, gid)
    else:
        os.chown(path, uid, gid, follow_symlinks=False)


def own_tree(folder: Path, uid: int, gid: int) -> None:
    """Give away a folder with all that is in it; what a link in it leads to stays whose it is."""
    for _, _, names, at in os.fwalk(folder, follow_symlinks=False):
        os.fchown(at, uid, gid)
        for name in names:
            os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)


def _made(path: str) -> int:
    """An empty file, made for root alone at a path where none is."""
    folder = find(os.path.dirname(os.path.abspath(path)))
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(os.path.basename(path), flags, 0o600, dir_fd=folder))
        return os.open(os.path.basename(path), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _in_use(path: str) -> OperationInvalid:
    return OperationInvalid(
        f"Setting different DAC user or group on {path} which is already in use", domain=VIR_FROM_QEMU
    )


def _boot_time() -> int:
    """When the host was started, in seconds of the clock."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
