"""What can be set ahead of a migration, and how fast a guest writes to its memory."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, OperationInvalid, Overflow
from virtqemud.flags import only

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU
FASTEST = (1 << 63) // (1 << 20) - 1
"""MiB/s; libvirt's word for no limit."""
SECONDS = (1, 60)
"""How long QEMU may watch a guest's writes."""
POSTCOPY_SPEED = 1  # VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY


class Migrating(DomainBase):
    """Figures for a migration."""

    async def migrate_max_downtime(self, flags: int = 0) -> int:
        """Milliseconds that the guest may stand still in the end."""
        only(flags, 0, "qemuDomainMigrateGetMaxDowntime")
        return int((await self.running().monitor.execute("query-migrate-parameters"))["downtime-limit"])

    async def migrate_set_max_downtime(self, downtime: int, flags: int = 0) -> None:
        """Milliseconds that the guest may stand still in the end."""
        only(flags, 0, "qemuDomainMigrateSetMaxDowntime")
        async with self.job.hold("migrate_set_max_downtime"):
            await self.running().monitor.execute("migrate-set-parameters", {"downtime-limit": downtime})

    async def migrate_max_speed(self, flags: int = 0) -> int:
        """MiB/s that a migration takes at most."""
        only(flags, POSTCOPY_SPEED, "qemuDomainMigrateGetMaxSpeed")
        if not flags & POSTCOPY_SPEED:
            return self.migration_speed or FASTEST
        parameters = await self.running().monitor.execute("query-migrate-parameters")
        return int(parameters["max-postcopy-bandwidth"]) >> 20

    async def migrate_set_max_speed(self, bandwidth: int, flags: int = 0) -> None:
        """MiB/s that a migration takes at most; kept while the daemon runs, also of a guest that is off."""
        only(flags, POSTCOPY_SPEED, "qemuDomainMigrateSetMaxSpeed")
        if bandwidth > FASTEST:
            raise Overflow(f"bandwidth must be less than {FASTEST + 1}", domain=QEMU)
        name = "max-postcopy-bandwidth" if flags & POSTCOPY_SPEED else "max-bandwidth"
        async with self.job.hold("migrate_set_max_speed"):
            if self.guest is not None or flags & POSTCOPY_SPEED:
                await self.running().monitor.execute("migrate-set-parameters", {name: bandwidth << 20})
            if not flags & POSTCOPY_SPEED:
                self.migration_speed = bandwidth

    async def migrate_compression_cache(self, flags: int = 0) -> int:
        """Bytes."""
        only(flags, 0, "qemuDomainMigrateGetCompressionCache")
        return int((await self.running().monitor.execute("query-migrate-parameters"))["xbzrle-cache-size"])

    async def migrate_set_compression_cache(self, size: int, flags: int = 0) -> None:
        """Bytes."""
        only(flags, 0, "qemuDomainMigrateSetCompressionCache")
        async with self.job.hold("migrate_set_compression_cache"):
            await self.running().monitor.execute("migrate-set-parameters", {"xbzrle-cache-size": size})

    async def migrate_start_post_copy(self, flags: int = 0) -> None:
        """Refused: no migration runs."""
        only(flags, 0, "qemuDomainMigrateStartPostCopy")
        self.running()
        raise OperationInvalid("post-copy can only be started while outgoing migration is in progress", domain=QEMU)

    async def start_dirty_rate_calc(self, seconds: int, flags: int = 0) -> None:
        """Watch for so many seconds how fast the guest writes."""
        modes = {0: "page-sampling", 1: "page-sampling", 2: "dirty-bitmap", 4: "dirty-ring"}
        only(flags, 7, "qemuDomainStartDirtyRateCalc")
        if flags not in modes:
            raise InvalidArg("flags for dirty page rate calculation mode are mutually exclusive", domain=QEMU)
        low, high = SECONDS
        if not low <= seconds <= high:
            words = f"seconds={seconds} is invalid, please choose value within [{low}, {high}]."
            raise ConfigUnsupported(words, domain=QEMU)
        async with self.job.hold("start_dirty_rate_calc"):
            arguments = {"calc-time": seconds, "mode": modes[flags]}
            await self.running().monitor.execute("calc-dirty-rate", arguments)
