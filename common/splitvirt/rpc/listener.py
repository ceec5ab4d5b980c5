"""Listening UNIX sockets: made at a path of any length, or handed over already open."""

import asyncio
import errno
import logging
import os
import socket
import stat
from collections.abc import Callable
from os import PathLike
from typing import Final

from splitvirt.api.errors import SystemError_

log = logging.getLogger(__name__)

PATH_MAX: Final = 107
BACKLOG: Final = 1024
BATCH: Final = 16
RETRY_SECONDS: Final = 1.0


def bind(path: str | PathLike[str], mode: int) -> socket.socket:
    """A listening socket at `path`, with that file mode from its first moment on.

    A socket file that nobody answers at is replaced; one that somebody does is a SystemError_, as is any other failure.
    """
    path = os.fspath(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    folder = -1
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        short = f"/proc/self/fd/{folder}/{os.path.basename(path)}"
        _remove_stale(short, path)
        os.fchmod(sock.fileno(), mode)  # what bind(2) gives the file
        sock.bind(short if len(os.fsencode(path)) > PATH_MAX else path)
        os.chmod(short, mode)  # the umask has taken from it what it would
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise SystemError_(f"Failed to bind socket to '{path}': {error.strerror or error}") from error
    finally:
        if folder >= 0:
            os.close(folder)
    return sock


def _remove_stale(short: str, path: str) -> None:
    try:
        found = os.stat(short, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "a file that is no socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(short)
        except ConnectionRefusedError:
            os.unlink(short)
            return
    raise OSError(errno.EADDRINUSE, "another process answers there")


class Listener:
    """Takes connections from a listening socket while it is told to, and hands them on.

    `accepted` says whether it keeps one. Where none can be taken it stops, and calls `again` a second later.
    """

    def __init__(
        self,
        sock: socket.socket,
        accepted: Callable[["Listener", socket.socket], bool],
        again: Callable[[], object],
        *,
        readonly: bool,
        admin: bool,
        path: str = "",
    ) -> None:
        sock.setblocking(False)
        self.readonly, self.admin, self.path = readonly, admin, path
        self._sock, self._accepted, self._again = sock, accepted, again
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._inode = os.stat(path).st_ino if path else 0

    def start(self) -> None:
        """Take connections; harmless when it does already."""
        if not self._open and self._sock.fileno() >= 0:
            self._open = True
            self._loop.add_reader(self._sock.fileno(), self._ready)

    def stop(self) -> None:
        """Leave connections in the kernel's queue."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock.fileno())

    def close(self) -> None:
        """Close it; the file goes too when we made it and it is still ours."""
        self.stop()
        self._sock.close()
        try:
            if self.path and os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        except OSError:
            pass

    def _ready(self) -> None:
        for _ in range(BATCH):
            if not self._open:
                return
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors or memory: the queue keeps them, try again soon
                log.error("cannot take a connection: %s", error)
                self.stop()
                self._loop.call_later(RETRY_SECONDS, self._again)
                return
            if not self._accepted(self, sock):
                sock.close()
