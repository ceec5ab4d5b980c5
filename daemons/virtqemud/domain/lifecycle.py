"""From off to running and back: start, pause, reset, shut down, destroy, and what QEMU's end means."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING

from splitvirt.api import constants as c
from splitvirt.api.dispatch import current_caller
from splitvirt.api.errors import InternalError, OperationInvalid, SystemError_, VirtError
from splitvirt.host.refusal import telling
from virtqemud.flags import START_FLAGS, only
from virtqemud.running.boot import before_boot
from virtqemud.running.guest import TERM_GRACE, Guest

from .ending import Ending
from .scoped import Scoped

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain as DomainXML
    from virtqemud.running.tuning import Property

log = logging.getLogger(__name__)
QEMU = c.VIR_FROM_QEMU
AGENT_ENDS = 60.0
"""Seconds that a guest's agent has to shut it down."""


class Lifecycle(Ending, Scoped):
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
        if self.places.status.exists():
            words = f"domain '{self.name}' may be running: its record {self.places.status} is not to be understood"
            raise OperationInvalid(words, domain=QEMU)
        limits = self.asked_of_host(live)
        self.driver.security.assign(live)
        self.driver.number(self.whole)
        live.id = self.id
        self.live = live
        self.ending = ""
        self.fake_reboot = False
        self.starting = True
        self.current_state, self.current_reason = c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_STARTING_UP
        try:
            with telling("cannot use", domain=QEMU):
                await self._launch(live, flags, limits)
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

    async def _launch(self, live: DomainXML, flags: int, limits: list[Property]) -> None:
        self.places.make()
        security = self.driver.security
        if security.user(live) is not None:
            self.driver.places.make(passable=True)
            security.open_folder(live, self.places.folder)
        if not security.relabels(live):  # else when it is known what is given, but before it is
            self.record()  # before there is a process: one of us that dies here and now leaves word of it
        async with self.driver.order(self.whole, live, flags) as order:
            self.guest = guest = await Guest.launch(
                self.places,
                self.driver.launcher,
                order.argv,
                order.env,
                fds=order.fds,
                on_event=self.on_monitor_event,
                user=security.user(live),
                wait=self.waits_for_group(live),
            )
            guest.helpers = order.helpers
            self.process = guest.process
            self.record()
            if asked := self.driver.settings.limits:
                from virtqemud.running.limit import limit

                limit(guest.process.pid, asked)
        try:
            async with self.enclosed(live, guest, limits):
                await guest.greet()
        except InternalError as error:
            raise self._explained(error, live) from None
        guest.process.on_end(self.noticed)
        while self.hand_over:
            await self.hand_over.pop()(guest.process.pid)

    def _explained(self, error: InternalError, live: DomainXML) -> InternalError:
        from virtqemud.running.named import barrier

        why = barrier(live, self.driver.security.identity(live)) if "Permission denied" in error.message else ""
        return InternalError(f"{error.message.partition(': ')[2]} ({why})", domain=QEMU) if why else error

    async def _boot(self, live: DomainXML, flags: int) -> None:
        guest = self.running()
        self.learn_chardevs(live, await guest.learn())
        if live.vcpus:
            await self.plug_vcpus(live)
        if live.cputune is not None or live.vcpu_cpuset:
            await self.place_threads(live)
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
        self.running()
        by_agent = flags & c.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT or (not flags and self.agent_up)
        if by_agent and await self._agent_ends("powerdown", alone=flags == c.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT):
            return
        async with self.job.hold("shutdown"):
            guest = self.running()
            if self.current_state != c.VIR_DOMAIN_RUNNING:
                raise OperationInvalid("domain is not running", domain=QEMU)
            self.fake_reboot = False
            await guest.monitor.execute("system_powerdown")

    async def reboot(self, flags: int = 0) -> None:
        """Ask it to reboot, as `shutdown` asks; when it shuts down it is reset instead.

        One that its configuration ends at a reboot is asked to shut down.
        """
        only(flags, c.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN | c.VIR_DOMAIN_REBOOT_GUEST_AGENT, "qemuDomainReboot")
        self.running()
        again = self.live is not None and self.live.on_reboot not in ("destroy", "preserve")
        by_agent = flags & c.VIR_DOMAIN_REBOOT_GUEST_AGENT or (not flags and self.agent_up)
        mode, alone = "reboot" if again else "powerdown", flags == c.VIR_DOMAIN_REBOOT_GUEST_AGENT
        if by_agent and await self._agent_ends(mode, alone=alone):
            return
        async with self.job.hold("reboot"):
            guest = self.running()
            self.fake_reboot = again
            self.record()
            await guest.monitor.execute("system_powerdown")

    async def _agent_ends(self, mode: str, *, alone: bool) -> bool:
        """Have the agent end the guest; whether it did. What it refuses is raised where it is asked `alone`."""
        ends = ("RESET",) if mode == "reboot" else ("SHUTDOWN",)
        try:
            self.fake_reboot = False
            await self.agent().execute("guest-shutdown", {"mode": mode}, timeout=AGENT_ENDS, ends=ends)
        except VirtError:
            if alone:
                raise
            return not self.active
        return True

    async def destroy(self, flags: int = 0) -> None:
        """End it at once; with GRACEFUL only as far as QEMU still writes back what it holds."""
        only(flags, c.VIR_DOMAIN_DESTROY_GRACEFUL | c.VIR_DOMAIN_DESTROY_REMOVE_LOGS, "qemuDomainDestroyFlags")
        if not self.active:
            raise OperationInvalid("domain is not running", domain=c.VIR_FROM_DOMAIN)
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
