"""Limits and shares of a guest: memory, processor time, the host's disks and nodes, performance counters.

They are kept with the configuration. What runs is told of, and changed, in its cgroup. A guest that has none of its own
(`domain.scoped`) runs with the kernel's defaults, and what needs a cgroup cannot be changed while it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, get_args

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.domain_tune import SchedulerType
from splitvirt.api.errors import ArgumentUnsupported, InvalidArg, OperationInvalid
from splitvirt.api.params import TypedParam, values
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.domain import PerfEvent, PerfName
from splitvirt.xml.forms import read_set, write_set
from splitvirt.xml.memory import NumaMode
from splitvirt.xml.units import decimal
from virtqemud.flags import only
from virtqemud.running import tuning

from .base import CONFIG, LIVE, DomainBase

if TYPE_CHECKING:
    from splitvirt.host.cgroup import Group
    from virtqemud.running.tuning import Property

QEMU = c.VIR_FROM_QEMU
READ = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
UNLIMITED = (1 << 53) - 1
"""libvirt's VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, in KiB."""

MEMORY = {"hard_limit": "memory.max", "soft_limit": "memory.high", "swap_hard_limit": "memory.swap.max"}
"""Limits, and the files of a cgroup that tell them."""
PERIODS = {"vcpu": "", "emulator": "emulator_", "global": "global_", "iothread": "iothread_"}
"""Prefixes of parameters, and those of their fields in `<cputune>`."""
PERIOD, QUOTA = (1000, 1_000_000), (1000, 17592186044415)
"""Bounds in microseconds; 0 and below are no limit."""
SHARES, WEIGHT = 1024, 100
"""The kernel's defaults."""
SHARES_RANGE = (2, 262144)
DISKS = {
    "device_weight": "weight",
    "device_read_iops_sec": "read_iops_sec",
    "device_write_iops_sec": "write_iops_sec",
    "device_read_bytes_sec": "read_bytes_sec",
    "device_write_bytes_sec": "write_bytes_sec",
}
MODES: tuple[NumaMode, ...] = get_args(NumaMode)


def known(params: Iterable[TypedParam], names: Iterable[str]) -> dict[str, Any]:
    """Parameters by name. ArgumentUnsupported for one that a call does not know."""
    found = values(params)
    for name in found:
        if name not in names:
            raise ArgumentUnsupported(f"parameter '{name}' not supported", domain=QEMU)
    return found


class Limits(DomainBase):
    """Limits and shares."""

    async def _change(
        self,
        flags: int,
        call: str,
        lacks: str,
        edit: Callable[[DomainXML], None],
        controller: str = "",
        apply: Callable[[DomainXML], Awaitable[None]] | None = None,
    ) -> None:
        """Edit the configurations, and `apply` what is to run; `lacks` says what keeps a running guest from that."""
        only(flags, LIVE | CONFIG, call)
        async with self.job.hold(call):
            live, config = self.impact(flags)
            changed = config.copy() if config is not None else None
            if changed is not None:
                edit(changed)
            if live is not None:
                if apply is None or not self._has(controller):
                    raise OperationInvalid(lacks, domain=QEMU)
                running = live.copy()
                edit(running)
                await apply(running)
                edit(live)
                self.record()
            if changed is not None:
                self.keep(changed)

    def _has(self, controller: str) -> bool:
        """Whether it runs in a cgroup of its own with that controller."""
        return self.group is not None and controller in self.group.controllers

    async def _set(self, properties: Iterable[Property]) -> None:
        """Change properties of its unit."""
        assert self.group is not None
        assert self.driver.scopes is not None
        await self.driver.scopes.change(self.group.path.name, properties)

    async def memory_params(self, flags: int = 0) -> list[TypedParam]:
        """Limits of memory use, in KiB."""
        only(flags, READ, "qemuDomainGetMemoryParameters")
        live, config = self.impact(flags)
        if live is not None and self.group is not None and self._has("memory"):
            limits = {name: self.group.number(file) for name, file in MEMORY.items()}
            kib = {name: UNLIMITED if limit is None else limit // 1024 for name, limit in limits.items()}
            return [TypedParam.ullong(name, limit) for name, limit in kib.items()]
        shown = live or config
        tune = shown.memtune if shown is not None else None
        return [TypedParam.ullong(name, (getattr(tune, name, None) if tune else None) or UNLIMITED) for name in MEMORY]

    async def set_memory_params(self, params: list[TypedParam], flags: int = 0) -> None:
        """Limit its memory use."""
        from splitvirt.xml.memory import MemoryTune

        wanted = known(params, MEMORY)

        def edit(config: DomainXML) -> None:
            tune = config.memtune = config.memtune or MemoryTune()
            for name, value in wanted.items():
                setattr(tune, name, value if value < UNLIMITED else None)
            if tune.hard_limit and tune.swap_hard_limit and tune.hard_limit > tune.swap_hard_limit:
                words = "memory hard_limit tunable value must be lower than or equal to swap_hard_limit"
                raise InvalidArg(words, domain=QEMU)

        async def apply(running: DomainXML) -> None:
            limits = {name: getattr(running.memtune, name) for name in wanted}
            await self._set(tuning.memory_limits({name: limit or 0 for name, limit in limits.items()}))

        lacks = "cgroup memory controller is not mounted"
        await self._change(flags, "qemuDomainSetMemoryParameters", lacks, edit, "memory", apply)

    async def numa_params(self, flags: int = 0) -> list[TypedParam]:
        """From which of the host's nodes its memory comes."""
        only(flags, READ, "qemuDomainGetNumaParameters")
        tune = self.pick(flags).numatune
        mode = MODES.index(tune.mode) if tune and tune.mode else 0
        nodes = write_set(tune.nodeset) if tune and tune.nodeset else ""
        return [TypedParam.int_("numa_mode", mode), TypedParam.string("numa_nodeset", nodes)]

    async def set_numa_params(self, params: list[TypedParam], flags: int = 0) -> None:
        """Say from which of the host's nodes its memory comes."""
        from splitvirt.xml.memory import NumaTune

        wanted = known(params, ("numa_mode", "numa_nodeset"))
        mode = wanted.get("numa_mode")
        if mode is not None and not 0 <= mode < len(MODES):
            raise InvalidArg(f"unsupported numatune mode: '{mode}'", domain=QEMU)
        nodes = read_set(wanted["numa_nodeset"]) if wanted.get("numa_nodeset") else None
        if "numa_nodeset" in wanted and not nodes:
            raise OperationInvalid(f"Invalid nodeset of 'numatune': {wanted['numa_nodeset']}", domain=QEMU)

        def edit(config: DomainXML) -> None:
            tune = config.numatune = config.numatune or NumaTune()
            tune.mode = tune.mode or "strict" if mode is None else MODES[mode]
            tune.nodeset = nodes or tune.nodeset

        async def apply(running: DomainXML) -> None:
            assert self.live is not None
            now = self.live.numatune.mode if self.live.numatune is not None else None
            if now is not None and mode is not None and MODES[mode] != now:
                raise OperationInvalid("can't change numatune mode for running domain", domain=QEMU)
            if nodes and now not in (None, "restrictive"):
                words = "change of nodeset for running domain requires restrictive numa mode"
                raise OperationInvalid(words, domain=QEMU)
            await self._set([tuning.allowed_nodes(nodes)] if nodes else [])

        lacks = "can't change nodeset for strict mode for running domain"
        await self._change(flags, "qemuDomainSetNumaParameters", lacks, edit, "cpuset", apply)

    async def scheduler_type(self) -> SchedulerType:
        """The kernel's own, and how many parameters there are."""
        return SchedulerType("posix", 1 + 2 * len(PERIODS))

    async def scheduler_params(self, flags: int = 0) -> list[TypedParam]:
        """Shares and bandwidth; of a running guest what holds for it."""
        only(flags, READ, "qemuDomainGetSchedulerParametersFlags")
        live, config = self.impact(flags)
        if live is not None and self.group is not None and self._has("cpu"):
            return self._schedule(self.group)
        tune = None if live is not None or config is None else config.cputune

        def value(field: str, default: int) -> int:
            return default if live is not None else (getattr(tune, field, None) if tune else None) or 0

        params = [TypedParam.ullong("cpu_shares", value("shares", SHARES))]
        for name, field in PERIODS.items():
            params.append(TypedParam.ullong(f"{name}_period", value(f"{field}period", 100_000)))
            params.append(TypedParam.llong(f"{name}_quota", value(f"{field}quota", -1)))
        return params

    def _schedule(self, group: Group) -> list[TypedParam]:
        params = [TypedParam.ullong("cpu_shares", group.number("cpu.weight") or 0)]
        for kind in PERIODS:
            period, quota = tuning.bandwidth(group, kind)
            if kind == "global" and quota is None and self.live is not None and self.live.cputune is not None:
                period = self.live.cputune.global_period or period  # systemd keeps it until there is a quota
            params.append(TypedParam.ullong(f"{kind}_period", period))
            params.append(TypedParam.llong(f"{kind}_quota", QUOTA[1] if quota is None else quota))
        return params

    async def set_scheduler_params(self, params: list[TypedParam], flags: int = 0) -> None:
        """Set shares and bandwidth."""
        from splitvirt.xml.cputune import CpuTune

        fields = {"cpu_shares": "shares"}
        for name, field in PERIODS.items():
            fields |= {f"{name}_period": f"{field}period", f"{name}_quota": f"{field}quota"}
        wanted = known(params, fields)
        for name, value in wanted.items():
            low, high = (0, (1 << 64) - 1) if name == "cpu_shares" else PERIOD if name.endswith("period") else QUOTA
            if value > high or 0 < value < low:
                raise InvalidArg(f"value of '{name}' is out of range [{low}, {high}]", domain=QEMU)

        def edit(config: DomainXML) -> None:
            tune = config.cputune = config.cputune or CpuTune()
            for name, value in wanted.items():
                if value or config.id is None:  # for what runs a 0 leaves things as they are
                    setattr(tune, fields[name], value)

        async def apply(running: DomainXML) -> None:
            assert self.group is not None
            shares = wanted.get("cpu_shares")
            if shares is not None and not SHARES_RANGE[0] <= shares <= SHARES_RANGE[1]:
                raise InvalidArg(f"shares '{shares}' must be in range [2, 262144]", domain=QEMU)
            set_now = {name: value for name, value in wanted.items() if value}
            if set_now.keys() & {"cpu_shares", "global_period", "global_quota"}:
                await self._set(tuning.processor(running))
            only_these = CpuTune(**{fields[name]: value for name, value in set_now.items()})
            tuning.divide(self.group, only_these, await self.qemu_threads())
            changed = [TypedParam(f"cputune.{param.name}", param.kind, param.value) for param in params if param.value]
            if changed:
                self.driver.events.emit(Domain.tunable_changed, self, changed)

        lacks = "cgroup CPU controller is not mounted"
        await self._change(flags, "qemuDomainSetSchedulerParametersFlags", lacks, edit, "cpu", apply)

    async def blkio_params(self, flags: int = 0) -> list[TypedParam]:
        """Its share of the host's disks."""
        only(flags, READ, "qemuDomainGetBlkioParameters")
        live, config = self.impact(flags)
        shown = config if live is None else live if self._has("io") else None
        tune = shown.blkiotune if shown is not None else None
        weight = self._io_weight() if live is not None else (tune.weight if tune else None) or 0
        made = [TypedParam.uint("weight", weight)]
        for name, field in DISKS.items():
            limits = ((disk.path, getattr(disk, field)) for disk in (tune.devices if tune else ()))
            made.append(TypedParam.string(name, ",".join(f"{path},{limit}" for path, limit in limits if limit)))
        return made

    def _io_weight(self) -> int:
        words = ((self.group.read("io.weight") if self.group is not None else None) or "").split()
        return int(words[1]) if words[:1] == ["default"] else WEIGHT

    async def set_blkio_params(self, params: list[TypedParam], flags: int = 0) -> None:
        """Set its share of the host's disks."""
        from splitvirt.xml.memory import BlockDevice, BlockTune

        wanted = known(params, ("weight", *DISKS))
        limits = {DISKS[name]: _by_disk(text) for name, text in wanted.items() if name in DISKS}

        def edit(config: DomainXML) -> None:
            tune = config.blkiotune = config.blkiotune or BlockTune()
            tune.weight = wanted.get("weight", tune.weight)
            disks = {disk.path: disk for disk in tune.devices}
            for field, by_path in limits.items():
                for path, limit in by_path.items():
                    setattr(disks.setdefault(path, BlockDevice(path=path)), field, limit or None)
            tune.devices = [disk for disk in disks.values() if disk.limits]

        async def apply(running: DomainXML) -> None:
            made = [tuning.Property("IOWeight", "t", wanted["weight"])] if wanted.get("weight") else []
            for field, by_path in limits.items():
                for path, limit in by_path.items():
                    made += tuning.disk_limits(path, {field: limit})
            await self._set(made)

        lacks = "blkio cgroup isn't mounted"
        await self._change(flags, "qemuDomainSetBlkioParameters", lacks, edit, "io", apply)

    async def perf_events(self, flags: int = 0) -> list[TypedParam]:
        """Which counters are on; a running guest has none, for nobody reads them."""
        only(flags, READ, "qemuDomainGetPerfEvents")
        live, config = self.impact(flags)
        on = {event.name for event in config.perf if event.enabled} if config is not None and live is None else set()
        return [TypedParam.boolean(name, name in on) for name in get_args(PerfName)]

    async def set_perf_events(self, params: list[TypedParam], flags: int = 0) -> None:
        """Turn counters on or off, from the next start on."""
        wanted = known(params, get_args(PerfName))

        def edit(config: DomainXML) -> None:
            kept: dict[str, PerfEvent] = {event.name: event for event in config.perf}
            kept |= {name: PerfEvent(name=name, enabled=bool(on)) for name, on in wanted.items()}
            config.perf = [kept[name] for name in get_args(PerfName) if name in kept]

        lacks = "performance counters of a running domain cannot be changed"
        await self._change(flags, "qemuDomainSetPerfEvents", lacks, edit)

    async def launch_security_info(self, flags: int = 0) -> list[TypedParam]:
        """Nothing: no guest is measured at its launch."""
        only(flags, c.VIR_TYPED_PARAM_STRING_OKAY, "qemuDomainGetLaunchSecurityInfo")
        return []


def _by_disk(text: str) -> dict[str, int]:
    """Limits by path, from "PATH,LIMIT,PATH,LIMIT"."""
    words = text.split(",") if text else []
    numbers = words[1::2]
    if len(words) % 2 or not all(map(decimal, numbers)):
        raise InvalidArg(f"unable to parse blkio device '{text}'", domain=QEMU)
    return dict(zip(words[::2], map(int, numbers), strict=True))
