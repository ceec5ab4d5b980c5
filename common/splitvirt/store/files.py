"""Files that survive a crash: each step leaves either the old content or the new, whole and on the disk."""

import contextlib
import os
from pathlib import Path

from splitvirt.host.refusal import about


def write_durable(path: str | os.PathLike[str], data: bytes | str, mode: int = 0o600) -> None:
    """Replace a file's content at once and for good: temporary file, fsync, rename, fsync of the folder.

    Raises OSError with the path; then the old file is as it was and no temporary one is left.
    """
    with about(path):
        _replace(Path(path), data, mode, sync=True)
        sync_folder(Path(path).parent)


def write_volatile(path: str | os.PathLike[str], data: bytes | str, mode: int = 0o600) -> None:
    """Replace a file's content at once, without waiting for the disk: for what a reboot ends anyway."""
    with about(path):
        _replace(Path(path), data, mode, sync=False)


def remove_durable(path: str | os.PathLike[str]) -> bool:
    """Remove a file for good; False when there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_folder(Path(path).parent)
    return True


def link_durable(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make or replace a symbolic link for good."""
    link = Path(path)
    temporary = _temporary(link)
    with about(path):
        os.symlink(target, temporary)
        try:
            os.rename(temporary, link)
        except BaseException:
            os.unlink(temporary)
            raise
        sync_folder(link.parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Bring a folder's entries to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep_temporary(folder: str | os.PathLike[str]) -> int:
    """Remove what an interrupted write left in a folder that only the caller writes to; how many there were."""
    left = [entry for entry in Path(folder).glob(".*.new") if not entry.is_dir()]
    for entry in left:
        entry.unlink(missing_ok=True)
    return len(left)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _replace(target: Path, data: bytes | str, mode: int, *, sync: bool) -> None:
    temporary = _temporary(target)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            os.fchmod(fd, mode)
            _write_all(fd, data.encode() if isinstance(data, str) else data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(target: Path) -> Path:
    # A name of 255 bytes is the longest a file may have, and the target may use them all.
    return target.with_name(f".{os.urandom(8).hex()}.new")
