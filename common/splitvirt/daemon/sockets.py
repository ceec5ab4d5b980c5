"""A daemon's listening sockets: systemd's, or its own made the same way.

systemd's outlive the daemon. Its own are put into systemd's fd store, where there is one, and outlive a restart or a
crash there, with the callers that wait in them.
"""

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from splitvirt.access.identity import Identity
from splitvirt.daemon.config import Config
from splitvirt.host.paths import Layout
from splitvirt.host.value import value
from splitvirt.rpc.listener import PATH_MAX, bind

if TYPE_CHECKING:
    from splitvirt.daemon.notify import Notifier

Kind = Literal["rw", "ro", "admin"]
KINDS: tuple[Kind, ...] = ("rw", "ro", "admin")
STORED = "own-"
"""What the name of a socket of our own in the fd store starts with; its kind follows."""


@value
class Listening:
    """A socket that clients connect to. `path` is set when this process made it and must remove it."""

    kind: Kind
    socket: socket.socket
    path: Path | None = None


def kind_of(name: str, daemon: str) -> Kind | None:
    """What a socket of systemd's is for, by its FileDescriptorName= (by default the name of its unit)."""
    named: dict[str, Kind] = {f"{daemon}.socket": "rw", f"{daemon}-ro.socket": "ro", f"{daemon}-admin.socket": "admin"}
    return named.get(name) or next((kind for kind in KINDS if kind == name), None)


def adopt(passed: list[tuple[str, int]], daemon: str) -> tuple[list[Listening], dict[Kind, socket.socket]]:
    """The listeners among systemd's descriptors, and those of our own that an earlier process left in the fd store."""
    listeners: list[Listening] = []
    stored: dict[Kind, socket.socket] = {}
    for name, fd in passed:
        if kind := kind_of(name, daemon):
            listeners.append(Listening(kind, socket.socket(fileno=fd)))
        elif (own := kind_of(name.removeprefix(STORED), daemon)) and name.startswith(STORED):
            stored[own] = socket.socket(fileno=fd)
        else:
            os.close(fd)
    return listeners, stored


def make(
    layout: Layout, daemon: str, config: Config, listen: str | None, stored: dict[Kind, socket.socket]
) -> list[Listening]:
    """A daemon's own sockets: rw, ro and admin; VirtError or OSError naming the path where one cannot be made.

    `listen` puts the rw socket somewhere else. Session daemons have no read-only one, as libvirt's have none. Those
    that are `stored` are used again where they are still the ones.
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
            made.append(Listening(kind, _open(path, mode_of(layout, config, kind), stored.get(kind)), path))
            if group := config.text("unix_sock_group"):
                _give(path, group)
    except BaseException:
        remove(made)
        close(made)
        raise
    return made


def _open(path: Path, mode: int, stored: socket.socket | None) -> socket.socket:
    if stored is None or stored.getsockname() != str(path) or not path.is_socket():
        return bind(path, mode)
    path.chmod(mode)
    return stored


def store(listeners: list[Listening], stored: dict[Kind, socket.socket], notifier: "Notifier") -> None:
    """Have the service manager keep our own sockets, and drop what it has kept and is of no use any more."""
    used = {one.socket for one in listeners}
    for kind in [kind for kind, sock in stored.items() if sock not in used]:
        notifier.forget(STORED + kind)
        old = stored.pop(kind)
        if (name := old.getsockname()) not in {str(one.path) for one in listeners}:
            Path(name).unlink(missing_ok=True)
        old.close()
    for one in listeners:
        # the name of one at a longer path does not tell where it is
        if one.path and len(os.fsencode(one.path)) <= PATH_MAX and one.kind not in stored:
            notifier.store(STORED + one.kind, one.socket.fileno())


def asks_polkit(layout: Layout, config: Config, kind: Kind) -> bool:
    """Whether polkit is asked who may use a socket: as configured, else where the host's own daemons are."""
    usual = "polkit" if layout.mode == "system" and layout.root is None else "none"
    key = {"ro": "auth_unix_ro", "rw": "auth_unix_rw"}.get(kind)
    return key is not None and (config.text(key) or usual) == "polkit"


def mode_of(layout: Layout, config: Config, kind: Kind) -> int:
    """A socket's file mode: as configured, else open to all where polkit decides, else the owner's alone."""
    key = f"unix_sock_{kind}_perms"
    if kind == "rw" and key not in config.given and asks_polkit(layout, config, kind):
        return 0o777
    return int(config.text(key), 8)


def confined(layout: Layout, config: Config, caller: Identity, kind: Kind) -> bool:
    """Whether a socket that systemd opened, to all, is the caller's to use: by the keys for one that we make."""
    if not {"unix_sock_group", f"unix_sock_{kind}_perms"} & config.given.keys():
        return True
    return openable(caller, mode_of(layout, config, kind), config.text("unix_sock_group"))


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
    """Close sockets that no server took over."""
    for listener in listeners:
        listener.socket.close()


def remove(listeners: list[Listening]) -> None:
    """Take the sockets that are ours out of their folder: nobody finds them any more; who waits in them still does."""
    for listener in listeners:
        if listener.path:
            listener.path.unlink(missing_ok=True)


def _give(path: Path, group: str) -> None:
    import grp

    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        raise OSError(errno.EINVAL, f"unix_sock_group: there is no group {group}", str(path)) from None
