"""Taking hold of a file by its path, without being led astray by who may change names on the way."""

from __future__ import annotations

import os
import stat

MOST_LINKS = 40
"""Symbolic links of one path; the kernel's figure (path_resolution(7))."""


class Astray(Exception):
    """A link on the way belongs to somebody who might not have the right to what it leads to."""


def find(path: str, trusted: int = 0) -> int:
    """A descriptor (O_PATH) of what a path leads to. OSError where it leads nowhere.

    Raises Astray for a symbolic link that belongs neither to root, nor to us, nor to the user whose file it leads to
    (or that is `trusted`): whoever may change a folder must not choose whose files we give away.
    """
    fd, owners = _walk(path)
    owner = os.fstat(fd).st_uid
    for link, uid in owners:
        if uid not in (0, os.geteuid(), owner, trusted or owner):
            os.close(fd)
            raise Astray(f"the link {link} belongs to user {uid}, what it leads to belongs to user {owner}")
    return fd


def name_of(fd: int) -> str:
    """The path of what a descriptor holds, without links."""
    return os.readlink(f"/proc/self/fd/{fd}")


def _walk(path: str) -> tuple[int, list[tuple[str, int]]]:
    """Go along a path name by name; the end, and the links on the way with their owners."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    names = _names(os.path.abspath(path))
    owners: list[tuple[str, int]] = []
    at = os.open("/", flags)
    while names:
        name = names.pop()
        try:
            fd = os.open(name, flags, dir_fd=at)
        except OSError as error:
            os.close(at)
            raise OSError(error.errno, error.strerror, path) from None
        about = os.fstat(fd)
        if not stat.S_ISLNK(about.st_mode):
            os.close(at)
            at = fd
            continue
        target = os.readlink("", dir_fd=fd)
        os.close(fd)
        owners.append((name, about.st_uid))
        if len(owners) > MOST_LINKS:
            os.close(at)
            raise OSError(40, "Too many levels of symbolic links", path)
        if target.startswith("/"):
            os.close(at)
            at = os.open("/", flags)
        names += _names(target)
    return at, owners


def _names(path: str) -> list[str]:
    """The names of a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
