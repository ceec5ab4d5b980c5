"""Files of other users, for tests of who has what while a guest runs."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from splitvirt.host.paths import Layout
from virtqemud.driver import QemuDriver

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


def driver(folder: Path, **config: Any) -> QemuDriver:
    """The system daemon's driver, below a root that other users get through."""
    (folder / "root").mkdir(0o711, exist_ok=True)
    return QemuDriver(Layout.under(folder / "root", "system"), CONFIG | config)


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[QemuDriver]:
    """That driver, open; its guests end with it."""
    made = driver(folder)
    await made.open()
    yield made
    for guest in list(made.guests):
        if guest.active:
            await guest.destroy()
    await made.close()


def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **more)


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def runs_as(pid: int, uid: int, gid: int) -> None:
    """See that a process is somebody's, with no way back and no capability."""
    about = status(pid)
    assert (about["Uid"].split(), about["Gid"].split()) == ([str(uid)] * 4, [str(gid)] * 4)
    assert {about[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}


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
