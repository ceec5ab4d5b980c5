"""What the operating system refused, as an error of a call: what was tried, where, its words, and what mends it."""

import contextlib
import errno
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from splitvirt.api.constants import VIR_FROM_NONE
from splitvirt.api.errors import SystemError_


def refused(
    what: str, error: OSError, path: str | os.PathLike[str] = "", *, domain: int = VIR_FROM_NONE
) -> SystemError_:
    """The call's error for a refusal: `what` was tried ("cannot write") with `path`, else with the error's own file."""
    place = os.fspath(path) or _file(error)
    return SystemError_(f"{what} {place}: {explained(error, place)}" if place else f"{what}: {error}", domain=domain)


def told(error: OSError) -> str:
    """A refusal in a line, for who started a program: what could not be used, why, and what mends it."""
    return str(refused("cannot use", error)) if _file(error) else explained(error)


def explained(error: OSError, path: str = "") -> str:
    """The system's words for a refusal, and what mends it where that is not plain."""
    number = error.errno or 0
    # an error with words of our own says it already
    hint = mend(number, path or _file(error)) if error.strerror == os.strerror(number) else ""
    return f"{error.strerror or error}{f' ({hint})' if hint else ''}"


@contextlib.contextmanager
def telling(what: str, *, domain: int = VIR_FROM_NONE) -> Iterator[None]:
    """Let an OSError that comes from inside and names its file be a call's error."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise refused(what, error, domain=domain) from error


@contextlib.contextmanager
def about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError that comes from inside speak of this path, whatever descriptor or passing name it met."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def reach(path: str | os.PathLike[str], mode: int = os.F_OK) -> OSError | None:
    """Why this process cannot open a path with the rights of `mode` (os.R_OK, os.W_OK); None when it can."""
    try:
        os.stat(path)
    except OSError as error:
        return error
    return None if os.access(path, mode) else PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def mend(number: int, path: str) -> str:
    """What mends a refusal at a path, in some words; empty where the refusal itself says it."""
    if number in (errno.EACCES, errno.EPERM) and path:
        return _barrier(Path(path).absolute())
    if number == errno.EDQUOT:
        return f"the quota of user {_user()} is used up"
    if number in (errno.EMFILE, errno.ENFILE):
        return "the limit of open files is reached: raise LimitNOFILE= of the service, or ulimit -n"
    if number in (errno.ENOSPC, errno.EROFS) and path:
        mount = _mount(Path(path).absolute())
        return f"make room on the file system at {mount}" if number == errno.ENOSPC else f"{mount} is mounted read-only"
    return ""


def _barrier(path: Path) -> str:
    """Which folder or file keeps this process away."""
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return f"user {_user()} may not enter {folder}" if folder.exists() else ""
    if not path.exists():
        folder = path.parent
        return f"user {_user()} may not write to {folder}" if folder.exists() and not os.access(folder, os.W_OK) else ""
    for mode, verb in ((os.R_OK, "read"), (os.W_OK, "write")):
        if not os.access(path, mode):
            return f"user {_user()} may not {verb} {'it' if path.is_file() else path}"
    return ""


def _mount(path: Path) -> Path:
    return next((folder for folder in (path, *path.parents) if os.path.ismount(folder)), Path("/"))


def _file(error: OSError) -> str:
    return os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""


def name_of(uid: int) -> str:
    """A user's name, or number where that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _user() -> str:
    return name_of(os.geteuid())
