"""A daemon's listening sockets: systemd's, or its own made the same way."""

import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from splitvirt.access.identity import Identity
from splitvirt.daemon.config import Config
from splitvirt.host.paths import Layout
from splitvirt.rpc.listener import bind

Kind = Literal["rw", "ro", "admin"]
KINDS: tuple[Kind, ...] = ("rw", "ro", "admin")


@dataclass(frozen=True)
class Listening:
    """A socket that clients connect to. `path` is set when this process made it and must remove it."""

    kind: Kind
    socket: socket.socket
    path: Path | None = None


def kind_of(name: str, daemon: str) -> Kind | None:
    """What a socket of systemd's is for, by its FileDescriptorName= (by default the name of its unit)."""
    named: dict[str, Kind] = {f"{daemon}.socket": "rw", f"{daemon}-ro.socket": "ro", f"{daemon}-admin.socket": "admin"}
    return named.get(name) or next((kind for kind in KINDS if kind == name), None)


def adopt(passed: list[tuple[str, int]], daemon: str) -> tuple[list[Listening], list[tuple[str, int]]]:
    """The listeners among systemd's descriptors, and what is left: the rest of the fd store."""
    listeners, rest = [], []
    for name, fd in passed:
        if kind := kind_of(name, daemon):
            listeners.append(Listening(kind, socket.socket(fileno=fd)))
        else:
            rest.append((name, fd))
    return listeners, rest


def make(layout: Layout, daemon: str, config: Config, listen: str | None = None) -> list[Listening]:
    """A daemon's own sockets: rw, ro and admin; VirtError or OSError naming the path where one cannot be made.

    `listen` puts the rw socket somewhere else. Session daemons have no read-only one, as libvirt's have none.
    """
    folder = Path(config.text("unix_sock_dir")) if config.text("unix_sock_dir") else layout.run
    made: list[Listening] = []
    try:
        for kind in KINDS:
            if kind == "ro" and layout.mode == "session" and layout.root is None:
                continue
            name = layout.socket(daemon, "" if kind == "rw" else kind).name
            path = Path(listen).absolute() if kind == "rw" and listen else folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            made.append(Listening(kind, bind(path, mode_of(config, kind)), path))
            if group := config.text("unix_sock_group"):
                _give(path, group)
    except BaseException:
        close(made)
        raise
    return made


def mode_of(config: Config, kind: Kind) -> int:
    """A socket's file mode: as configured, else open to all where polkit decides, else the owner's alone."""
    key = f"unix_sock_{kind}_perms"
    if kind == "rw" and key not in config.given and config["auth_unix_rw"] == "polkit":
        return 0o777
    return int(config.text(key), 8)


def openable(caller: Identity, mode: int, group: str) -> bool:
    """Whether a socket of that mode and group ("" for the daemon's own) lets the caller open it: on D-Bus the same."""
    import grp

    if caller.uid in (0, os.geteuid()) or mode & 0o002:
        return True
    try:
        return bool(mode & 0o020) and caller.member_of([grp.getgrnam(group).gr_gid if group else os.getegid()])
    except KeyError:
        return False


def close(listeners: list[Listening]) -> None:
    """Close sockets that no server took over, and remove those that are ours."""
    for listener in listeners:
        listener.socket.close()
        if listener.path:
            listener.path.unlink(missing_ok=True)


def _give(path: Path, group: str) -> None:
    import grp

    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        raise OSError(errno.EINVAL, f"unix_sock_group: there is no group {group}", str(path)) from None
