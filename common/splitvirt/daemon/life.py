"""A daemon from its first to its last moment: open, serve, reload, go when idle or told to, lose nothing on the way.

The order of leaving is what keeps it lossless (measured on systemd 252 with both buses): tell systemd that we stop,
give the bus name up, let the bus deliver what it had for us, stop taking connections, finish what was taken on, end.
Whatever comes later waits in sockets and queues that systemd and the bus hold for the next process.
"""

import asyncio
import contextlib
import fcntl
import functools
import gc
import logging
import os
import signal
import stat
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitvirt.access.identity import Identity
from splitvirt.access.rules import Access
from splitvirt.api.errors import SystemError_, VirtError
from splitvirt.daemon import signals, sockets
from splitvirt.daemon.config import Config
from splitvirt.daemon.log import Log
from splitvirt.daemon.main import VERSION, Options, Service, load
from splitvirt.daemon.notify import Notifier, passed_fds
from splitvirt.daemon.onbus import OnBus
from splitvirt.daemon.story import tell
from splitvirt.host.paths import Layout
from splitvirt.host.refusal import about
from splitvirt.rpc.forward import Route, Routes
from splitvirt.rpc.limits import Limits
from splitvirt.rpc.listener import bind
from splitvirt.rpc.server import Server

if TYPE_CHECKING:
    from splitvirt.access.polkit import Polkit
    from splitvirt.dbus.bus import Bus

log = logging.getLogger(__name__)

DRAIN = 60.0
"""Seconds that calls under way may take when the daemon is told to go."""
HEAD_START = 0.05
"""Seconds for which clients that wait at the start are served before anything else is done."""
QUIET = 1.0
"""Seconds of silence after which a connected client is taken to have nothing on its way when the daemon goes."""


class Daemon:
    """One run of a daemon."""

    def __init__(self, service: Service, options: Options, layout: Layout, config: Config):
        self.service, self.options, self.layout, self.config = service, options, layout, config
        self.notifier = Notifier.from_environment()
        self.log = Log(service.name, self._context)
        self.started = time.monotonic()
        self.timeout = options.timeout
        self.state = "starting"
        self.active = self.started
        self.access = self._make_access()
        self.access.opens, self.access.confined = self._opens, self._confined
        self.on_bus = OnBus(self)
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._lock = -1
        self._listeners: list[sockets.Listening] = []
        self._for_good = not self.notifier.address  # else our own sockets may wait in the fd store for the next process

    # -- the course of it ------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Serve until told to go or idle for long enough; the exit status. Who waits for one that fails is told."""
        self._listeners, self._stored = sockets.adopt(passed_fds(), self.service.name)
        try:
            return await self._run()
        except (VirtError, OSError):
            from splitvirt.daemon.refuse import refuse

            await refuse(self._listeners, self.service.name, "something that it needs is missing")
            raise
        finally:
            sockets.close(self._listeners)

    async def _run(self) -> int:
        self._start_log()
        self._lock = hold(self.layout.run / f"{self.service.name}.pid")
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._open(stack)
                why = await self._serve()
                await self._leave(why)
        finally:
            os.close(self._lock)
            self.log.close()
        return 0

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        stack.push(self._signals())
        self.keep(self.notifier.watchdog())
        if not self._listeners:
            made = sockets.make(self.layout, self.service.name, self.config, self.options.listen, self._stored)
            self._listeners = made
        sockets.store(self._listeners, self._stored, self.notifier)
        stack.callback(self._put_away)
        self.driver = await self.service.open(self.layout, self.config, self.on_bus.neighbourhood)
        stack.push_async_callback(self.driver.close)
        self.driver.events.subscribe(tell)
        await self._open_server()
        await self._answer_waiting()
        await self._open_admin(stack)
        await self.on_bus.join()

    def _put_away(self) -> None:
        if self._for_good:
            sockets.remove(self._listeners)

    async def _open_server(self) -> None:
        own = {self.service.contract: self.driver}
        scheme = self.service.uri_scheme
        self.server = Server(
            own,
            access=self.access,
            limits=limits(self.config),
            uris=[f"{scheme}:///{place}" for place in ("system", "session", "embed")],
            routes=routes(self.layout, self.service.siblings),
            name=self.service.name,
        )
        self.servers = {self.server.name: self.server}
        await self._listen(self.server)

    async def _listen(self, server: Server) -> None:
        server.on_change.append(self.touch)
        for one in self._listeners:
            if (one.kind == "admin") == (server.name == "admin"):
                await server.listen(one.socket, readonly=one.kind == "ro", admin=one.kind == "admin")

    async def _open_admin(self, stack: contextlib.AsyncExitStack) -> None:
        """What others look at us with: not needed for the call that starts a daemon, and 3 ms of modules."""
        from splitvirt.api.admin import Admin
        from splitvirt.daemon.admin import Administration

        admin = Server(
            {Admin: Administration(self)},
            access=Access("admin", private=True),
            limits=limits(self.config, "admin_"),
            name="admin",
        )
        self.servers[admin.name] = admin
        await self._open_metrics(stack)
        await self._listen(admin)

    async def _answer_waiting(self) -> None:
        """Answer those whose call started us first: joining the bus takes longer than they do."""
        deadline = time.monotonic() + HEAD_START
        await asyncio.sleep(0.001)
        while self.server.peers and time.monotonic() < deadline:  # noqa: ASYNC110 (silence is no event)
            await asyncio.sleep(0.002)

    async def _open_metrics(self, stack: contextlib.AsyncExitStack) -> None:
        from splitvirt.daemon.metrics import Metrics

        path = self.layout.run / f"{self.service.name}-metrics-sock"
        mode = sockets.mode_of(self.layout, self.config, "admin")
        sock = bind(path, mode)
        stack.callback(path.unlink, missing_ok=True)
        server = await asyncio.start_unix_server(Metrics(self).answer, sock=sock, limit=16 << 10)
        stack.callback(server.close)

    async def _serve(self) -> str:
        gc.freeze()  # what is there now stays to the end: the collector need not look at it (8 ms, for nothing found)
        gc.enable()
        self.state = "running"
        self.touch()
        self.notifier.ready(f"serving {self.service.driver}")
        log.info("%s %s is ready after %.0f ms", self.service.name, VERSION, (self.active - self.started) * 1000)
        self.set_timeout(self.timeout)
        return await self._end

    async def _leave(self, why: str) -> None:
        self.state = "stopping"
        log.info("leaving: %s", why)
        self.notifier.stopping(why)
        self.notifier.extend(DRAIN + 10)
        await self.on_bus.release()
        await self._drain()
        await self.on_bus.close()
        for task in self._tasks:
            task.cancel()

    async def _drain(self) -> None:
        """Take no more connections; let those that are in the middle of something come to its end."""
        deadline = time.monotonic() + DRAIN
        if self._for_good and any(one.path for one in self._listeners):
            sockets.remove(self._listeners)
            await asyncio.sleep(0.01)  # nobody comes after us: who waits in them is served
        for server in self.servers.values():
            server.pause()
        while time.monotonic() < deadline and self._unfinished():  # noqa: ASYNC110 (silence is no event)
            await asyncio.sleep(0.02)
        for server in self.servers.values():
            await server.close(drain=max(deadline - time.monotonic(), 1.0))

    def _unfinished(self) -> bool:
        now = time.monotonic()
        peers = (peer for server in self.servers.values() for peer in server.peers.values())
        waiting = any(server.door.waiting for server in self.servers.values())
        return (
            waiting
            or bool(self.on_bus.running)
            or any(peer.in_flight or now - peer.channel.last_read < QUIET for peer in peers)
        )

    # -- idling ----------------------------------------------------------------------------------------------------

    def touch(self) -> None:
        """Something happened: the time without work starts again."""
        self.active = time.monotonic()

    def set_timeout(self, seconds: int) -> None:
        """Leave after so long without clients or work; 0: never."""
        self.timeout = seconds
        if self._watch:
            self._watch.cancel()
        self._watch = self.keep(self._watch_idle()) if seconds else None

    async def _watch_idle(self) -> None:
        while True:
            wait = self.active + self.timeout - time.monotonic()
            if wait <= 0 and self.idle:
                self._for_good = True
                return self.end(f"idle for {self.timeout} s")
            await asyncio.sleep(wait if wait > 0 else min(self.timeout, 5))

    @property
    def idle(self) -> bool:
        """Whether nobody is connected, nothing is under way and nothing runs or is held."""
        servers = self.servers.values()
        return not (
            self.driver.busy or self.on_bus.running or any(server.peers or server.running for server in servers)
        )

    def end(self, why: str) -> None:
        """Begin to leave."""
        if not self._end.done():
            self._end.set_result(why)

    # -- signals and configuration ---------------------------------------------------------------------------------

    def _signals(self) -> contextlib.ExitStack:
        then: dict[int, Callable[[], None]] = {signal.SIGHUP: self.reload}
        for number in (signal.SIGTERM, signal.SIGINT):
            then[number] = functools.partial(self.end, f"got {number.name}")
        return signals.catch(then)

    def reload(self) -> None:
        """Read the configuration again: take in what can change at run time, and say what cannot."""
        self.notifier.reloading()
        config = load(self.service, self.layout, self.options)
        if config.errors:
            for line in config.errors:
                log.error("configuration not reloaded: %s", line)
        else:
            for line in config.warnings:
                log.warning("%s", line)
            for name in self.config.frozen_changes(config):
                log.warning("%s has changed, which only a restart takes in", name)
            self._take_in(config)
        self.notifier.ready(f"serving {self.service.driver}")

    def _take_in(self, config: Config) -> None:
        self.config = config
        self._configure_log()
        self.server.set_limits(**vars(limits(config)))
        if "admin" in self.servers:
            self.servers["admin"].set_limits(**vars(limits(config, "admin_")))
        fresh = self._make_access()
        self.access.auth_ro, self.access.auth_rw, self.access.fine = fresh.auth_ro, fresh.auth_rw, fresh.fine
        self.driver.reload()
        log.info("configuration reloaded")

    def _start_log(self) -> None:
        self._configure_log()
        logging.captureWarnings(True)
        asyncio.get_running_loop().set_exception_handler(_unhandled)
        for line in self.config.warnings:
            log.warning("%s", line)

    def _configure_log(self) -> None:
        level = 1 if self.options.verbose else self.config.number("log_level")
        self.log.configure(level, self.config.text("log_filters"), self.config.text("log_outputs"))

    @staticmethod
    def _context() -> dict[str, str]:
        from splitvirt.api.dispatch import current_caller

        caller = current_caller()
        return {"client": caller.name} if caller else {}

    # -- access and the bus ----------------------------------------------------------------------------------------

    def _make_access(self) -> Access:
        system = self.layout.mode == "system"
        return Access(
            self.service.driver,
            private=not system,
            auth_ro="polkit" if sockets.asks_polkit(self.layout, self.config, "ro") else "none",
            auth_rw="polkit" if sockets.asks_polkit(self.layout, self.config, "rw") else "none",
            fine=self.config.texts("access_drivers") == ["polkit"],
            authority=self._authority() if system else None,
        )

    def _confined(self, caller: Identity, readonly: bool) -> bool:
        """Whether the configured mode and group let a caller use a socket of systemd's."""
        kind: sockets.Kind = "ro" if readonly else "rw"
        ours = any(one.path for one in self._listeners if one.kind == kind)
        return ours or sockets.confined(self.layout, self.config, caller, kind)

    def _opens(self, caller: Identity, readonly: bool) -> bool:
        """Whether the mode and group of our socket let a caller in: the same for who calls over D-Bus."""
        try:
            kind = "ro" if readonly else "rw"
            made = (one.path for one in self._listeners if one.kind == kind and one.path)
            found = next(made, self.layout.socket(self.service.name, "ro" if readonly else "")).stat()
        except OSError:
            return caller.uid == 0
        if caller.uid in (0, found.st_uid):
            return True
        writable = stat.S_IWGRP if caller.member_of([found.st_gid]) else stat.S_IWOTH
        return bool(found.st_mode & writable) and self._confined(caller, readonly)

    def _authority(self) -> "Polkit":
        from splitvirt.access.polkit import Polkit

        async def connect() -> "Bus":
            from splitvirt.dbus.bus import Bus

            return await Bus.connect("system")

        return Polkit(connect)

    def keep(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something beside all else, until it ends or the daemon does."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def limits(config: Config, prefix: str = "") -> Limits:
    """The server's limits as configured; `prefix` "admin_" for the admin server's."""
    made = Limits()
    for name in vars(made):
        if prefix + name in config.known:
            setattr(made, name, config.number(prefix + name))
    return made


def routes(layout: Layout, siblings: tuple[str, ...]) -> Routes:
    """Where calls of other contracts go: to the sibling daemons' sockets beside ours."""
    place = layout.mode if layout.root is None else "system"
    found = {}
    for daemon in siblings:
        driver = daemon.removeprefix("virt").removesuffix("d")
        found[driver] = Route(str(layout.socket(daemon)), f"{driver}:///{place}")
    return Routes(found)


def hold(path: Path) -> int:
    """Write our pid into a locked file, as libvirt's daemons do; SystemError_ naming the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(fd, 32).decode().strip()
        os.close(fd)
        raise SystemError_(f"{path} is held by process {holder}: this daemon runs already") from None
    with about(path):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    log.error("%s", context.get("message"), exc_info=error if isinstance(error, BaseException) else None)
