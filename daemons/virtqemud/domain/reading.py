"""What a guest is and does: calls that change nothing and wait for nobody."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.domain_life import ControlInfo, DomainInfo, DomainState, JobInfo, JobStats, SecurityLabel
from splitvirt.api.errors import OperationInvalid
from splitvirt.host import usage
from splitvirt.xml.devices.controller import UsbController
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud.flags import only

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU


def plainer(shown: DomainXML) -> DomainXML:
    """A configuration without what old versions of libvirt would not know, and what every one of them adds itself."""
    made = shown.copy()
    devices = made.devices
    usb = [each for each in devices.controllers if isinstance(each, UsbController)]
    usual = len(usb) == 1 and usb[0].index == 0 and getattr(usb[0], "model", None) in (None, "piix3-uhci")
    devices.controllers = [
        each
        for each in devices.controllers
        if not (usual and each is usb[0]) and not (each.type == "pci" and each.index == 0)
    ]
    devices.inputs = [each for each in devices.inputs if (each.type, each.bus) != ("keyboard", "ps2")]
    devices.audios = [each for each in devices.audios if each.type != "none"]
    made.seclabels = [each for each in made.seclabels if not each.implicit]
    return made


class Reading(DomainBase):
    """What a guest is and does."""

    async def xml(self, flags: int = 0) -> str:
        """Its configuration."""
        known = c.VIR_DOMAIN_XML_SECURE | c.VIR_DOMAIN_XML_INACTIVE | c.VIR_DOMAIN_XML_UPDATE_CPU
        only(flags, known | c.VIR_DOMAIN_XML_MIGRATABLE, "qemuDomainGetXMLDesc")
        inactive = bool(flags & c.VIR_DOMAIN_XML_INACTIVE)
        shown = self.config if inactive and self.config is not None else self.current
        if flags & c.VIR_DOMAIN_XML_MIGRATABLE:
            shown = plainer(shown)
        return shown.to_xml(
            secure=bool(flags & c.VIR_DOMAIN_XML_SECURE),
            inactive=inactive or not self.active,
            migratable=bool(flags & c.VIR_DOMAIN_XML_MIGRATABLE),
        )

    async def state(self, flags: int = 0) -> DomainState:
        """What it is doing, and why."""
        only(flags, 0, "qemuDomainGetState")
        return DomainState(self.current_state, self.current_reason)

    async def info(self) -> DomainInfo:
        """State, memory in KiB, processors, processor time in ns."""
        shown = self.current
        most = shown.memory or 0
        times = usage.cpu_nanoseconds(self.process.pid) if self.process and self.active else None
        return DomainInfo(
            self.current_state,
            most,
            shown.current_memory or most,
            shown.vcpu_current or shown.vcpu or 1,
            sum(times) if times else 0,
        )

    async def control_info(self, flags: int = 0) -> ControlInfo:
        """Whether the monitor answers."""
        only(flags, 0, "qemuDomainGetControlInfo")
        self.running()
        if self.job.busy:
            return ControlInfo(c.VIR_DOMAIN_CONTROL_OCCUPIED, 0, int(self.job.age * 1000))
        return ControlInfo(c.VIR_DOMAIN_CONTROL_OK, 0, 0)

    async def os_type(self) -> str:
        """Always "hvm"."""
        shown = self.current
        return (shown.os.type if shown.os else None) or "hvm"

    async def is_active(self) -> bool:
        """Whether it runs."""
        return self.active

    async def is_persistent(self) -> bool:
        """Whether it is kept."""
        return self.persistent

    async def is_updated(self) -> bool:
        """libvirt's QEMU driver never says yes."""
        return False

    async def autostart(self) -> bool:
        """Whether it starts with the daemon."""
        return self.persistent and self.driver.folder.autostart(self.name)

    async def set_autostart(self, autostart: bool) -> None:
        """Have it start with the daemon, or not."""
        if not self.persistent:
            raise OperationInvalid("cannot set autostart for transient domain", domain=QEMU)
        self.driver.folder.set_autostart(self.name, bool(autostart))

    async def messages(self, types: int = 0) -> list[str]:
        """Warnings: that it runs with privileges, where it does."""
        only(types, c.VIR_DOMAIN_MESSAGE_DEPRECATION | c.VIR_DOMAIN_MESSAGE_TAINTING, "virDomainGetMessages")
        wanted = not types or bool(types & c.VIR_DOMAIN_MESSAGE_TAINTING)
        return self.driver.taints(self.whole) if wanted and self.active else []

    async def security_label(self) -> SecurityLabel:
        """That of the first security model, "none", which has none."""
        return SecurityLabel("", False)

    async def security_labels(self) -> list[SecurityLabel]:
        """Of the model "none" none; of "dac", where guests have a user of their own, user and group while it runs."""
        found = [SecurityLabel("", False)]
        if self.driver.security.usual is not None:
            from virtqemud.security.model import label_of

            own = label_of(self.live) if self.live is not None else None
            found.append(SecurityLabel((own.label if own else None) or "", False))
        return found

    async def job_info(self) -> JobInfo:
        """No long job runs: migration and saving have none of theirs in this driver yet."""
        self.running()
        return JobInfo(c.VIR_DOMAIN_JOB_NONE, *([0] * 11))

    async def job_stats(self, flags: int = 0) -> JobStats:
        """As `job_info`."""
        only(flags, c.VIR_DOMAIN_JOB_STATS_COMPLETED | c.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED, "qemuDomainGetJobStats")
        self.running()
        return JobStats(c.VIR_DOMAIN_JOB_NONE, [])

    async def abort_job(self, flags: int = 0) -> None:
        """Refused: no job is active."""
        only(flags, c.VIR_DOMAIN_ABORT_JOB_POSTCOPY, "qemuDomainAbortJobFlags")
        self.running()
        raise OperationInvalid("no job is active on the domain", domain=QEMU)
