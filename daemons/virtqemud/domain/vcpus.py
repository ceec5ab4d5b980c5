"""Processors of a guest: plugging, pinning, figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from splitvirt.api import constants as c
from splitvirt.api.domain_tune import Vcpu, VcpuInfo
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, OperationUnsupported, Timeout
from splitvirt.api.params import TypedParam
from splitvirt.host import usage
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud.flags import only

from . import vcpustates as states
from .base import CONFIG, LIVE, DomainBase
from .pins import affinity, as_map, as_set, bind, place_vcpu

QEMU = c.VIR_FROM_QEMU
UNPLUG = 5.0
"""Seconds that a guest has to let go of a processor."""


class Processors(DomainBase):
    """Processors and I/O threads."""

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
        return (shown.vcpu or 1) if flags & c.VIR_DOMAIN_VCPU_MAXIMUM else states.count(shown)

    async def set_vcpus(self, count: int, flags: int = 0) -> None:
        """Give it so many processors."""
        known = LIVE | CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM | c.VIR_DOMAIN_VCPU_GUEST | c.VIR_DOMAIN_VCPU_HOTPLUGGABLE
        only(flags, known, "qemuDomainSetVcpusFlags")
        if flags & c.VIR_DOMAIN_VCPU_GUEST:
            await self._set_guest_vcpus(count)
            return
        async with self.job.hold("set_vcpus"):
            live, config = self.impact(flags)
            if flags & c.VIR_DOMAIN_VCPU_MAXIMUM and live is not None:
                raise InvalidArg("maximum vcpu count of a live domain can't be modified", domain=QEMU)
            changed = config.copy() if config is not None else None
            if live is not None:
                states.check_count(live, count, "live domain")
            if changed is not None and flags & c.VIR_DOMAIN_VCPU_MAXIMUM:
                states.set_most(changed, count)
            elif changed is not None:
                states.set_count(changed, count, hotpluggable=bool(flags & c.VIR_DOMAIN_VCPU_HOTPLUGGABLE))
            if live is not None:
                await self._come_to(live, count)
            if changed is not None:
                self.keep(changed)

    async def set_vcpu(self, cpumap: str, state: bool, flags: int = 0) -> None:
        """Plug one processor in, or out; at the next start have any of them there, or not."""
        only(flags, LIVE | CONFIG, "qemuDomainSetVcpu")
        chosen = states.numbers(cpumap)
        async with self.job.hold("set_vcpu"):
            live, config = self.impact(flags)
            changed = config.copy() if config is not None else None
            for shown, what in ((live, "live"), (changed, "persistent")):
                if shown is not None:
                    states.check_present(shown, chosen, what)
            if live is not None:
                self._check_one(chosen, bool(state))
            if changed is not None:
                states.choose(changed, chosen, enabled=bool(state))
            if live is not None:
                await (self._add_vcpus if state else self._remove_vcpus)(live, sorted(chosen))
            if changed is not None:
                self.keep(changed)

    def _check_one(self, chosen: Collection[int], state: bool) -> None:
        guest = self.running()
        for number in sorted(chosen):
            if (number in guest.vcpus) == state:
                raise InvalidArg(f"vcpu '{number}' is already in requested state", domain=QEMU)
            if not state and number not in guest.plugged:
                raise OperationUnsupported(f"vcpu '{number}' can't be unplugged", domain=QEMU)
        if len(chosen) > 1:
            raise OperationUnsupported("only one hotpluggable entity can be selected", domain=QEMU)

    async def _come_to(self, live: DomainXML, count: int) -> None:
        """Plug processors in, the first that are not there first, or have the guest let go of the last."""
        guest = self.running()
        more = count - len(guest.vcpus)
        if more > 0:
            await self._add_vcpus(live, [n for n in range(live.vcpu or 1) if n not in guest.vcpus][:more])
        elif more < 0:
            last = sorted(guest.plugged, reverse=True)[:-more]
            if len(last) < -more:
                words = "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count"
                raise ConfigUnsupported(words, domain=QEMU)
            await self._remove_vcpus(live, last)

    async def plug_vcpus(self, live: DomainXML) -> None:
        numbers = states.to_plug(live)
        if numbers:
            await self._plug_in(numbers)
        guest = self.running()
        states.note_running(live, guest.vcpus, guest.plugged)

    async def _add_vcpus(self, live: DomainXML, numbers: list[int]) -> None:
        try:
            await self._plug_in(numbers)
        finally:
            self._note(live)
        for number in numbers:
            place_vcpu(live, number, self.running().vcpus[number])
        await self.divide_time(live)

    async def _plug_in(self, numbers: list[int]) -> None:
        guest = self.running()
        # one entry a processor, the last one first: QEMU's machines with several a device are not x86
        slots = list(reversed(await guest.monitor.execute("query-hotpluggable-cpus")))
        try:
            for number in numbers:
                slot = slots[number]
                device = {"driver": slot["type"], "id": f"vcpu{number}", **slot["props"]}
                await guest.monitor.execute("device_add", device)
        finally:
            await guest.learn()

    async def _remove_vcpus(self, live: DomainXML, numbers: list[int]) -> None:
        guest = self.running()
        try:
            for number in numbers:
                await guest.monitor.execute("device_del", {"id": f"vcpu{number}"})
                await self._unplugged(number)
        finally:
            self._note(live)

    async def _unplugged(self, number: int) -> None:
        """Wait until the guest has let go of a processor. Timeout when it does not."""
        guest, deadline = self.running(), time.monotonic() + UNPLUG
        while number in guest.vcpus:
            if time.monotonic() > deadline:
                words = "vcpu unplug request timed out. Unplug result must be manually inspected in the domain"
                raise Timeout(words, domain=QEMU)
            await asyncio.sleep(0.05)
            await guest.learn()

    def _note(self, live: DomainXML) -> None:
        guest = self.running()
        states.note_running(live, guest.vcpus, guest.plugged)
        self.record()

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
                    c.VIR_VCPU_RUNNING,
                    usage.thread_nanoseconds(guest.process.pid, tid)[0],
                    usage.thread_processor(guest.process.pid, tid),
                ),
                affinity(tid),
            )
            for number, tid in sorted(guest.vcpus.items())
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
                    raise InvalidArg(f"vcpu {vcpu} is out of range of {'live' if shown is live else 'persistent'} cpu count {shown.vcpu or 1 if shown is live else states.count(shown)}", domain=QEMU)  # fmt: skip  # noqa: E501
            wanted = as_set(cpumap)
            if live is not None and vcpu in (threads := self.running().vcpus):
                bind(threads[vcpu], wanted)
            self.note(live, config, lambda on: _note_pin(on, vcpu, wanted))
        if live is not None:
            self.tell_pinned(f"cputune.vcpupin{vcpu}", wanted)

    async def cpu_stats(self, start: int, cpus: int, flags: int = 0) -> list[list[TypedParam]]:
        """Processor time in ns: the totals; the kernel keeps no figures by processor (cgroups of version 2)."""
        only(flags, c.VIR_TYPED_PARAM_STRING_OKAY, "qemuDomainGetCPUStats")
        self.running()
        if start != -1:
            words = "operation 'getCpuacctPercpuUsage' not supported for backend 'cgroup V2'"
            raise OperationUnsupported(words, domain=QEMU)
        names, times = ("cpu_time", "user_time", "system_time"), self.processor_times() or (0, 0, 0)
        return [[TypedParam.ullong(name, time) for name, time in zip(names, times, strict=True)]]


def _note_pin(on: DomainXML, vcpu: int, chosen: set[int]) -> None:
    from splitvirt.xml.cputune import CpuTune, VcpuPin

    tune = on.cputune = on.cputune or CpuTune()
    tune.vcpupins = sorted(
        [pin for pin in tune.vcpupins if pin.vcpu != vcpu] + [VcpuPin(vcpu=vcpu, cpuset=frozenset(chosen))],
        key=lambda pin: int(pin.vcpu),
    )
