"""A daemon's place on the message bus: taken at the start, and again when the bus itself was restarted."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from splitvirt.api.errors import VirtError
from splitvirt.rpc.limits import Count

if TYPE_CHECKING:
    from splitvirt.daemon.life import Daemon
    from splitvirt.dbus.bus import Bus
    from splitvirt.dbus.export import Export

log = logging.getLogger(__name__)

COUNTS_MAX = 1000
"""Calls over D-Bus that are counted by name."""
RETRY_FIRST, RETRY_MOST = 0.5, 30.0
"""Seconds between attempts to join a bus that went away."""


class OnBus:
    """The D-Bus front end of one daemon; without a bus every question has its plain answer."""

    def __init__(self, daemon: "Daemon"):
        self.daemon = daemon
        self.bus: Bus | None = None
        self.export: Export | None = None
        self.counts: dict[str, Count] = {}
        self.leaving = False

    @property
    def which(self) -> str:
        """The bus: as asked for, else that of the mode; none for a daemon below a root."""
        layout = self.daemon.layout
        return self.daemon.options.bus or ("none" if layout.root else layout.mode)

    @property
    def neighbourhood(self) -> str:
        """The bus on which sibling daemons are looked for: ours, or that of the mode where we are on none."""
        return self.daemon.layout.mode if self.which == "none" else self.which

    @property
    def names(self) -> list[str]:
        """Our names; `own_org_libvirt` adds the one that libvirt-dbus's clients ask for."""
        own = [f"org.splitvirt.{self.daemon.service.name}"]
        return own + (["org.libvirt"] if self.daemon.config.flag("own_org_libvirt") else [])

    @property
    def running(self) -> int:
        """Calls under way."""
        return len(self.export.running) if self.export else 0

    async def join(self) -> None:
        """Offer everything and take the names. A bus that cannot be had is an error only when it was asked for."""
        if self.which == "none":
            return
        try:
            await self._join()
        except VirtError as e:
            if self.daemon.options.bus:
                raise
            log.warning("not on D-Bus: %s", e)

    async def _join(self) -> None:
        from splitvirt.daemon.report import DaemonReport, Report
        from splitvirt.dbus.bus import Bus
        from splitvirt.dbus.export import Export

        daemon = self.daemon
        bus = await Bus.connect(self.which)
        export = Export(bus, daemon.service.bus_path, daemon.access)
        offers: list[tuple[type, Any]] = [(daemon.service.contract, daemon.driver), (Report, DaemonReport(daemon))]
        offers += getattr(daemon.driver, "bus_offers", ())
        for contract, root in offers:
            export.offer(contract, root)
        export.observe, export.callers.limits = self._count, self._limits
        try:
            await export.start(daemon.touch)
            for name in self.names:
                await bus.request_name(name)
            for _, root in offers:
                if hasattr(root, "joined"):
                    self.daemon.keep(root.joined(export.callers.of))
        except VirtError:
            export.close()
            bus.close()
            raise
        self.bus, self.export = bus, export
        bus.on_lost(self._lost)

    def _lost(self) -> None:
        """The bus is gone: go on without it, and come back to the next one."""
        if self.export:
            self.export.close()
        self.bus = self.export = None
        if not self.leaving:
            log.warning("the message bus is gone")
            self.daemon.keep(self._rejoin())

    async def _rejoin(self) -> None:
        wait = RETRY_FIRST
        while not self.leaving:
            await asyncio.sleep(wait)
            try:
                await self._join()
            except VirtError as e:
                log.debug("not on D-Bus: %s", e)
                wait = min(wait * 2, RETRY_MOST)
            else:
                log.info("on the message bus again")
                return

    async def release(self) -> None:
        """Give the names up, and wait for what the bus had for us."""
        self.leaving = True
        if self.bus:
            for name in self.names:
                await self.bus.release_name(name)

    async def close(self) -> None:
        """Leave the bus."""
        self.leaving = True
        if self.bus:
            bus = self.bus
            bus.close()
            await bus.closed()

    def _limits(self) -> tuple[int, int]:
        config = self.daemon.config
        return config.number("dbus_max_client_requests"), config.number("dbus_max_user_requests")

    def _count(self, name: str, seconds: float, failed: bool) -> None:
        if name not in self.counts and len(self.counts) >= COUNTS_MAX:
            name = "other"  # names are the callers' own words
        self.counts.setdefault(name, Count(name)).add(seconds, failed)
