"""A guest's end, and what QEMU says on the way there: panics, shutdowns, pauses; the record for a successor."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import OperationInvalid, SystemError_
from virtqemud.running import status
from virtqemud.running.guest import TERM_GRACE, Guest, write_end
from virtqemud.running.monitor import CommandError

from .base import DomainBase

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain as DomainXML

log = logging.getLogger(__name__)

# How a guest may end: the state's reason, and the detail of the event.
_ENDS = {
    "destroyed": (c.VIR_DOMAIN_SHUTOFF_DESTROYED, c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED),
    "shutdown": (c.VIR_DOMAIN_SHUTOFF_SHUTDOWN, c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN),
    "crashed": (c.VIR_DOMAIN_SHUTOFF_CRASHED, c.VIR_DOMAIN_EVENT_STOPPED_CRASHED),
    "failed": (c.VIR_DOMAIN_SHUTOFF_CRASHED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED),
    "saved": (c.VIR_DOMAIN_SHUTOFF_SAVED, c.VIR_DOMAIN_EVENT_STOPPED_SAVED),
    "daemon": (c.VIR_DOMAIN_SHUTOFF_DAEMON, c.VIR_DOMAIN_EVENT_STOPPED_FAILED),
}


class Ending(DomainBase):
    """What ends and interrupts a guest."""

    def noticed(self) -> None:
        self.driver.background(self.finish(""))

    async def finish(self, how: str) -> None:
        """Clear up after QEMU has ended, once; whoever comes later waits for it."""
        guest = self.guest
        if guest is None:
            return
        if self._finishing is None:
            self._finishing = asyncio.ensure_future(self._finish(guest, how))
        await asyncio.shield(self._finishing)

    async def _finish(self, guest: Guest, how: str) -> None:
        try:
            await guest.monitor.drained(2.0)
            if self.starting:
                return  # whoever starts it sees the monitor close, and clears up
            how = how or self.ending or ("shutdown" if self.current_state == c.VIR_DOMAIN_SHUTDOWN else "failed")
            reason, detail = _ENDS[how]
            write_end(self.places.log, how)
            await self.clear(reason)
            self.tell(c.VIR_DOMAIN_EVENT_STOPPED, detail)
            if not self.persistent:
                self.driver.forget(self.whole)
        finally:
            self._finishing = None

    async def clear(self, reason: int) -> None:
        """Give back everything that a run held."""
        guest, self.guest = self.guest, None
        places = self.places
        if guest is not None:
            await guest.end_helpers()
            await guest.release()
        if self.agent_link is not None:
            await self.agent_link.close()
        self.agent_link, self.agent_up, self.process, self.group = None, False, None, None
        self.close_consoles()
        if self.given:
            self.driver.security.give_back(self)
        for alias in list(self.connected):
            await self.disconnect(alias)
        while self.undo:
            try:
                result = self.undo.pop()()
                if asyncio.iscoroutine(result):
                    await result
            except Exception:
                log.exception("clearing up after %r", self)
        places.remove()
        self.driver.unnumber(self.whole)
        self.live, self.helpers, self.autodestroy, self.ending = None, [], False, ""
        self.current_state, self.current_reason = c.VIR_DOMAIN_SHUTOFF, reason

    def paused(self) -> None:
        """Its processors stand still."""
        if self.current_state == c.VIR_DOMAIN_RUNNING:
            reason, self.pause_reason = self.pause_reason, c.VIR_DOMAIN_PAUSED_UNKNOWN
            self.enter(c.VIR_DOMAIN_PAUSED, reason)
            details = {
                c.VIR_DOMAIN_PAUSED_IOERROR: c.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR,
                c.VIR_DOMAIN_PAUSED_WATCHDOG: c.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG,
            }
            self.tell(c.VIR_DOMAIN_EVENT_SUSPENDED, details.get(reason, c.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED))

    def resumed(self) -> None:
        """Its processors run again."""
        if self.current_state not in (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_SHUTDOWN) and not self.starting:
            self.enter(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNPAUSED)
            self.tell(c.VIR_DOMAIN_EVENT_RESUMED, c.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)

    def shut_down(self, data: dict[str, Any]) -> None:
        """It has shut down, and QEMU waits for what we make of that."""
        if self.current_state == c.VIR_DOMAIN_SHUTDOWN or self.guest is None:
            return
        by_guest = data.get("guest")
        self.tell(
            c.VIR_DOMAIN_EVENT_SHUTDOWN,
            c.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST if by_guest else c.VIR_DOMAIN_EVENT_SHUTDOWN_HOST,
        )
        if data.get("reason") == "host-signal":
            # Somebody ended QEMU by a signal, we perhaps: it will not wait.
            self.enter(c.VIR_DOMAIN_SHUTDOWN, c.VIR_DOMAIN_SHUTDOWN_UNKNOWN)
            return
        again = self.fake_reboot or (self.live is not None and self.live.on_poweroff == "restart")
        self.enter(c.VIR_DOMAIN_SHUTDOWN, c.VIR_DOMAIN_SHUTDOWN_USER)
        self.driver.background(self._reset_and_go() if again else self._end_after_shutdown(self.guest))

    async def _end_after_shutdown(self, guest: Guest) -> None:
        await guest.process.stop(TERM_GRACE)

    async def _reset_and_go(self) -> None:
        self.fake_reboot = False
        guest = self.running()
        try:
            await guest.monitor.execute("system_reset")
            await guest.monitor.execute("cont")
        except (CommandError, OperationInvalid) as error:
            log.error("%r cannot be rebooted: %s", self, error)
            await guest.process.stop(TERM_GRACE)
            return
        self.enter(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNPAUSED)

    def panicked(self) -> None:
        """Its kernel has given up."""
        if self.guest is None or self.current_state == c.VIR_DOMAIN_CRASHED:
            return
        self.enter(c.VIR_DOMAIN_CRASHED, c.VIR_DOMAIN_CRASHED_PANICKED)
        self.tell(c.VIR_DOMAIN_EVENT_CRASHED, c.VIR_DOMAIN_EVENT_CRASHED_PANICKED)
        action = (self.live.on_crash if self.live else None) or "destroy"
        if action in ("restart", "coredump-restart", "rename-restart"):
            self.driver.background(self._reset_and_go())
        elif action in ("destroy", "coredump-destroy"):
            self.ending = "crashed"
            self.driver.background(self._end_after_shutdown(self.guest))

    async def let_be(self) -> None:
        """Let go of a guest that is to outlive this driver."""
        guest, self.guest = self.guest, None
        if guest is not None:
            self.record()
            await guest.release()
        if self.agent_link is not None:
            await self.agent_link.close()
        self.close_consoles()

    def tell(self, event: int, detail: int) -> None:
        """Emit a lifecycle event."""
        self.driver.events.emit(Domain.lifecycle, self, event, detail)

    def record(self) -> None:
        """Write what a successor of this daemon needs; nothing while it is off.

        SystemError_ at a start: nobody would know of the guest. A later change has happened, and is told in the log.
        """
        if self.live is None:
            return
        try:
            self._record(self.live)
        except SystemError_ as error:
            if self.starting:
                raise
            log.error("what becomes of %r is not written down, and unknown to the next daemon: %s", self, error)

    def _record(self, live: DomainXML) -> None:
        process, guest = self.process, self.guest
        status.Status(
            name=self.name,
            uuid=str(self.uuid),
            id=self.id,
            persistent=self.persistent,
            xml=live.to_xml(secure=True, status=True),
            state=self.current_state,
            reason=self.current_reason,
            pid=process.pid if process else 0,
            started=process.started if process else 0,
            boot_id=self.driver.boot_id,
            vcpus=[guest.vcpus.get(n, 0) for n in range(max(guest.vcpus, default=-1) + 1)] if guest else [],
            helpers=[(helper.pid, helper.started) for helper in self.helpers],
            autodestroy=self.autodestroy,
            fake_reboot=self.fake_reboot,
            given=list(self.given),
        ).save(self.places.status)
