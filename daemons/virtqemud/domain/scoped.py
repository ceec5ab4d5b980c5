"""A guest of the host's own daemon in a systemd scope, and so in a cgroup of its own; others stay in the caller's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import ConfigUnsupported, VirtError
from splitvirt.host import cgroup

from .base import DomainBase

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain as DomainXML
    from virtqemud.running.guest import Guest
    from virtqemud.running.scope import Scopes
    from virtqemud.running.tuning import Property

log = logging.getLogger(__name__)


class Scoped(DomainBase):
    """Its cgroup, from its start to its end."""

    def asked_of_host(self, live: DomainXML) -> list[Property]:
        """The limits that a configuration asks of a cgroup; none where guests have none of their own.

        ConfigUnsupported when this host cannot set them.
        """
        scopes = self.driver.scopes
        if scopes is None:
            return []
        from virtqemud.running.scope import slice_name
        from virtqemud.running.tuning import missing, properties

        if (error := missing(live, cgroup.available() if scopes.there() else ())) is not None:
            raise error
        if live.partition is not None:
            slice_name(live.partition)
        return properties(live)

    def waits_for_group(self, live: DomainXML) -> bool:
        """Whether its QEMU is to begin only when it is in its cgroup: memory that it has before counts elsewhere."""
        if self.driver.scopes is None or not self.driver.scopes.there():
            return False
        backing = live.memory_backing
        preallocated = backing is not None and (backing.locked or backing.allocation == "immediate")
        return preallocated or live.memtune is not None

    @contextlib.asynccontextmanager
    async def enclosed(self, live: DomainXML, guest: Guest, limits: list[Property]) -> AsyncIterator[None]:
        """Have systemd put a QEMU just started into its scope, beside what is done inside the context.

        It is there, or will never be, when the context has ended.
        """
        scopes = self.driver.scopes
        if scopes is None or not scopes.there():
            if scopes is not None:
                log.warning("%r runs in the daemon's own cgroup: this host does not run systemd", self)
            yield
            return
        moving = asyncio.ensure_future(self._enclose(scopes, live, guest, limits))
        try:
            yield
        except BaseException:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)
            raise
        await moving

    async def _enclose(self, scopes: Scopes, live: DomainXML, guest: Guest, limits: list[Property]) -> None:
        from virtqemud.running.scope import PARTITION, machine_name, slice_name
        from virtqemud.running.tuning import missing

        machine, partition = machine_name(self.id, self.name), live.partition or PARTITION
        pids = [guest.process.pid, *(helper.pid for helper in guest.helpers if not helper.ended)]
        try:
            unit = await scopes.enclose(machine, slice_name(partition), pids, limits)
        except VirtError as error:
            if limits and "InvalidArgs" in error.message:
                raise  # it is one of the limits that systemd does not take
            if (refusal := missing(live, ())) is not None:
                words = f"{refusal.message.partition(': ')[2]} ({error.message})"
                raise ConfigUnsupported(words, domain=VIR_FROM_QEMU) from None
            log.warning("%r runs in the daemon's own cgroup: %s", self, error.message)
        else:
            self.group = cgroup.group_of(guest.process.pid, unit)
            live.partition = partition
            self.driver.background(scopes.register(machine, self.uuid, guest.process.pid))
        finally:
            guest.go()

    def find_group(self) -> None:
        """Find the cgroup of a QEMU that an earlier daemon started."""
        if self.driver.scopes is not None and self.process is not None:
            from virtqemud.running.scope import machine_name, unit_name

            self.group = cgroup.group_of(self.process.pid, unit_name(machine_name(self.id, self.name)))
