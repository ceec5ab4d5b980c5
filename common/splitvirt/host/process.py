"""Starting processes that live with this application, or that outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from splitvirt.host.pidfd import Held, start_time

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Lifetime = Literal["app", "keep"]

# The parent may have died before the kernel was told to send a signal at its death: then nobody would. So the
# child looks whether its parent is still the one that asked for it. 0 is a parent in an outer PID namespace.
_CHECK = 'case $PPID in "$0"|0) exec "$@";; esac; echo "the application that started this is gone" >&2; exit 125'


class User(NamedTuple):
    """As whom a process is to run: a user other than root has no capabilities, and root none where it is `bare`."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary ones."""
    bare: bool = True
    locked: int = 0
    """Bytes of memory that it may lock; 0: as many as we may; -1: any number."""


class Launcher:
    """Starts processes in the caller's cgroup, without touching signals or child watchers.

    With lifetime "app" the kernel kills them when this application ends, however it ends: they are spawned by a
    thread that lives until `close`, for a parent-death signal fires when the *thread* that forked ends, and the
    event loop's thread may end before the application does.
    """

    def __init__(self, lifetime: Lifetime = "app") -> None:
        self.lifetime = lifetime
        self._thread: ThreadPoolExecutor | None = None
        self._powerless: ThreadPoolExecutor | None = None
        self._prefix: list[str] = []
        self._started: list[tuple[int, int]] = []

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        fds: Iterable[int] = (),
        stdin: int = subprocess.DEVNULL,
        output: int | IO[bytes] = subprocess.DEVNULL,
        cwd: str | os.PathLike[str] | None = None,
        user: User | None = None,
    ) -> Held:
        """Start a program: `env` is its whole environment (default: ours), `fds` stay open under their numbers.

        It runs as `user` (default: as we do), which asks for root's powers. Its standard output and error go to
        `output`. It leads a session of its own, so that a terminal's Ctrl-C reaches the application alone. Raises
        OSError when the program cannot be run.
        """
        program = shutil.which(argv[0])
        if program is None:
            raise FileNotFoundError(2, "No such program, or it cannot be executed", argv[0])
        # The tether comes behind the change of user, which would take a parent-death signal away again.
        command = [*self._tether(), program, *argv[1:]]
        whom = as_user(user)

        def fork() -> Held:
            with _may_lock(user.locked if user else 0):
                child = subprocess.Popen(
                    command,
                    env=None if env is None else dict(env),
                    pass_fds=tuple(fds),
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    cwd=cwd,
                    start_new_session=True,
                    **whom,
                )
            child.returncode = 0  # it is watched and reaped by its pidfd: Popen is to do neither, nor to warn
            held = Held.open(child.pid)
            if held is None:
                raise ProcessLookupError(3, "It ended before it began", program)
            self._started = [one for one in self._started if start_time(one[0]) == one[1]]
            self._started.append((held.pid, held.started))
            return held

        if user is not None and user.uid == 0 and user.bare:
            return await asyncio.get_running_loop().run_in_executor(self._powerless_thread(), fork)
        if self.lifetime == "keep":
            return fork()
        return await asyncio.get_running_loop().run_in_executor(self._own_thread(), fork)

    def close(self) -> None:
        """End the spawning threads; with lifetime "app", what they spawned ends with them."""
        for thread in (self._thread, self._powerless):
            if thread is not None:
                thread.shutdown(wait=True)
        self._thread = self._powerless = None
        if self.lifetime == "app":
            # One that was spawned a moment ago may not have asked for the signal yet when the thread ended.
            for pid, started in self._started:
                held = Held.open(pid, started)
                if held is not None:
                    held.signal(signal.SIGKILL)
                    held.close()
            self._started.clear()

    def _own_thread(self) -> ThreadPoolExecutor:
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1, thread_name_prefix="splitvirt-launcher")
        return self._thread

    def _powerless_thread(self) -> ThreadPoolExecutor:
        """A thread whose children have no capabilities, not even as root: the kernel keeps that limit by thread."""
        if self._powerless is None:
            from concurrent.futures import ThreadPoolExecutor

            from splitvirt.host.capabilities import drop_bounding

            self._powerless = ThreadPoolExecutor(1, "splitvirt-powerless", initializer=drop_bounding)
        return self._powerless

    def _tether(self) -> list[str]:
        if self.lifetime == "keep":
            return []
        if not self._prefix:
            setpriv = shutil.which("setpriv")
            if setpriv is None:
                raise FileNotFoundError(2, "setpriv (util-linux) is needed to tie guests to this application")
            self._prefix = [setpriv, "--pdeathsig", "KILL", "/bin/sh", "-c", _CHECK]
        return [*self._prefix, str(os.getpid())]


@contextlib.contextmanager
def _may_lock(size: int) -> Iterator[None]:
    """Have what is started inside inherit a limit of locked memory, as far as we may raise it. Ours stays as it is."""
    if not size:
        yield
        return
    import resource

    old = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # The hard limit is never lowered: who may not raise it could not take that back.
    enough = old[1] == resource.RLIM_INFINITY or 0 <= size <= old[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, old[1] if enough else size))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, old)


def as_user(user: User | None) -> dict[str, Any]:
    """What `subprocess` is told so that a process runs as somebody."""
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": user.groups}


def run_blocking(
    argv: Sequence[str], *, timeout: float = 30.0, fds: Iterable[int] = (), user: User | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end within `timeout` seconds and return what it said; for use outside an event loop."""
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        pass_fds=tuple(fds),
        check=False,
        **as_user(user),
    )


async def run(
    argv: Sequence[str], *, timeout: float = 30.0, user: User | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short-lived program beside the event loop, at most `timeout` seconds: `subprocess.TimeoutExpired`."""
    return await asyncio.to_thread(run_blocking, argv, timeout=timeout, user=user)
