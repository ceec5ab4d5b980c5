"""Saved memory: this driver does not save guests yet; it answers truly that none is saved."""

from __future__ import annotations

from .base import DomainBase
from .flags import only


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
        """Not yet; for a guest that is off, what libvirt says of those."""
        self.running()
        await super().managed_save(flags)

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
