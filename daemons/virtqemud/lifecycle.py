"""From off to running and back: start, pause, reset, shut down, destroy, and what QEMU's end means."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from splitvirt.api import constants as c
from splitvirt.api.dispatch import current_caller
from splitvirt.api.domain import Domain
from splitvirt.api.errors import OperationInvalid, SystemError_

from . import status
from .base import DomainBase
from .boot import before_boot
from .flags import START_FLAGS, only
from .guest import TERM_GRACE, Guest, write_end
from .monitor import CommandError

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain as DomainXML

log = logging.getLogger(__name__)
QEMU = c.VIR_FROM_QEMU

# How a guest may end: the state's reason, and the detail of the event.
_ENDS = {
    "destroyed": (c.VIR_DOMAIN_SHUTOFF_DESTROYED, c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED),
    "shutdown": (c.VIR_DOMAIN_SHUTOFF_SHUTDOWN, c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN),
    "crashed": (c.VIR_DOMAIN_SHUTOFF_CRASHED, c.VIR_DOMAIN_EVENT_STOPPED_CRASHED),
    "failed": (c.VIR_DOMAIN_SHUTOFF_CRASHED, c.VIR_DOMAIN_EVENT_STOPPED_FAILED),
    "saved": (c.VIR_DOMAIN_SHUTOFF_SAVED, c.VIR_DOMAIN_EVENT_STOPPED_SAVED),
    "daemon": (c.VIR_DOMAIN_SHUTOFF_DAEMON, c.VIR_DOMAIN_EVENT_STOPPED_FAILED),
}


class Lifecycle(DomainBase):
    """What makes a guest run and stop."""

    async def create(self, flags: int = 0) -> None:
        """Start it, from its kept configuration."""
        only(flags, START_FLAGS, "qemuDomainCreateWithFlags")
        async with self.job.hold("create"):
            if self.active:
                raise OperationInvalid("domain is already running", domain=QEMU)
            if self.config is None:
                raise OperationInvalid("domain is not persistent", domain=QEMU)
            await self.start(self.config, flags)

    async def start(self, config: DomainXML, flags: int) -> None:
        """Start it from a configuration; the caller has the turn to change it."""
        live = await self.driver.ready(config.copy(), flags)
        self.driver.number(self.whole)
        live.id = self.id
        self.live = live
        self.ending = ""
        self.fake_reboot = False
        self.starting = True
        self.current_state, self.current_reason = c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_STARTING_UP
        try:
            await self._launch(live, flags)
            await self._boot(live, flags)
        except BaseException:
            await self._abandon()
            raise
        finally:
            self.starting = False
        self._own(flags)
        if self.process is not None and self.process.ended:
            self.noticed()  # it ended while nobody but us would have cleared up
        self.tell(c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_BOOTED)
        if flags & c.VIR_DOMAIN_START_PAUSED:
            self.tell(c.VIR_DOMAIN_EVENT_SUSPENDED, c.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)

    async def _launch(self, live: DomainXML, flags: int) -> None:
        self.places.make()
        self.record()  # before there is a process: one of us that dies here and now leaves word of it
        async with self.driver.order(self.whole, live, flags) as order:
            self.guest = guest = await Guest.launch(
                self.places, self.driver.launcher, order.argv, order.env, fds=order.fds, on_event=self.on_monitor_event
            )
            guest.helpers = order.helpers
            self.process = guest.process
            self.record()
        await guest.greet()
        guest.process.on_end(self.noticed)
        while self.hand_over:
            await self.hand_over.pop()(guest.process.pid)

    async def _boot(self, live: DomainXML, flags: int) -> None:
        guest = self.running()
        self.learn_chardevs(live, await guest.learn())
        for command, arguments in before_boot(live, self.driver.settings):
            await guest.monitor.execute(command, arguments)
        if flags & c.VIR_DOMAIN_START_PAUSED:
            self.enter(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_USER)
        else:
            await guest.monitor.execute("cont")
            self.enter(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_BOOTED)

    def _own(self, flags: int) -> None:
        caller = current_caller()
        self.autodestroy = bool(flags & c.VIR_DOMAIN_START_AUTODESTROY)
        if self.autodestroy and caller is not None:
            run = self.id

            def gone() -> None:
                if self.id == run:
                    self.driver.background(self._destroy_quietly())

            caller.on_close(gone)

    async def _destroy_quietly(self) -> None:
        with contextlib.suppress(OperationInvalid):
            await self.destroy()

    async def _abandon(self) -> None:
        if self.guest is not None:
            await self.guest.kill(0)
        await self.clear(c.VIR_DOMAIN_SHUTOFF_FAILED)

    # ---- changing

    async def suspend(self) -> None:
        """Stop its processors."""
        async with self.job.hold("suspend"):
            guest = self.running()
            if self.current_state == c.VIR_DOMAIN_PMSUSPENDED:
                raise OperationInvalid("domain is pmsuspended", domain=QEMU)
            if self.current_state != c.VIR_DOMAIN_PAUSED:
                self.pause_reason = c.VIR_DOMAIN_PAUSED_USER
                await guest.monitor.execute("stop")
                self.paused()

    async def resume(self) -> None:
        """Let its processors go on."""
        async with self.job.hold("resume"):
            guest = self.running()
            if self.current_state == c.VIR_DOMAIN_PMSUSPENDED:
                raise OperationInvalid("domain is pmsuspended", domain=QEMU)
            if self.current_state == c.VIR_DOMAIN_RUNNING:
                raise OperationInvalid("domain is already running", domain=QEMU)
            await guest.monitor.execute("cont")
            self.resumed()

    async def reset(self, flags: int = 0) -> None:
        """Press its reset button."""
        only(flags, 0, "qemuDomainReset")
        async with self.job.hold("reset"):
            self.fake_reboot = False
            await self.running().monitor.execute("system_reset")

    async def shutdown(self, flags: int = 0) -> None:
        """Ask it to shut down: through the agent where one answers, else by its power button."""
        only(flags, c.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN | c.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT, "qemuDomainShutdownFlags")
        async with self.job.hold("shutdown"):
            guest = self.running()
            self.fake_reboot = False
            by_agent = flags & c.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT
            if by_agent or (not flags and self.agent_up):
                await self._agent_shutdown("powerdown", optional=not by_agent)
                if by_agent == flags and by_agent:
                    return
            if not by_agent or flags & c.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN:
                await guest.monitor.execute("system_powerdown")

    async def reboot(self, flags: int = 0) -> None:
        """Ask it to reboot, as `shutdown` asks; when it shuts down it is reset instead."""
        only(flags, c.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN | c.VIR_DOMAIN_REBOOT_GUEST_AGENT, "qemuDomainReboot")
        async with self.job.hold("reboot"):
            guest = self.running()
            by_agent = flags & c.VIR_DOMAIN_REBOOT_GUEST_AGENT
            if by_agent:
                await self._agent_shutdown("reboot", optional=False)
                return
            self.fake_reboot = True
            self.record()
            await guest.monitor.execute("system_powerdown")

    async def _agent_shutdown(self, mode: str, *, optional: bool) -> None:
        try:
            await self.agent().execute("guest-shutdown", {"mode": mode}, timeout=5)
        except Exception:
            # A guest that shuts down at once may never answer; one that goes on running gets the power button.
            if not optional and self.current_state != c.VIR_DOMAIN_SHUTDOWN:
                raise

    async def destroy(self, flags: int = 0) -> None:
        """End it at once; with GRACEFUL only as far as QEMU still writes back what it holds."""
        only(flags, c.VIR_DOMAIN_DESTROY_GRACEFUL | c.VIR_DOMAIN_DESTROY_REMOVE_LOGS, "qemuDomainDestroyFlags")
        if not self.active:
            raise OperationInvalid("domain is not running", domain=QEMU)
        # A guest that hangs while it starts has the turn: end it first, then ask for the turn.
        guest, graceful = self.guest, bool(flags & c.VIR_DOMAIN_DESTROY_GRACEFUL)
        if guest is not None:
            await self._kill(guest, graceful=graceful)
        async with self.job.hold("destroy"):
            if self.guest is not None:
                await self._kill(self.guest, graceful=graceful)
                await self.finish("destroyed")
        if flags & c.VIR_DOMAIN_DESTROY_REMOVE_LOGS:
            self.places.log.unlink(missing_ok=True)

    async def _kill(self, guest: Guest, *, graceful: bool) -> None:
        self.ending = self.ending or "destroyed"
        if graceful:
            guest.process.signal(signal.SIGTERM)
            ended = await guest.process.wait(TERM_GRACE)
        else:
            ended = await guest.process.stop(TERM_GRACE, hard=15.0)
        if not ended:
            self.ending = ""
            name = "SIGTERM" if graceful else "SIGKILL"
            words = f"Failed to terminate process {guest.process.pid} with {name}: {os.strerror(16)}"
            raise SystemError_(words, domain=c.VIR_FROM_NONE)

    # ---- the end

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
        self.agent_link, self.agent_up, self.process = None, False, None
        self.close_consoles()
        while self.undo:
            try:
                result = self.undo.pop()()
                if asyncio.iscoroutine(result):
                    await result
            except Exception:
                log.exception("clearing up after %r", self)
        places.remove()
        self.driver.unnumber(self.whole)
        self.live, self.autodestroy, self.ending = None, False, ""
        self.current_state, self.current_reason = c.VIR_DOMAIN_SHUTOFF, reason

    # ---- what QEMU says

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

    # ---- for a successor

    def tell(self, event: int, detail: int) -> None:
        """Emit a lifecycle event."""
        self.driver.events.emit(Domain.lifecycle, self, event, detail)

    def record(self) -> None:
        """Write what a successor of this daemon needs; nothing while it is off."""
        if self.live is None:
            return
        process, guest = self.process, self.guest
        status.Status(
            name=self.name,
            uuid=str(self.uuid),
            id=self.id,
            persistent=self.persistent,
            xml=self.live.to_xml(secure=True, status=True),
            state=self.current_state,
            reason=self.current_reason,
            pid=process.pid if process else 0,
            started=process.started if process else 0,
            boot_id=self.driver.boot_id,
            vcpus=guest.vcpus if guest else [],
            helpers=[(helper.pid, helper.started) for helper in guest.helpers] if guest else [],
            autodestroy=self.autodestroy,
            fake_reboot=self.fake_reboot,
        ).save(self.places.status)
