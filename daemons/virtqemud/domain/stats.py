"""Statistics in bulk, of one guest: what virsh domstats shows."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import VirtError
from splitvirt.api.params import TypedParam
from splitvirt.host import usage
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.interface import Interface
from virtqemud import devicelist

from .disks import Disks, disk_path
from .interfaces import Interfaces
from .memory import Memory
from .vcpus import Processors
from .vcpustates import count

_MEMORY = {
    c.VIR_DOMAIN_MEMORY_STAT_SWAP_IN: "swap_in",
    c.VIR_DOMAIN_MEMORY_STAT_SWAP_OUT: "swap_out",
    c.VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT: "major_fault",
    c.VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT: "minor_fault",
    c.VIR_DOMAIN_MEMORY_STAT_UNUSED: "unused",
    c.VIR_DOMAIN_MEMORY_STAT_AVAILABLE: "available",
    c.VIR_DOMAIN_MEMORY_STAT_USABLE: "usable",
    c.VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE: "last-update",
    c.VIR_DOMAIN_MEMORY_STAT_DISK_CACHES: "disk_caches",
    c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC: "hugetlb_pgalloc",
    c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL: "hugetlb_pgfail",
    c.VIR_DOMAIN_MEMORY_STAT_RSS: "rss",
}


class Statistics(Memory, Processors, Disks, Interfaces):
    """All figures of a guest."""

    async def stats(self, stats: int = 0, flags: int = 0) -> list[TypedParam]:
        """Its part of the bulk statistics (VIR_DOMAIN_STATS_*, 0: all)."""
        whole: Any = self
        (record,) = await self.driver.stats([whole], stats, flags)
        return list(record.params)

    async def statistics(self, wanted: int, *, nowait: bool) -> list[TypedParam]:
        """The groups asked for (VIR_DOMAIN_STATS_*); with `nowait` none that QEMU would have to be waited for."""
        # A guest whose monitor is in use by a long call is told of without what only the monitor knows.
        ask = self.guest is not None and not (nowait and self.job.busy)
        told: list[TypedParam] = []
        groups: list[tuple[int, Any]] = [
            (c.VIR_DOMAIN_STATS_STATE, self._state),
            (c.VIR_DOMAIN_STATS_CPU_TOTAL, self._cpu),
            (c.VIR_DOMAIN_STATS_BALLOON, self._balloon),
            (c.VIR_DOMAIN_STATS_VCPU, self._vcpu),
            (c.VIR_DOMAIN_STATS_INTERFACE, self._net),
            (c.VIR_DOMAIN_STATS_BLOCK, self._block),
            (c.VIR_DOMAIN_STATS_IOTHREAD, self._iothread),
            (c.VIR_DOMAIN_STATS_DIRTYRATE, self._dirty_rate),
        ]
        for bit, tell in groups:
            if wanted & bit:
                try:
                    told += await tell(ask)
                except VirtError:
                    continue  # the guest ended meanwhile, or QEMU cannot say: a group less
        return told

    async def _state(self, ask: bool) -> list[TypedParam]:
        return [
            TypedParam.int_("state.state", self.current_state),
            TypedParam.int_("state.reason", self.current_reason),
        ]

    async def _cpu(self, ask: bool) -> list[TypedParam]:
        times = self.processor_times()
        if times is None:
            return []
        names = ("cpu.time", "cpu.user", "cpu.system")
        told = [TypedParam.ullong(n, v) for n, v in zip(names, times, strict=True)]
        told.append(TypedParam.uint("cpu.cache.monitor.count", 0))  # no cache is watched
        if self.current.type == "kvm":
            return told
        # Without KVM a guest never polls instead of halting.
        return told + [TypedParam.ullong(f"cpu.haltpoll.{which}.time", 0) for which in ("success", "fail")]

    async def _balloon(self, ask: bool) -> list[TypedParam]:
        shown = self.current
        told = [
            TypedParam.ullong("balloon.current", self.current_memory()),
            TypedParam.ullong("balloon.maximum", shown.memory or 0),
        ]
        if ask:
            stats = await self.memory_stats()
            told += [TypedParam.ullong(f"balloon.{_MEMORY[n]}", stats[n]) for n in _MEMORY if n in stats]
        return told

    async def _vcpu(self, ask: bool) -> list[TypedParam]:
        shown = self.current
        told = [
            TypedParam.uint("vcpu.current", count(shown)),
            TypedParam.uint("vcpu.maximum", shown.vcpu or 1),
        ]
        guest = self.guest
        if guest is None:
            return told
        for number, tid in sorted(guest.vcpus.items()):
            ran, waited = usage.thread_nanoseconds(guest.process.pid, tid)
            told += [
                TypedParam.int_(f"vcpu.{number}.state", c.VIR_VCPU_RUNNING),
                TypedParam.ullong(f"vcpu.{number}.time", ran),
                TypedParam.ullong(f"vcpu.{number}.wait", 0),
                TypedParam.ullong(f"vcpu.{number}.delay", waited),
            ]
        return told

    async def _net(self, ask: bool) -> list[TypedParam]:
        if not self.active:
            return []
        cards = devicelist.of(self.current, Interface)
        told = [TypedParam.uint("net.count", len(cards))]
        for number, card in enumerate(cards):
            if card.target_dev is None:
                continue
            told.append(TypedParam.string(f"net.{number}.name", card.target_dev))
            counters = usage.interface_counters(card.target_dev) or {}
            if counters:
                # The host's transmission is what the guest receives.
                for ours, theirs in (("rx", "tx"), ("tx", "rx")):
                    for host, param in (("bytes", "bytes"), ("packets", "pkts"), ("errs", "errs"), ("drop", "drop")):
                        name = f"net.{number}.{ours}.{param}"
                        told.append(TypedParam.ullong(name, counters[f"{theirs}_{host}"]))
        return told

    async def _block(self, ask: bool) -> list[TypedParam]:
        disks = devicelist.of(self.current, Disk)
        told = [TypedParam.uint("block.count", len(disks))]
        figures = await self.block_figures() if ask and disks else {}
        for number, disk in enumerate(disks):
            told.append(TypedParam.string(f"block.{number}.name", str(disk.target)))
            path = disk_path(disk)
            if path:
                told.append(TypedParam.string(f"block.{number}.path", path))
            index = disk.source.index if disk.source is not None else None
            if index is not None:
                told.append(TypedParam.uint(f"block.{number}.backingIndex", index))
            if not self.active and path:
                sizes = await self.block_info(path)
                for key in ("allocation", "capacity", "physical"):
                    told.append(TypedParam.ullong(f"block.{number}.{key}", getattr(sizes, key)))
            figure = figures.get(str(disk.alias))
            if figure is None:
                continue
            for name, value in figure.bulk():
                told.append(TypedParam.ullong(f"block.{number}.{name}", value))
        return told

    async def _iothread(self, ask: bool) -> list[TypedParam]:
        if not ask:
            return []
        threads = await self.running().monitor.execute("query-iothreads")
        if not threads:
            return []
        told = [TypedParam.uint("iothread.count", len(threads))]
        for thread in threads:
            number = str(thread["id"]).removeprefix("iothread")
            for key in ("poll-max-ns", "poll-grow", "poll-shrink"):
                kind = TypedParam.ullong if key == "poll-max-ns" else TypedParam.uint
                told.append(kind(f"iothread.{number}.{key}", int(thread[key])))
        return told

    async def _dirty_rate(self, ask: bool) -> list[TypedParam]:
        if not ask:
            return []
        rate = await self.running().monitor.execute("query-dirty-rate")
        told = [
            TypedParam.int_("dirtyrate.calc_status", ["unstarted", "measuring", "measured"].index(rate["status"])),
            TypedParam.llong("dirtyrate.calc_start_time", int(rate["start-time"])),
            TypedParam.int_("dirtyrate.calc_period", int(rate["calc-time"])),
            TypedParam.string("dirtyrate.calc_mode", str(rate["mode"])),
        ]
        if "dirty-rate" in rate:
            told.append(TypedParam.llong("dirtyrate.megabytes_per_second", int(rate["dirty-rate"])))
        return told
