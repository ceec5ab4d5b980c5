"""Talking to the service manager: sd_notify(3) and the fd store, in a few lines over its socket."""

import array
import asyncio
import os
import socket
import time
from collections.abc import Iterable


class Notifier:
    """Tells systemd how the service is doing; without systemd every call does nothing."""

    def __init__(self, address: str | None):
        self.address = address

    @classmethod
    def from_environment(cls) -> "Notifier":
        """The manager named in $NOTIFY_SOCKET, which children must not inherit."""
        return cls(os.environ.pop("NOTIFY_SOCKET", None))

    def send(self, *lines: str, fds: Iterable[int] = ()) -> None:
        """Send assignments such as "STATUS=..."; a manager that does not listen is no reason to fail."""
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        passed = array.array("i", fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)] if passed else []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendmsg(["\n".join(lines).encode()], ancillary, 0, address)
            except OSError:
                return

    def ready(self, status: str) -> None:
        """The service answers."""
        self.send("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self.send(f"STATUS={text}")

    def reloading(self) -> None:
        """Configuration is being read again; `ready` ends it."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, why: str) -> None:
        """The service is on its way out: what comes from now on is for the next one."""
        self.send("STOPPING=1", f"STATUS={why}")

    def extend(self, seconds: float) -> None:
        """Ask for that much more time to start or stop."""
        self.send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def store(self, name: str, fd: int) -> None:
        """Keep a file descriptor across a restart or crash (not across a stop): it comes back under that name."""
        self.send("FDSTORE=1", f"FDNAME={name}", fds=[fd])

    def forget(self, name: str) -> None:
        """Take what has that name out of the store."""
        self.send("FDSTOREREMOVE=1", f"FDNAME={name}")

    async def watchdog(self) -> None:
        """Say that the event loop turns, twice per $WATCHDOG_USEC; ends at once where no watchdog is set."""
        interval = watchdog_interval()
        while self.address and interval:
            self.send("WATCHDOG=1")
            await asyncio.sleep(interval / 2)


def watchdog_interval() -> float:
    """Seconds within which the manager wants a sign of life from this very process; 0 for none."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6


def passed_fds() -> list[tuple[str, int]]:
    """The descriptors that systemd passed (sd_listen_fds(3)) as (name, fd), taken out of the environment."""
    pid, count, names = (os.environ.pop(f"LISTEN_{what}", "") for what in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()):
        return []
    fds = list(range(3, 3 + int(count or 0)))
    for fd in fds:
        os.set_inheritable(fd, False)
    known = names.split(":") if names else []
    return [(known[i] if i < len(known) else "unknown", fd) for i, fd in enumerate(fds)]
