"""Memory of a guest: how much it may have, has, and uses."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import InvalidArg, OperationInvalid
from splitvirt.host import usage
from splitvirt.xml.devices.memballoon import Memballoon
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud import devicelist
from virtqemud.flags import only
from virtqemud.running.monitor import CommandError

from .base import CONFIG, LIVE, DomainBase

QEMU = c.VIR_FROM_QEMU

_BALLOON_STATS = {
    "stat-swap-in": c.VIR_DOMAIN_MEMORY_STAT_SWAP_IN,
    "stat-swap-out": c.VIR_DOMAIN_MEMORY_STAT_SWAP_OUT,
    "stat-major-faults": c.VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT,
    "stat-minor-faults": c.VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT,
    "stat-free-memory": c.VIR_DOMAIN_MEMORY_STAT_UNUSED,
    "stat-total-memory": c.VIR_DOMAIN_MEMORY_STAT_AVAILABLE,
    "stat-available-memory": c.VIR_DOMAIN_MEMORY_STAT_USABLE,
    "stat-disk-caches": c.VIR_DOMAIN_MEMORY_STAT_DISK_CACHES,
    "stat-htlb-pgalloc": c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC,
    "stat-htlb-pgfail": c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL,
}
_COUNTS = (
    c.VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT,
    c.VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT,
    c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC,
    c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL,
)


class Memory(DomainBase):
    """Memory, by balloon and by configuration."""

    def current_memory(self) -> int:
        """KiB that the guest has now, as its balloon last said."""
        shown = self.current
        return shown.current_memory or shown.memory or 0

    def has_balloon(self, shown: DomainXML) -> bool:
        """Whether there is a balloon to be filled."""
        return any(balloon.model != "none" for balloon in devicelist.of(shown, Memballoon))

    async def max_memory(self) -> int:
        """KiB that it can have at most."""
        return self.current.memory or 0

    async def set_memory(self, memory: int, flags: int = 0) -> None:
        """Give it that many KiB."""
        only(flags, LIVE | CONFIG | c.VIR_DOMAIN_MEM_MAXIMUM, "qemuDomainSetMemoryFlags")
        async with self.job.hold("set_memory"):
            live, config = self.impact(flags)
            if flags & c.VIR_DOMAIN_MEM_MAXIMUM:
                self._set_most(live, config, memory)
                return
            for shown in (live, config):
                if shown is not None and memory > (shown.memory or 0):
                    raise InvalidArg("cannot set memory higher than max memory", domain=QEMU)
            if live is not None:
                if not self.has_balloon(live):
                    raise OperationInvalid("Unable to change memory of active domain without the balloon device and guest OS balloon driver", domain=QEMU)  # fmt: skip  # noqa: E501
                await self.running().monitor.execute("balloon", {"value": memory * 1024})
            if config is not None:
                changed = config.copy()
                changed.current_memory = memory
                self.keep(changed)

    def _set_most(self, live: DomainXML | None, config: DomainXML | None, memory: int) -> None:
        if live is not None:
            raise OperationInvalid("cannot resize the maximum memory on an active domain", domain=QEMU)
        assert config is not None
        changed = config.copy()
        if changed.cpu is not None and changed.cpu.numa:
            raise OperationInvalid("initial memory size of a domain with NUMA nodes cannot be modified with this API", domain=QEMU)  # fmt: skip  # noqa: E501
        changed.memory = memory
        if (changed.current_memory or memory) > memory:
            changed.current_memory = memory
        self.keep(changed)

    async def memory_stats(self, flags: int = 0) -> dict[int, int]:
        """Statistics by number, in KiB where they are amounts."""
        only(flags, 0, "qemuDomainMemoryStats")
        guest = self.running()
        assert self.live
        stats: dict[int, int] = {}
        if self.has_balloon(self.live):
            stats[c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON] = self.current_memory()
            stats |= await self._ask_balloon(self.live)
        stats[c.VIR_DOMAIN_MEMORY_STAT_RSS] = usage.resident_kib(guest.process.pid)
        return stats

    async def _ask_balloon(self, live: DomainXML) -> dict[int, int]:
        alias = next(b.alias for b in devicelist.of(live, Memballoon))
        where = {"path": f"/machine/peripheral/{alias}", "property": "guest-stats"}
        try:
            told: dict[str, Any] = await self.running().monitor.execute("qom-get", where, timeout=5)
        except CommandError:
            return {}
        found: dict[int, int] = {}
        for name, number in _BALLOON_STATS.items():
            value = told.get("stats", {}).get(name, -1)
            if 0 <= value < 1 << 63:
                found[number] = value if number in _COUNTS else value // 1024
        found[c.VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE] = int(told.get("last-update", 0))
        return found

    async def set_memory_stats_period(self, period: int, flags: int = 0) -> None:
        """Have the balloon collect statistics."""
        only(flags, LIVE | CONFIG, "qemuDomainSetMemoryStatsPeriod")
        if period < 0:
            raise InvalidArg("period must not be negative", domain=QEMU)
        async with self.job.hold("set_memory_stats_period"):
            live, config = self.impact(flags)
            for shown in (live, config):
                if shown is not None and not self.has_balloon(shown):
                    raise OperationInvalid(
                        "Memory balloon model must be virtio to set the collection period", domain=QEMU
                    )
            if live is not None:
                for balloon in devicelist.of(live, Memballoon):
                    path = f"/machine/peripheral/{balloon.alias}"
                    arguments = {"path": path, "property": "guest-stats-polling-interval", "value": period}
                    await self.running().monitor.execute("qom-set", arguments)
                    balloon.stats_period = period or None
                self.record()
            if config is not None:
                changed = config.copy()
                for balloon in devicelist.of(changed, Memballoon):
                    balloon.stats_period = period or None
                self.keep(changed)
