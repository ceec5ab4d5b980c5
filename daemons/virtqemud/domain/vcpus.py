"""Processors of a guest: plugging, pinning, figures."""

from __future__ import annotations

import asyncio
import time

from splitvirt.api import constants as c
from splitvirt.api.domain_tune import Vcpu, VcpuInfo
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, OperationUnsupported, Timeout
from splitvirt.api.params import TypedParam
from splitvirt.host import topology, usage
from splitvirt.xml.cputune import Vcpu as Vcpu_
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud.flags import only

from .base import CONFIG, LIVE, DomainBase
from .pins import affinity, as_map, as_set, bind, place_vcpu

QEMU = c.VIR_FROM_QEMU
UNPLUG = 5.0
"""Seconds that a guest has to let go of a processor."""


class Processors(DomainBase):
    """Processors and I/O threads."""

    def vcpus_now(self, shown: DomainXML) -> int:
        """Processors that are plugged in."""
        return shown.vcpu_current or shown.vcpu or 1

    async def vcpu_count(self, flags: int = 0) -> int:
        """How many processors."""
        known = LIVE | CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM | c.VIR_DOMAIN_VCPU_GUEST
        only(flags, known, "qemuDomainGetVcpusFlags")
        if flags & c.VIR_DOMAIN_VCPU_GUEST:
            if flags & CONFIG or not self.active:
                words = "vCPU count provided by the guest agent can only be requested for live domains"
                raise InvalidArg(words, domain=QEMU)
            cpus = await self.ask_agent("guest-get-vcpus")
            return len(cpus) if flags & c.VIR_DOMAIN_VCPU_MAXIMUM else sum(1 for cpu in cpus if cpu["online"])
        shown = self.pick(flags)
        return (shown.vcpu or 1) if flags & c.VIR_DOMAIN_VCPU_MAXIMUM else self.vcpus_now(shown)

    async def set_vcpus(self, count: int, flags: int = 0) -> None:
        """Give it so many processors."""
        known = LIVE | CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM | c.VIR_DOMAIN_VCPU_GUEST | c.VIR_DOMAIN_VCPU_HOTPLUGGABLE
        only(flags, known, "qemuDomainSetVcpusFlags")
        if flags & c.VIR_DOMAIN_VCPU_GUEST:
            await self._set_guest_vcpus(count)
            return
        async with self.job.hold("set_vcpus"):
            live, config = self.impact(flags)
            if flags & c.VIR_DOMAIN_VCPU_MAXIMUM:
                self._set_most_vcpus(live, config, count)
                return
            for shown, kind in ((live, "live domain"), (config, "persistent domain")):
                if shown is not None and count > (shown.vcpu or 1):
                    raise InvalidArg(f"requested vcpus is greater than max allowable vcpus for the {kind}: {count} > {shown.vcpu or 1}", domain=QEMU)  # fmt: skip  # noqa: E501
            if live is not None:
                await self._plug_vcpus(live, count)
            if config is not None:
                changed = config.copy()
                changed.vcpu_current = count if count != (changed.vcpu or 1) else None
                changed.vcpus = []
                self.keep(changed)

    def _set_most_vcpus(self, live: DomainXML | None, config: DomainXML | None, count: int) -> None:
        if live is not None:
            raise InvalidArg("maximum vcpu count of a live domain can't be modified", domain=QEMU)
        assert config is not None
        changed = config.copy()
        if changed.cpu is not None and changed.cpu.topology is not None:
            raise InvalidArg("CPU topology doesn't match the desired vcpu count", domain=QEMU)
        now = min(self.vcpus_now(changed), count)
        changed.vcpu = count
        changed.vcpu_current = now if now != count else None
        changed.vcpus = []
        if (
            changed.cputune is not None
        ):  # pins of what is not there are left out when a guest is read, schedulers refused
            changed.cputune.vcpupins = [pin for pin in changed.cputune.vcpupins if pin.vcpu < count]
            changed.cputune.vcpuscheds = [sched for sched in changed.cputune.vcpuscheds if max(sched.vcpus) < count]
        self.keep(changed)

    async def _plug_vcpus(self, live: DomainXML, count: int) -> None:
        """Plug processors in, in the order that QEMU offers them, or ask the guest to let go of the last."""
        monitor = self.running().monitor
        slots = list(reversed(await monitor.execute("query-hotpluggable-cpus")))
        used = [slot for slot in slots if "qom-path" in slot]
        free = [slot for slot in slots if "qom-path" not in slot]
        have = sum(slot["vcpus-count"] for slot in used)
        while have < count and free:
            slot = free.pop(0)
            number = len(slots) - len(free) - 1
            await monitor.execute("device_add", {"driver": slot["type"], "id": f"vcpu{number}", **slot["props"]})
            have += slot["vcpus-count"]
        plugged = [slot for slot in used if str(slot["qom-path"]).startswith("/machine/peripheral/")]
        while have > count:
            if not plugged:
                raise ConfigUnsupported("failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count", domain=QEMU)  # fmt: skip  # noqa: E501
            slot = plugged.pop()
            await monitor.execute("device_del", {"id": str(slot["qom-path"]).rpartition("/")[2]})
            have -= slot["vcpus-count"]
            await self._unplugged(str(slot["qom-path"]))
        live.vcpu_current = count if count != (live.vcpu or 1) else None
        before = set(self.running().vcpus)
        await self.running().learn()
        self.record()
        for number, tid in enumerate(self.running().vcpus):
            if tid not in before:
                place_vcpu(live, number, tid)

    async def _unplugged(self, path: str) -> None:
        """Wait until the guest has let go of a processor. Timeout when it does not."""
        monitor, deadline = self.running().monitor, time.monotonic() + UNPLUG
        while any(slot.get("qom-path") == path for slot in await monitor.execute("query-hotpluggable-cpus")):
            if time.monotonic() > deadline:
                words = "vcpu unplug request timed out. Unplug result must be manually inspected in the domain"
                raise Timeout(words, domain=QEMU)
            await asyncio.sleep(0.05)

    async def set_vcpu(self, cpumap: str, state: bool, flags: int = 0) -> None:
        """Have single processors there at the next start, or not."""
        only(flags, LIVE | CONFIG, "qemuDomainSetVcpu")
        chosen = topology.parse_list(cpumap)
        if not chosen:
            raise InvalidArg("no vcpus selected for modification", domain=QEMU)
        async with self.job.hold("set_vcpu"):
            live, config = self.impact(flags)
            if live is not None:
                raise OperationUnsupported("single vcpus of a running domain cannot be chosen", domain=QEMU)
            assert config is not None
            changed = config.copy()
            self._choose(changed, set(chosen), bool(state))
            self.keep(changed)

    def _choose(self, on: DomainXML, chosen: set[int], state: bool) -> None:
        most = on.vcpu or 1
        for number in sorted(chosen):
            if number >= most:
                raise InvalidArg(f"vcpu '{number}' is out of range of persistent vcpu count '{most}'", domain=QEMU)
            if not number:
                raise InvalidArg(f"vCPU '{number}' can't be modified", domain=QEMU)
        known = {vcpu.id: vcpu for vcpu in on.vcpus}
        now = self.vcpus_now(on)
        on.vcpus = [known.get(n) or Vcpu_(id=n, enabled=n < now, hotpluggable=False) for n in range(most)]
        for vcpu in on.vcpus:
            if vcpu.id in chosen:
                vcpu.enabled, vcpu.hotpluggable = state, True
        enabled = sum(1 for vcpu in on.vcpus if vcpu.enabled)
        on.vcpu_current = enabled if enabled != most else None

    async def _set_guest_vcpus(self, count: int) -> None:
        cpus = await self.ask_agent("guest-get-vcpus")
        if count > len(cpus):
            raise InvalidArg(
                "requested vcpu count is greater than the count of enabled vcpus in the domain", domain=QEMU
            )
        on = [cpu for cpu in cpus if cpu["online"]]
        off = [cpu for cpu in cpus if not cpu["online"]]
        change = off[: count - len(on)] if count > len(on) else [cpu for cpu in reversed(on) if cpu.get("can-offline")]
        change = change[: abs(count - len(on))]
        wanted = [{"logical-id": cpu["logical-id"], "online": count > len(on)} for cpu in change]
        if wanted:
            await self.ask_agent("guest-set-vcpus", {"vcpus": wanted})

    async def vcpus(self) -> list[Vcpu]:
        """The processors, and where they may run."""
        guest = self.running()
        return [
            Vcpu(
                VcpuInfo(
                    number,
                    c.VIR_VCPU_RUNNING if self.current_state == c.VIR_DOMAIN_RUNNING else c.VIR_VCPU_OFFLINE,
                    usage.thread_nanoseconds(guest.process.pid, tid)[0],
                    usage.thread_processor(guest.process.pid, tid),
                ),
                affinity(tid),
            )
            for number, tid in enumerate(guest.vcpus)
        ]

    async def vcpu_pins(self, flags: int = 0) -> list[list[bool]]:
        """For each processor the host's processors that it may run on."""
        only(flags, LIVE | CONFIG, "qemuDomainGetVcpuPinInfo")
        shown = self.pick(flags)
        pins = {pin.vcpu: pin.cpuset for pin in shown.cputune.vcpupins} if shown.cputune else {}
        return [as_map(pins.get(n) or shown.vcpu_cpuset) for n in range(shown.vcpu or 1)]

    async def pin_vcpu(self, vcpu: int, cpumap: list[bool], flags: int = 0) -> None:
        """Say where a processor may run."""
        only(flags, LIVE | CONFIG, "qemuDomainPinVcpuFlags")
        async with self.job.hold("pin_vcpu"):
            live, config = self.impact(flags)
            for shown in (live, config):
                if shown is not None and vcpu >= (shown.vcpu or 1):
                    raise InvalidArg(f"vcpu {vcpu} is out of range of {'live' if shown is live else 'persistent'} cpu count {shown.vcpu or 1 if shown is live else self.vcpus_now(shown)}", domain=QEMU)  # fmt: skip  # noqa: E501
            wanted = as_set(cpumap)
            if live is not None:
                threads = self.running().vcpus
                if vcpu < len(threads):
                    bind(threads[vcpu], wanted)
                _note_pin(live, vcpu, wanted)
                self.record()
            if config is not None:
                changed = config.copy()
                _note_pin(changed, vcpu, wanted)
                self.keep(changed)
        if live is not None:
            self.tell_pinned(f"cputune.vcpupin{vcpu}", wanted)

    async def cpu_stats(self, start: int, cpus: int, flags: int = 0) -> list[list[TypedParam]]:
        """Processor time in ns: the totals; a host without a cgroup of the guest's own has no figures by processor."""
        only(flags, c.VIR_TYPED_PARAM_STRING_OKAY, "qemuDomainGetCPUStats")
        guest = self.running()
        if start != -1:
            words = "operation 'getCpuacctPercpuUsage' not supported for backend 'cgroup V2'"
            raise OperationUnsupported(words, domain=QEMU)
        user, system = usage.cpu_nanoseconds(guest.process.pid) or (0, 0)
        return [
            [
                TypedParam.ullong("cpu_time", user + system),
                TypedParam.ullong("user_time", user),
                TypedParam.ullong("system_time", system),
            ]
        ]


def _note_pin(on: DomainXML, vcpu: int, chosen: set[int]) -> None:
    from splitvirt.xml.cputune import CpuTune, VcpuPin

    tune = on.cputune = on.cputune or CpuTune()
    tune.vcpupins = sorted(
        [pin for pin in tune.vcpupins if pin.vcpu != vcpu] + [VcpuPin(vcpu=vcpu, cpuset=frozenset(chosen))],
        key=lambda pin: int(pin.vcpu),
    )
