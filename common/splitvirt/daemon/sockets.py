"""A daemon's listening sockets: systemd's, or its own made the same way."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from splitvirt.host.paths import Layout, socket_path_fits

from .config import Config

Kind = Literal["rw", "ro", "admin"]
KINDS: tuple[Kind, ...] = ("rw", "ro", "admin")
_BACKLOG = 4096


@dataclass(frozen=True)
class Listener:
    """A socket that accepts clients. `path` is set when this process made it and must remove it."""

    kind: Kind
    socket: socket.socket
    path: Path | None = None

    def remove(self) -> None:
        """Take our own socket file away, so that nobody finds a socket that no one serves."""
        if self.path:
            self.path.unlink(missing_ok=True)


def kind_of(name: str, daemon: str) -> Kind | None:
    """What a socket of systemd's is for, by its FileDescriptorName= (by default the name of its unit)."""
    named: dict[str, Kind] = {f"{daemon}.socket": "rw", f"{daemon}-ro.socket": "ro", f"{daemon}-admin.socket": "admin"}
    return named.get(name) or next((kind for kind in KINDS if kind == name), None)


def adopt(passed: list[tuple[str, int]], daemon: str) -> tuple[list[Listener], list[tuple[str, int]]]:
    """The listeners among systemd's descriptors, and what is left: the rest of the fd store."""
    listeners, rest = [], []
    for name, fd in passed:
        if kind := kind_of(name, daemon):
            listeners.append(Listener(kind, socket.socket(fileno=fd)))
        else:
            rest.append((name, fd))
    return listeners, rest


def path_of(layout: Layout, daemon: str, kind: Kind) -> Path:
    """Where libvirt's clients look for that socket."""
    return layout.socket(daemon, "" if kind == "rw" else kind)


def make(layout: Layout, daemon: str, config: Config, listen: str | None = None) -> list[Listener]:
    """A daemon's own sockets: rw, ro and admin; OSError naming the path where one cannot be made.

    `listen` puts the rw socket somewhere else. Session daemons have no read-only one, as libvirt's have none.
    """
    folder = Path(config.text("unix_sock_dir")) if config.text("unix_sock_dir") else layout.run
    made: list[Listener] = []
    try:
        for kind in KINDS:
            if kind == "ro" and layout.mode == "session" and layout.root is None:
                continue
            path = Path(listen) if kind == "rw" and listen else folder / path_of(layout, daemon, kind).name
            mode = int(config.text(f"unix_sock_{kind}_perms"), 8)
            made.append(Listener(kind, bind(path, mode, config.text("unix_sock_group")), path))
    except OSError:
        for listener in made:
            listener.socket.close()
            listener.remove()
        raise
    return made


def bind(path: Path, mode: int, group: str = "") -> socket.socket:
    """Listen at `path` with that file mode and group; a socket that nobody serves any more is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        with reachable(path) as short:
            if is_served(short):
                raise OSError(errno.EADDRINUSE, "another daemon serves this socket", str(path))
            path.unlink(missing_ok=True)
            old = os.umask(0o777 & ~mode)
            try:
                sock.bind(short)
            finally:
                os.umask(old)
        path.chmod(mode)
        if group:
            _give(path, group)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for `path` that is short enough for a socket address: longer ones go by way of the open directory."""
    if socket_path_fits(path):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def is_served(path: str) -> bool:
    """Whether some process accepts connections at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _give(path: Path, group: str) -> None:
    import grp

    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        raise OSError(errno.EINVAL, f"unix_sock_group: there is no group {group}", str(path)) from None
