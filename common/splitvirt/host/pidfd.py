"""A process held by a descriptor of its own: its number cannot come to mean another one."""

import asyncio
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc(5), field 22): with its number, its identity."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may itself hold spaces and parentheses.
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def command_name(pid: int) -> str:
    """What a process calls itself, or "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def boot_id() -> str:
    """Names this boot of the host: a record from another one speaks of processes that are gone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Held:
    """A process by pidfd. Signals reach it or nobody; its end is noticed whether or not it is our child.

    `status` is its exit status once known to us, its parent: 0-255, or minus the signal's number.
    """

    def __init__(self, pid: int, started: int, fd: int) -> None:
        self.pid, self.started = pid, started
        self.status: int | None = None
        self._fd = fd
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self._waiters: list[asyncio.Future[None]] = []
        self._callbacks: list[Callable[[], None]] = []

    @classmethod
    def open(cls, pid: int, started: int | None = None) -> "Held | None":
        """Take hold of a process; None when it is gone, or when it is not the one that began at `started`."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        # Only now is the number pinned: what /proc says from here on is said of the process that `fd` holds.
        now = start_time(pid)
        if now is None or (started is not None and now != started):
            os.close(fd)
            return None
        return cls(pid, now, fd)

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        if not self._ended and not self._running():
            self._finish()
        return self._ended

    def signal(self, number: int) -> bool:
        """Send a signal; False when the process is gone."""
        if self._ended:
            return False
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return False
        return True

    def on_end(self, callback: Callable[[], None]) -> None:
        """Let the running loop call back once, when the process has ended."""
        self._callbacks.append(callback)
        self._watch()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most `timeout` seconds; whether it came."""
        if self.ended:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._watch()
        done, _ = await asyncio.wait([waiter], timeout=timeout)
        if not done:
            self._waiters.remove(waiter)
        return bool(done)

    async def stop(self, grace: float, *, hard: float = 10.0) -> bool:
        """End it: SIGTERM, after `grace` seconds SIGKILL; False when it is there even `hard` seconds later."""
        if grace > 0 and self.signal(signal.SIGTERM) and await self.wait(grace):
            return True
        self.signal(signal.SIGKILL)
        return await self.wait(hard)

    def close(self) -> None:
        """Let go of it, alive or not; nobody is called back any more."""
        self._unwatch()
        self._callbacks.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _running(self) -> bool:
        if self._fd < 0:
            return False
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        return not poller.poll(0)

    def _watch(self) -> None:
        if self._loop is None and self._fd >= 0:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._fd, self._finish)

    def _unwatch(self) -> None:
        if self._loop is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._fd)
            self._loop = None

    def _finish(self) -> None:
        self._ended = True
        self._unwatch()
        self.status = self._reap()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def _reap(self) -> int | None:
        try:
            result = os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None  # not our child, or somebody else in this application waited for it
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
