"""Limits and shares of a guest: memory, processor time, the host's disks and nodes, performance counters.

They are kept with the configuration. A guest runs in the cgroup of whoever started it, so what needs a cgroup of its
own cannot be changed while it runs; what holds for it then are the kernel's own defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

from splitvirt.api import constants as c
from splitvirt.api.domain_tune import SchedulerType
from splitvirt.api.errors import ArgumentUnsupported, InvalidArg, OperationInvalid
from splitvirt.api.params import TypedParam, values
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.domain import PerfEvent, PerfName
from splitvirt.xml.forms import read_set, write_set
from splitvirt.xml.memory import NumaMode
from splitvirt.xml.units import decimal
from virtqemud.flags import only

from .base import CONFIG, LIVE, DomainBase

QEMU = c.VIR_FROM_QEMU
READ = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
UNLIMITED = (1 << 53) - 1
"""libvirt's VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, in KiB."""

MEMORY = ("hard_limit", "soft_limit", "swap_hard_limit")
PERIODS = {"vcpu": "", "emulator": "emulator_", "global": "global_", "iothread": "iothread_"}
"""Prefixes of parameters, and those of their fields in `<cputune>`."""
PERIOD, QUOTA = (1000, 1_000_000), (1000, 17592186044415)
"""Bounds in microseconds; 0 and below are no limit."""
SHARES, WEIGHT = 1024, 100
"""The kernel's defaults."""
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

    async def _change(self, flags: int, call: str, lacks: str, edit: Callable[[DomainXML], None]) -> None:
        """Edit the kept configuration; `lacks` says what keeps a running guest from being changed."""
        only(flags, LIVE | CONFIG, call)
        async with self.job.hold(call):
            live, config = self.impact(flags)
            if live is not None:
                raise OperationInvalid(lacks, domain=QEMU)
            assert config is not None
            changed = config.copy()
            edit(changed)
            self.keep(changed)

    async def memory_params(self, flags: int = 0) -> list[TypedParam]:
        """Limits of memory use, in KiB."""
        only(flags, READ, "qemuDomainGetMemoryParameters")
        tune = self.pick(flags).memtune
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

        await self._change(flags, "qemuDomainSetMemoryParameters", "cgroup memory controller is not mounted", edit)

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

        lacks = "can't change nodeset for strict mode for running domain"
        await self._change(flags, "qemuDomainSetNumaParameters", lacks, edit)

    async def scheduler_type(self) -> SchedulerType:
        """The kernel's own, and how many parameters there are."""
        return SchedulerType("posix", 1 + 2 * len(PERIODS))

    async def scheduler_params(self, flags: int = 0) -> list[TypedParam]:
        """Shares and bandwidth; of a running guest what holds for it."""
        only(flags, READ, "qemuDomainGetSchedulerParametersFlags")
        live, config = self.impact(flags)
        tune = None if live is not None or config is None else config.cputune

        def value(field: str, default: int) -> int:
            return default if live is not None else (getattr(tune, field, None) if tune else None) or 0

        params = [TypedParam.ullong("cpu_shares", value("shares", SHARES))]
        for name, field in PERIODS.items():
            params.append(TypedParam.ullong(f"{name}_period", value(f"{field}period", 100_000)))
            params.append(TypedParam.llong(f"{name}_quota", value(f"{field}quota", -1)))
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
                setattr(tune, fields[name], value)

        lacks = "cgroup CPU controller is not mounted"
        await self._change(flags, "qemuDomainSetSchedulerParametersFlags", lacks, edit)

    async def blkio_params(self, flags: int = 0) -> list[TypedParam]:
        """Its share of the host's disks."""
        only(flags, READ, "qemuDomainGetBlkioParameters")
        live, config = self.impact(flags)
        tune = None if live is not None or config is None else config.blkiotune
        weight = WEIGHT if live is not None else (tune.weight if tune else None) or 0
        made = [TypedParam.uint("weight", weight)]
        for name, field in DISKS.items():
            limits = ((disk.path, getattr(disk, field)) for disk in (tune.devices if tune else ()))
            made.append(TypedParam.string(name, ",".join(f"{path},{limit}" for path, limit in limits if limit)))
        return made

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

        await self._change(flags, "qemuDomainSetBlkioParameters", "blkio cgroup isn't mounted", edit)

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
