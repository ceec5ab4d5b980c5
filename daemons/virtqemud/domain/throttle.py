"""Limits of a guest's disks and cards."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import ConfigUnsupported, InvalidArg
from splitvirt.api.params import TypedParam
from splitvirt.xml.devices.disk import Disk, IoTune
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.domain import Domain as DomainXML
from virtqemud import devicelist
from virtqemud.flags import only

from .base import CONFIG, LIVE, DomainBase
from .limits import READ, known

QEMU = c.VIR_FROM_QEMU
WAYS = ("total", "read", "write")
RATES = [f"{way}_{unit}_sec" for unit in ("bytes", "iops") for way in WAYS]
BURSTS = [f"{rate}_max" for rate in RATES]
LENGTHS = [f"{burst}_length" for burst in BURSTS]
LIMITS = (*RATES, *BURSTS, "size_iops_sec", "group_name", *LENGTHS)
"""In the order in which libvirt tells them."""
QMP = {"total": "", "read": "_rd", "write": "_wr"}
CARD = tuple(f"{way}.{what}" for way in ("inbound", "outbound") for what in ("average", "peak", "burst"))


class Throttles(DomainBase):
    """Limits of disks and cards."""

    async def block_io_tune(self, disk: str | None, flags: int = 0) -> list[TypedParam]:
        """The limits of a disk."""
        only(flags, READ, "qemuDomainGetBlockIoTune")
        live, config = self.impact(flags)
        if not disk:
            return [_param(name, None) for name in LIMITS]
        shown = live if live is not None else config
        assert shown is not None
        tune = _find(shown, disk, running=live is not None).iotune
        return [_param(name, getattr(tune, name, None) if tune else None) for name in LIMITS]

    async def set_block_io_tune(self, disk: str, params: list[TypedParam], flags: int = 0) -> None:
        """Limit a disk."""
        only(flags, LIVE | CONFIG, "qemuDomainSetBlockIoTune")
        wanted = known(params, LIMITS)
        _consistent(wanted)
        async with self.job.hold("set_block_io_tune"):
            live, config = self.impact(flags)
            changed = config.copy() if config is not None else None
            for shown in (live, changed):
                if shown is not None:
                    _find(shown, disk, running=shown is live)
            if live is not None:
                await self._throttle(live, _find(live, disk, running=True), wanted)
                self.record()
            if changed is not None:
                kept = _find(changed, disk, running=False)
                _limit(changed, kept, _merged(_before(changed, kept, wanted), wanted))
                self.keep(changed)
        if live is not None:
            told = [TypedParam.string("blkdeviotune.disk", disk)]
            told += [p._replace(name=f"blkdeviotune.{p.name}") for p in params]
            self.driver.events.emit(Domain.tunable_changed, self, told)

    async def _throttle(self, live: DomainXML, disk: Disk, wanted: dict[str, Any]) -> None:
        if disk.empty:
            raise InvalidArg(f"disk '{disk.target}' does not currently have a source assigned", domain=QEMU)
        tune = _merged(_before(live, disk, wanted), wanted)
        backend = "/virtio-backend" if disk.bus == "virtio" else ""
        device = f"/machine/peripheral/{disk.alias}{backend}" if backend else str(disk.alias)
        limited = any(getattr(tune, name) for name in RATES)
        if limited and not tune.group_name:
            tune.group_name = device
        arguments: dict[str, Any] = {"id": device}
        for unit, short in (("bytes", "bps"), ("iops", "iops")):
            for way in WAYS:
                name = f"{way}_{unit}_sec"
                arguments[f"{short}{QMP[way]}"] = getattr(tune, name) or 0
                arguments[f"{short}{QMP[way]}_max"] = getattr(tune, f"{name}_max") or 0
                if length := getattr(tune, f"{name}_max_length"):
                    arguments[f"{short}{QMP[way]}_max_length"] = length
        if tune.size_iops_sec:
            arguments["iops_size"] = tune.size_iops_sec
        if tune.group_name:
            arguments["group"] = tune.group_name
        await self.running().monitor.execute("block_set_io_throttle", arguments)
        _limit(live, disk, tune if limited else None)

    async def interface_params(self, device: str, flags: int = 0) -> list[TypedParam]:
        """The limits of a card, in KiB and KiB/s; 0 for none."""
        only(flags, READ, "qemuDomainGetInterfaceParameters")
        band = _card(self.pick(flags), device).bandwidth
        told = []
        for way in ("inbound", "outbound"):
            rate = getattr(band, way) if band else None
            for what in ("average", "peak", "burst", *(("floor",) if way == "inbound" else ())):
                told.append(TypedParam.uint(f"{way}.{what}", (getattr(rate, what, None) if rate else None) or 0))
        return told

    async def set_interface_params(self, device: str, params: list[TypedParam], flags: int = 0) -> None:
        """Limit a card, from the next start on."""
        from splitvirt.xml.netparts import Bandwidth, Inbound, Outbound

        only(flags, LIVE | CONFIG, "qemuDomainSetInterfaceParameters")
        wanted = known(params, (*CARD, "inbound.floor"))
        async with self.job.hold("set_interface_params"):
            live, config = self.impact(flags)
            for shown in (live, config):
                if shown is not None:
                    card = _card(shown, device)
                    if live is not None or card.type in ("user", "vhostuser", "hostdev", "vdpa"):
                        words = f"setting bandwidth on interfaces of type '{card.type}' is not implemented yet"
                        raise ConfigUnsupported(words, domain=QEMU)
            assert config is not None
            changed = config.copy()
            card = _card(changed, device)
            band = card.bandwidth = card.bandwidth or Bandwidth()
            for way, kind in (("inbound", Inbound), ("outbound", Outbound)):
                told = {name.partition(".")[2]: value for name, value in wanted.items() if name.startswith(way)}
                if told:
                    rate = {what: told.get(what) or None for what in ("average", "peak", "burst")}
                    setattr(band, way, kind(**rate) if rate["average"] else None)
            self.keep(changed)


def _find(shown: DomainXML, name: str, *, running: bool) -> Disk:
    from .disks import disk_path

    for disk in devicelist.of(shown, Disk):
        if name in (disk.target, disk_path(disk)):
            return disk
    where = "not found in domain" if running else "was not found in the domain config"
    raise InvalidArg(f"disk '{name}' {where}", domain=QEMU)


def _card(shown: DomainXML, name: str) -> Interface:
    for card in devicelist.of(shown, Interface):
        if name == card.target_dev or name.lower() == (card.mac or "").lower():
            return card
    raise InvalidArg(f"'{name}' is not a known interface", domain=c.VIR_FROM_DOMAIN)


def _param(name: str, value: Any) -> TypedParam:
    return TypedParam.string(name, value or "") if name == "group_name" else TypedParam.ullong(name, value or 0)


def _before(shown: DomainXML, disk: Disk, wanted: dict[str, Any]) -> IoTune | None:
    """The limits that a change starts from: those of the group that the disk joins, else its own."""
    group = wanted.get("group_name")
    joined = (other.iotune for other in devicelist.of(shown, Disk) if _group(other) == group)
    return next(joined, disk.iotune) if group and _group(disk) != group else disk.iotune


def _limit(shown: DomainXML, disk: Disk, tune: IoTune | None) -> None:
    """Give a disk its limits, which are those of its whole group."""
    group = tune.group_name if tune else _group(disk)
    for other in devicelist.of(shown, Disk):
        if other is disk or (group and _group(other) == group):
            other.iotune = tune.copy() if tune else None


def _group(disk: Disk) -> str | None:
    return disk.iotune.group_name if disk.iotune else None


def _merged(tune: IoTune | None, wanted: dict[str, Any]) -> IoTune:
    """Limits with others set: a limit in one way takes those in the other ways of the same unit away."""
    made = tune.copy() if tune else IoTune()
    for suffix in ("", "_max"):
        for unit in ("bytes", "iops"):
            total, parts = f"total_{unit}_sec{suffix}", [f"{way}_{unit}_sec{suffix}" for way in WAYS[1:]]
            if wanted.get(total):
                for part in parts:
                    setattr(made, part, None)
            elif any(wanted.get(part) for part in parts):
                setattr(made, total, None)
    for name, value in wanted.items():
        setattr(made, name, value or None)
    return made


def _consistent(wanted: dict[str, Any]) -> None:
    for suffix in ("", "_max"):
        for unit in ("bytes", "iops"):
            if wanted.get(f"total_{unit}_sec{suffix}") and any(
                wanted.get(f"{way}_{unit}_sec{suffix}") for way in WAYS[1:]
            ):
                words = f"total and read/write of {unit}_sec{suffix} cannot be set at the same time"
                raise InvalidArg(words, domain=QEMU)
