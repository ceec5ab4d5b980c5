"""Where everything lies: the directories of a daemon or of an embedded instance, as libvirt lays them out."""

import contextlib
import os
from pathlib import Path
from typing import Literal

from splitvirt.host.value import value

Mode = Literal["system", "session", "embed"]

SOCKET_PATH_MAX = 107
"""Bytes of a UNIX socket's path (`sun_path` less its final NUL): unix(7)."""


@value
class Layout:
    """Five directories, each already libvirt's own (`.../libvirt`), and the mode they serve."""

    mode: Mode
    etc: Path
    run: Path
    lib: Path
    log: Path
    cache: Path
    root: Path | None = None
    """The directory that holds all five, or None for the host's own."""

    @classmethod
    def system(cls) -> "Layout":
        """The host's directories, for the one daemon of each kind that root runs."""
        var = Path("/var")
        return cls(
            "system",
            etc=Path("/etc/libvirt"),
            run=Path("/run/libvirt"),
            lib=var / "lib/libvirt",
            log=var / "log/libvirt",
            cache=var / "cache/libvirt",
        )

    @classmethod
    def session(cls) -> "Layout":
        """The calling user's directories, where libvirt's clients look for a session daemon (XDG)."""
        cache = _xdg("XDG_CACHE_HOME", ".cache") / "libvirt"
        config = _xdg("XDG_CONFIG_HOME", ".config") / "libvirt"
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        run = Path(runtime) / "libvirt" if runtime else cache
        return cls("session", etc=config, run=run, lib=config, log=cache, cache=cache)

    @classmethod
    def under(cls, root: str | os.PathLike[str], mode: Mode = "embed") -> "Layout":
        """Everything below one directory: `root/etc/libvirt`, `root/run/libvirt` and so on."""
        top = Path(root).absolute()
        parts = {name: top / name / "libvirt" for name in ("etc", "run", "lib", "log", "cache")}
        return cls(mode, **parts, root=top)

    @classmethod
    def for_user(cls) -> "Layout":
        """The system's directories for root, else the calling user's own."""
        return cls.system() if os.geteuid() == 0 else cls.session()

    def socket(self, daemon: str, kind: Literal["", "ro", "admin"] = "") -> Path:
        """A daemon's socket: read-write, read-only or admin."""
        return self.run / (daemon + {"": "-sock", "ro": "-sock-ro", "admin": "-admin-sock"}[kind])

    def state(self, driver: str) -> Path:
        """Where a driver keeps what does not outlive a reboot: status records, pid files, monitor sockets."""
        return self.run / driver / "run" if self.mode == "session" and not self.root else self.run / driver

    def logs(self, driver: str) -> Path:
        """Where a driver writes a log per object."""
        return self.log / driver / "log" if self.mode == "session" and not self.root else self.log / driver

    def caches(self, driver: str) -> Path:
        """Where a driver keeps what it can make again."""
        return self.cache / driver / "cache" if self.mode == "session" and not self.root else self.cache / driver


def user_cache() -> Path:
    """The calling user's own cache directory for what every instance may share: `/var/cache/splitvirt` for root."""
    given = os.environ.get("XDG_CACHE_HOME")
    if os.geteuid() == 0 and not given:
        return Path("/var/cache/splitvirt")
    return _xdg("XDG_CACHE_HOME", ".cache") / "splitvirt"


def socket_path_fits(path: str | os.PathLike[str]) -> bool:
    """Whether a socket of that path can be bound and connected to as it stands."""
    return len(os.fsencode(path)) <= SOCKET_PATH_MAX


def make_private(path: Path, mode: int = 0o700) -> Path:
    """Make a directory for its owner alone, with plain ones above it; what exists stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=mode)
    if not path.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(path))
    return path


def check_own(folder: Path) -> None:
    """Raise PermissionError for a folder that another user (root apart) can change: names in it would be theirs."""
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(
            1, f"it belongs to user {found.st_uid}, who could put links and files in our way", str(folder)
        )
    if found.st_mode & 0o002:
        raise PermissionError(1, "everybody may write to it, and could put links and files in our way", str(folder))


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default)
