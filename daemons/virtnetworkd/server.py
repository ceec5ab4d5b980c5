"""One network's dnsmasq: started, watched, told of changes, found again after a restart of ours, and ended."""

import asyncio
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import InternalError, SystemError_
from splitvirt.host.paths import make_private
from splitvirt.host.pidfd import Held
from splitvirt.host.process import Launcher
from splitvirt.store.files import remove_durable, write_volatile
from splitvirt.xml.network import Network

from . import dnsmasq

log = logging.getLogger(__name__)
START_SECONDS = 10.0
SETTLE_SECONDS = 0.02
"""How long after its pid file a dnsmasq in the foreground may still fail: it drops privileges then."""

BACKOFF_FIRST, BACKOFF_MOST = 0.5, 60.0
PASSES = 200
"""How often processes are looked through for strays at most, where new ones come all the time."""
STEADY_SECONDS = 30.0
"""After so long a life a dnsmasq that dies is started again at once."""


class Server:
    """The process that serves one network. `on_crash(network name, seconds until the next try)` tells of its death."""

    def __init__(
        self,
        name: str,
        files: dnsmasq.Files,
        launcher: Launcher,
        on_crash: Callable[[str, float], None],
        own_user: bool,
    ) -> None:
        self.name, self.files, self._launcher, self._on_crash = name, files, launcher, on_crash
        self._own_user = own_user
        self._held: Held | None = None
        self._retry: asyncio.Task[None] | None = None
        self._backoff = BACKOFF_FIRST
        self._since = 0.0
        self._wanted = False

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return self._held.pid if self._held is not None and not self._held.ended else None

    def write(self, net: Network) -> None:
        """Write what it reads. dnsmasq reads the hosts as a user of its own."""
        make_private(self.files.conf.parent, 0o755)
        write_volatile(self.files.conf, dnsmasq.configuration(net, self.files), 0o644)
        write_volatile(self.files.hosts, dnsmasq.kept_hosts(net), 0o644)
        write_volatile(self.files.names, dnsmasq.host_names(net), 0o644)

    async def start(self, net: Network) -> None:
        """Start it for a network, if the network serves anything. Raises VirtError with dnsmasq's own words."""
        if not dnsmasq.needed(net):
            return
        self.write(net)
        await self._spawn()

    async def _spawn(self) -> None:
        program = shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if program is None:
            raise SystemError_(
                "Cannot find 'dnsmasq' in path: No such file or directory (install dnsmasq-base)",
                domain=VIR_FROM_NETWORK,
            )
        self._forget()
        remove_durable(self.files.pid)
        argv = [program, f"--conf-file={self.files.conf}", f"--dhcp-leasefile={self.files.leases}"]
        tethered = self._launcher.lifetime == "app"
        argv += ["--keep-in-foreground"] if tethered else []
        if self._own_user:
            argv += ["--user=root", "--group="]  # no change of groups: a user namespace does not allow it
        said = os.memfd_create("dnsmasq")
        try:
            held = await self._launcher.spawn(argv, output=said)
            if not await (self._settled(held) if tethered else held.wait(START_SECONDS)) or held.status:
                raise _failure(held, argv, said)
        except OSError as error:
            raise SystemError_(f"cannot run {program}: {error.strerror}", domain=VIR_FROM_NETWORK) from error
        finally:
            os.close(said)
        if tethered:
            self._watch(held)
        elif not self.adopt():
            raise InternalError(f"dnsmasq of network {self.name} ended as soon as it was started")

    async def _settled(self, held: Held) -> bool:
        """Whether a dnsmasq that stays in the foreground has bound its sockets, and lives on after that."""
        for _ in range(int(START_SECONDS / 0.002)):
            if _filled(self.files.pid) or await held.wait(0.002):
                break
        return not await held.wait(SETTLE_SECONDS) and _filled(self.files.pid)

    def _watch(self, held: Held) -> None:
        self._held, self._wanted, self._since = held, True, time.monotonic()
        held.on_end(self._ended)

    def adopt(self) -> bool:
        """Find the process of an earlier run of ours by its pid file and its command line; whether it is there."""
        try:
            held = self._ours(int(self.files.pid.read_text()))
        except (OSError, ValueError, OverflowError):
            return False
        if held is not None:
            self._watch(held)
        return held is not None

    def _ours(self, pid: int) -> Held | None:
        """That process, if it runs with this network's configuration."""
        held = Held.open(pid)
        if held is None:
            return None
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            words = []
        if f"--conf-file={self.files.conf}".encode() in words and not held.ended:
            return held
        held.close()
        return None

    async def end_strays(self) -> None:
        """End what an earlier run of ours started and had no time to see the pid file of. Reads all of /proc.

        One that goes into the background leaves a child in its place: so until no process is new.
        """
        seen: set[int] = set()
        for _ in range(PASSES):
            new = {int(name) for name in os.listdir("/proc") if name.isdigit()} - seen
            if not new:
                return
            seen |= new
            for held in filter(None, map(self._ours, sorted(new))):
                if not await held.stop(0.0):
                    log.error("dnsmasq of network %s (pid %d) cannot be ended", self.name, held.pid)
                held.close()

    def _ended(self) -> None:
        if not self._wanted:
            return
        if time.monotonic() - self._since > STEADY_SECONDS:
            self._backoff = BACKOFF_FIRST
        status = self._held.status if self._held else None
        log.error("dnsmasq of network %s ended with status %s; next try in %.1f s", self.name, status, self._backoff)
        self._on_crash(self.name, self._backoff)
        self._retry = asyncio.get_running_loop().create_task(self._again())

    async def _again(self) -> None:
        while self._wanted:
            await asyncio.sleep(self._backoff)
            self._backoff = min(self._backoff * 2, BACKOFF_MOST)
            try:
                await self._spawn()
                return
            except Exception as error:
                log.error("dnsmasq of network %s cannot be started again: %s", self.name, error)

    async def refresh(self, net: Network, *, restart: bool) -> None:
        """Bring a changed network to it: hosts and names with a signal, everything else with a restart."""
        if not dnsmasq.needed(net):
            await self.stop()
            return
        self.write(net)
        if restart or self.pid is None:
            await self._end()
            await self._spawn()
        elif self._held is not None:
            self._held.signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End it and remove its files; leases are forgotten."""
        await self._end()
        for path in self.files.all():
            remove_durable(path)

    async def _end(self) -> None:
        self._wanted = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._held is not None:
            await self._held.stop(2.0)
            self._forget()

    def release(self) -> None:
        """Let it run on without us."""
        self._wanted = False
        if self._retry is not None:
            self._retry.cancel()
        self._forget()

    def _forget(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


def _failure(held: Held, argv: list[str], said: int) -> InternalError:
    """Why it did not start, in its own words; what is left of it is ended."""
    words, status = os.pread(said, 65536, 0).decode(errors="replace"), held.status
    held.signal(signal.SIGKILL)
    held.close()
    command = " ".join(argv)
    if status is None:
        return InternalError(f"{command} was not ready after {START_SECONDS:.0f} s: {words}", domain=VIR_FROM_NETWORK)
    return InternalError(f"Child process ({command}) unexpected exit status {status}: {words}", domain=VIR_FROM_NETWORK)


def _filled(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
