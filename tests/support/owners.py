"""Files of other users, for tests of who has what while a guest runs."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

UID, GID = 65123, 65124
"""A user and a group that no host has."""
CONFIG = {"user": f"+{UID}", "group": f"+{GID}"}
CONF_FILE = f'user = "+{UID}"\ngroup = "+{GID}"\n'
ALICE = 65200
"""Whose the disks are."""
NOTE = "trusted.libvirt.security."


def _notes() -> bool:
    """Whether notes can be kept at files here."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file, contextlib.suppress(OSError):
        os.setxattr(file.name, NOTE + "test", b"1")
        return True
    return False


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files change their owners")
needs_notes = pytest.mark.skipif(
    os.geteuid() != 0 or not _notes(),
    reason="needs trusted extended attributes in /var/tmp, and root",
)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users get through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="owners-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def file(path: Path, size: int = 1 << 20, *, owner: int = ALICE) -> Path:
    """A file of Alice's."""
    with path.open("wb") as made:
        made.truncate(size)
    os.chown(path, owner, owner)
    return path


def who(path: Path) -> tuple[int, int]:
    """User and group of a file."""
    about = path.stat()
    return about.st_uid, about.st_gid


def notes(path: Path) -> dict[str, str]:
    """What is noted at a file: owner and count."""
    found = {name.removeprefix(NOTE): os.getxattr(path, name).decode() for name in os.listxattr(path) if NOTE in name}
    found.pop("timestamp_dac", None)
    return found


def disk(path: Path, target: str = "vda", extra: str = "", kind: str = "raw", inside: str = "") -> str:
    """A disk of a file."""
    return (
        f"<disk type='file'><driver name='qemu' type='{kind}'/><source file='{path}'>{inside}</source>"
        f"<target dev='{target}'/>{extra}</disk>"
    )


MINE, HERS = (UID, GID), (ALICE, ALICE)
