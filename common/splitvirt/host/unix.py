"""UNIX sockets at paths of any length: a long one is reached through an open folder (`/proc/self/fd/N/name`)."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from splitvirt.host.paths import socket_path_fits


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A spelling of a socket's path that fits, good while the context lasts. OSError when even its name is too long."""
    if socket_path_fits(path):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = f"/proc/self/fd/{folder}/{path.name}"
        if not socket_path_fits(short):
            raise OSError(36, "The name of the socket is too long", str(path))
        yield short
    finally:
        os.close(folder)


def listen(path: Path, *, mode: int = 0o600, backlog: int = 1) -> socket.socket:
    """A listening socket at a path; what lay there is replaced. OSError with the path."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with reachable(path) as spelling:
            # The mode given to the socket before it has a name is the one that its file gets: no window, no umask.
            os.fchmod(server.fileno(), mode)
            server.bind(spelling)
        os.chmod(path, mode)
        server.listen(backlog)
    except OSError:
        server.close()
        raise
    return server


def connect(path: Path, *, timeout: float | None = 5.0, follow: bool = True) -> socket.socket:
    """A connection to a socket at a path, non-blocking. OSError when nobody listens.

    Without `follow` a symbolic link at the path is refused: who may put one there must not choose whom we speak to.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(timeout)
        with reachable(path) if follow else _itself(path) as spelling:
            client.connect(spelling)
        client.setblocking(False)
    except OSError:
        client.close()
        raise
    return client


@contextlib.contextmanager
def _itself(path: Path) -> Iterator[str]:
    """A spelling of a path that means what lies there now, and no link."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
