"""A QEMU that runs: its process, its monitor, its end."""

import contextlib
import logging
import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import InternalError, Timeout, VirtError
from splitvirt.host import unix
from splitvirt.host.paths import make_private
from splitvirt.host.pidfd import Held
from splitvirt.host.process import Launcher, User
from virtqemud.places import GuestPlaces

from .monitor import Monitor, OnEvent

log = logging.getLogger(__name__)

PERIPHERAL = "/machine/peripheral/"
"""Where QEMU keeps devices that were given an id, as those that were plugged in are."""
GREETING = 30.0
"""Seconds that a QEMU has from its start to its monitor's greeting."""

TERM_GRACE = 10.0
KILL_GRACE = 15.0
"""Seconds that QEMU has to end by itself after SIGTERM, and the kernel to end it after SIGKILL; libvirt's figures."""

# Whoever starts it may end before it is told: then it ends as well.
_WAITING = ("/bin/sh", "-c", 'read -r go || exit 125; exec "$0" "$@" </dev/null')


class Guest:
    """One running QEMU. `on_end` is called once, in the loop, after the last event was delivered."""

    def __init__(self, places: GuestPlaces, process: Held, monitor: Monitor) -> None:
        self.places, self.process, self.monitor = places, process, monitor
        self.helpers: list[Held] = []
        self.vcpus: dict[int, int] = {}
        """Numbers of threads by vCPU, in the order in which they came."""
        self.plugged: frozenset[int] = frozenset()
        """The vCPUs that came after the start, and may leave."""
        self._words_from = 0
        self._go: int | None = None

    @classmethod
    async def launch(
        cls,
        places: GuestPlaces,
        launcher: Launcher,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        fds: Iterable[int],
        on_event: OnEvent,
        user: User | None = None,
        wait: bool = False,
    ) -> "Guest":
        """Start QEMU (as `user`, where it is not to run as we do); its monitor's socket, listening, is among `fds`.

        With `wait` it begins when it is told to `go`. InternalError when it cannot be run.
        """
        with open_log(places.log) as output:
            start = write_header(output.fileno(), argv, env)
            told, go = os.pipe() if wait else (DEVNULL, None)
            try:
                command = [*_WAITING, *argv] if wait else argv
                process = await launcher.spawn(command, env=env, fds=fds, stdin=told, output=output, user=user)
            except BaseException as error:
                if go is not None:
                    os.close(go)
                if not isinstance(error, OSError):
                    raise
                words = f"cannot execute binary {argv[0]}: {error.strerror}"
                raise InternalError(words, domain=VIR_FROM_QEMU) from error
            finally:
                if wait:
                    os.close(told)
        guest = cls(places, process, Monitor(on_event))
        guest._go = go
        guest._words_from = start
        return guest

    def go(self) -> None:
        """Let a QEMU begin that waits."""
        if self._go is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended, which the monitor tells
                os.write(self._go, b"\n")
            self._close_go()

    def _close_go(self) -> None:
        if self._go is not None:
            os.close(self._go)
            self._go = None

    async def greet(self) -> None:
        """Wait until the monitor of a QEMU just started answers; the error quotes the last words of one that ended."""
        try:
            await self.connect(GREETING)
        except VirtError as error:
            await self.process.stop(0)
            words = read_from(self.places.log, self._words_from) or error.message
            raise InternalError(f"process exited while connecting to monitor: {words}", domain=VIR_FROM_QEMU) from None

    async def connect(self, timeout: float | None) -> None:
        """Reach the monitor and wait for its greeting. Timeout when none comes, or too many wait there already."""
        try:
            connection = unix.connect(self.places.monitor)
        except BlockingIOError:
            raise Timeout("cannot connect to monitor: it does not answer", domain=VIR_FROM_QEMU) from None
        except OSError as error:
            raise InternalError(
                f"failed to connect to monitor socket: {error.strerror}", domain=VIR_FROM_QEMU
            ) from error
        await self.monitor.connect(connection, timeout=timeout)

    async def learn(self) -> dict[str, Any]:
        """Ask what only the running QEMU knows; its threads by vCPU are kept, the chardevs returned by label."""
        cpus, chardevs = await self.monitor.batch(("query-cpus-fast", None), ("query-chardev", None))
        for answer in (cpus, chardevs):
            if isinstance(answer, VirtError):
                raise answer
        self.vcpus = {int(cpu["cpu-index"]): int(cpu["thread-id"]) for cpu in cpus}
        self.plugged = frozenset(int(cpu["cpu-index"]) for cpu in cpus if cpu["qom-path"].startswith(PERIPHERAL))
        return {chardev["label"]: chardev for chardev in chardevs}

    async def kill(self, grace: float = TERM_GRACE) -> bool:
        """End QEMU, by SIGTERM first where `grace` allows; False when it cannot be ended."""
        ended = await self.process.stop(grace, hard=KILL_GRACE)
        await self.monitor.close()
        return ended

    async def release(self) -> None:
        """Let go of everything that is held for it, when it has ended or is to be left running."""
        await self.monitor.close()
        self._close_go()
        self.process.close()
        for helper in self.helpers:
            helper.close()
        self.helpers.clear()

    async def end_helpers(self) -> None:
        """End what served the guest; most of it has noticed by itself."""
        for helper in self.helpers:
            if not await helper.stop(0 if helper.ended else 2.0):
                log.error("process %d of %s cannot be ended", helper.pid, self.places.folder.name)


def open_log(path: Path) -> Any:
    """A guest's log, to be written at its end."""
    make_private(path.parent)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(fd, "ab", buffering=0)


def write_header(fd: int, argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Note the start in the log: the command line as it can be pasted into a shell. Returns where QEMU's words begin.

    The environment is the caller's and may hold secrets: only what was added for the guest is told.
    """
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    added = [f"{name}={shlex.quote(value)}" for name, value in env.items() if os.environ.get(name) != value]
    lines: list[str] = []
    for word in argv:
        lines.append(shlex.quote(word)) if word.startswith("-") or not lines else lines.append(
            "\x00" + shlex.quote(word)
        )
    text = " \\\n".join([*added, *lines]).replace(" \\\n\x00", " ")
    with contextlib.suppress(OSError):
        os.write(fd, f"{stamp}+0000: starting up by splitvirt\n{text}\n".encode())
    return os.lseek(fd, 0, os.SEEK_END)


def write_end(path: Path, reason: str) -> None:
    """Note the end in the log."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with contextlib.suppress(OSError), open_log(path) as file:
        file.write(f"{stamp}+0000: shutting down, reason={reason}\n".encode())


def read_from(path: Path, start: int, limit: int = 4096) -> str:
    """What was written to a log since a position, of the last `limit` bytes, without what QEMU says at every start."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - limit))
            words = file.read().decode(errors="replace").strip()
    except OSError:
        return ""
    return "\n".join(line for line in words.splitlines() if not line.startswith("char device redirected to "))
