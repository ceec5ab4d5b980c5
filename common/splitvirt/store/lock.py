"""One owner at a time for a directory of state."""

import fcntl
import os
from pathlib import Path

from splitvirt.host.paths import make_private
from splitvirt.host.pidfd import command_name, start_time
from splitvirt.host.refusal import about


class Taken(Exception):
    """Somebody else owns it; the text names the holder."""


class OwnerLock:
    """A lock on a file, held until `release` or the end of this process, against every other opener, ours too.

    The file says who holds it. It is never removed: a lock on a removed file would guard nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock at once. Raises Taken, or OSError when the file cannot be made."""
        make_private(self.path.parent, 0o755)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_holder(fd)
            os.close(fd)
            raise Taken(f"{self.path.parent} is in use by {holder}") from None
        self._fd = fd
        me = os.getpid()
        with about(self.path):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{me} {start_time(me)} {command_name(me)}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock up; once is enough."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def _read_holder(fd: int) -> str:
    try:
        told, started, name = os.pread(fd, 4096, 0).decode(errors="replace").strip().split(" ", 2)
        pid = int(told)
    except ValueError:
        return "another process"
    if pid == os.getpid():
        return f"this very process ({name}, pid {pid}): another instance has it open"
    if str(start_time(pid)) != started:
        return f"a process that process {pid} ({name}) left behind"
    return f"process {pid} ({name})"
