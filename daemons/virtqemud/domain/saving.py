"""Saved memory: this driver does not save guests yet; it answers truly that none is saved."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.errors import NoDomainCheckpoint, NoDomainSnapshot, OperationInvalid
from splitvirt.api.snapshot import Checkpoint, Snapshot
from virtqemud.flags import only

from .base import DomainBase


class Saving(DomainBase):
    """Managed saves."""

    async def has_managed_save(self, flags: int = 0) -> bool:
        """Whether saved memory lies where the next start would look for it."""
        only(flags, 0, "qemuDomainHasManagedSaveImage")
        return self.places.managed_save.exists()

    async def managed_save_remove(self, flags: int = 0) -> None:
        """Throw saved memory away."""
        only(flags, 0, "qemuDomainManagedSaveRemove")
        self.places.managed_save.unlink(missing_ok=True)

    async def managed_save(self, flags: int = 0) -> None:
        """Not yet; for a guest that is off or not kept, what libvirt says of those."""
        self.running()
        if not self.persistent:
            raise OperationInvalid("cannot do managed save for transient domain", domain=c.VIR_FROM_QEMU)
        await super().managed_save(flags)

    async def managed_save_xml(self, flags: int = 0) -> str:
        """Not yet; without an image, what libvirt says then."""
        await self._need_image()
        return await super().managed_save_xml(flags)

    async def managed_save_define(self, xml: str | None, flags: int = 0) -> None:
        """As `managed_save_xml`."""
        await self._need_image()
        await super().managed_save_define(xml, flags)

    async def _need_image(self) -> None:
        if not await self.has_managed_save():
            raise OperationInvalid("domain does not have managed save image", domain=c.VIR_FROM_QEMU)

    async def snapshot_by_name(self, name: str, flags: int = 0) -> Snapshot:
        """There is none."""
        raise NoDomainSnapshot(f"no domain snapshot with matching name '{name}'")

    async def checkpoint_by_name(self, name: str, flags: int = 0) -> Checkpoint:
        """There is none."""
        raise NoDomainCheckpoint(f"no domain checkpoint with matching name '{name}'")

    async def save(self, to: str, xml: str | None = None, flags: int = 0) -> None:
        """Not yet; for a guest that is off, what libvirt says of those."""
        self.running()
        await super().save(to, xml, flags)

    async def core_dump(self, to: str, format: int = 0, flags: int = 0) -> None:
        """Not yet; for a guest that is off, what libvirt says of those."""
        self.running()
        await super().core_dump(to, format, flags)

    async def has_current_snapshot(self, flags: int = 0) -> bool:
        """Never: this driver takes no snapshots yet."""
        only(flags, 0, "qemuDomainHasCurrentSnapshot")
        return False

    async def snapshots(self, flags: int = 0) -> list:  # type: ignore[type-arg]
        """None."""
        return []

    async def checkpoints(self, flags: int = 0) -> list:  # type: ignore[type-arg]
        """None."""
        return []
