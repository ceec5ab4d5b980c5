"""Sockets that QEMU serves at paths where its user may make none: made for it, and handed to it listening."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import stat
from typing import TYPE_CHECKING

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import SystemError_
from virtqemud.argv.parts import escape

from .reach import Astray, find

if TYPE_CHECKING:
    from virtqemud.argv.command import Command
    from virtqemud.running.resources import Resources


def serve(command: Command, res: Resources) -> None:
    """Have every character device of QEMU's that serves a socket get it open. SystemError_ with the path."""
    user = res.security.user(res.live)
    if user is None:
        return
    for path in command.needs.sockets:
        named = f",path={escape(path)},"
        for at, word in enumerate(command.argv):
            if word.startswith("socket,") and named in word and ",server=on" in word:
                fd = res.own(listening(path, user.uid, user.gid).detach())
                command.argv[at] = word.replace(named, f",fd={fd},")
                command.needs.fds.append(fd)
                res.guest.undo.append(functools.partial(_remove, path))


def listening(path: str, uid: int, gid: int) -> socket.socket:
    """A listening socket of a user's at a path; what lay there is replaced. SystemError_ with the path."""
    folder, name = os.path.split(os.path.abspath(path))
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        at = find(folder, uid)
        try:
            _bind(server, at, name, uid, gid)
        finally:
            os.close(at)
        server.listen(1)
    except (OSError, Astray) as error:
        server.close()
        words = f"Unable to listen at {path}: {getattr(error, 'strerror', None) or error}"
        raise SystemError_(words, domain=VIR_FROM_QEMU) from error
    return server


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _bind(server: socket.socket, folder: int, name: str, uid: int, gid: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    server.bind(f"/proc/self/fd/{folder}/{name}")
    made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISSOCK(os.fstat(made).st_mode):
            os.chown(f"/proc/self/fd/{made}", uid, gid)
            os.chmod(f"/proc/self/fd/{made}", 0o775)  # libvirt's
    finally:
        os.close(made)
