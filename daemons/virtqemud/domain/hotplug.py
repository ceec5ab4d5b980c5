"""Devices of a guest that runs: attached, changed, detached; those of the kept configuration with them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import (
    ConfigUnsupported,
    InternalError,
    InvalidArg,
    OperationInvalid,
    OperationUnsupported,
    XMLError,
)
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.controller import Controller
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.element import Element
from virtqemud import devicelist
from virtqemud.flags import only

from . import twins
from .disks import disk_path
from .kept import KeptDevices, keep_sorted

if TYPE_CHECKING:
    from virtqemud.argv.context import Context

QEMU = c.VIR_FROM_QEMU
LET_GO = 5.0
"""Seconds that a call waits for the guest to let go of a device; libvirt's figure. It may do so later."""
BOTH = c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_AFFECT_CONFIG
FORCE = 1 << 2  # VIR_DOMAIN_DEVICE_MODIFY_FORCE


class Hotplug(KeptDevices):
    """Devices, now and at the next start."""

    async def attach_device(self, xml: str, flags: int = 0) -> None:
        """Add a device."""
        only(flags, BOTH, "qemuDomainAttachDeviceLiveAndConfig")
        async with self.job.hold("attach_device"):
            live, config = self.impact(flags)
            changed = await self.with_device(config, xml) if config is not None else None
            if live is not None:
                await self._plug(live, xml)
            if changed is not None:
                self.keep(changed)

    async def detach_device(self, xml: str, flags: int = 0) -> None:
        """Remove a device; a running guest may take longer to let go of it than the call waits."""
        only(flags, BOTH, "qemuDomainDetachDeviceLiveAndConfig")
        async with self.job.hold("detach_device"):
            live, config = self.impact(flags)
            changed = await self.without_device(config, xml) if config is not None else None
            if live is not None:
                device, into = self.parse_device(xml)
                twins.check_live(device, "detach")
                await self._unplug(self.find_device(live, device, into))
            if changed is not None:
                self.keep(changed)

    async def detach_device_alias(self, alias: str, flags: int = 0) -> None:
        """Remove the device of that alias."""
        only(flags, BOTH, "qemuDomainDetachDeviceAlias")
        async with self.job.hold("detach_device_alias"):
            live, config = self.impact(flags)
            changed = await self.without_alias(config, alias) if config is not None else None
            if live is not None:
                device = devicelist.by_alias(live, alias)
                if device is None:
                    raise InternalError(f"no device found with alias {alias}", domain=QEMU)
                await self._unplug(device)
            if changed is not None:
                self.keep(changed)

    async def update_device(self, xml: str, flags: int = 0) -> None:
        """Put a device in the place of the one that it names; of a running guest media and links can be changed."""
        only(flags, BOTH | FORCE, "qemuDomainUpdateDeviceFlags")
        async with self.job.hold("update_device"):
            live, config = self.impact(flags)
            changed = await self.with_changed_device(config, xml) if config is not None else None
            if live is not None:
                await self._update(live, xml, force=bool(flags & FORCE))
            if changed is not None:
                self.keep(changed)

    # ---- coming

    async def _plug(self, live: DomainXML, xml: str) -> None:
        """Complete the running configuration with the device, then bring about all that is new in it."""

        device, into = self.parse_device(xml)
        twins.check_live(device, "attach")
        here = getattr(live.devices, into)
        self.may_come(live, device)
        wanted = live.copy()
        names = [d.alias for d in devicelist.every(wanted) if isinstance(d, Device)]
        old = [d for d in devicelist.every(wanted) if isinstance(d, Device)]
        getattr(wanted.devices, into).append(device)
        wanted = await self.driver.ready(wanted, 0)
        for known, alias in zip(old, names, strict=True):
            known.alias = alias
        new = [d for d in devicelist.every(wanted) if isinstance(d, Device) and not any(d is o for o in old)]
        new.sort(key=lambda d: not isinstance(d, Controller))
        _name_apart(new, names)
        context = await self._context(wanted)
        with self.driver.security.giving(self, live, new):
            await self._bring(new, context)
        for added in new:
            _take_in(live, added, wanted)
        if not isinstance(device, Device):
            here.append(device)
        if any(isinstance(added, Chardev) for added in new):
            self.learn_chardevs(live, await self.running().learn())
        self.record()
        for added in new:
            self.driver.events.emit(Domain.device_added, self, str(added.alias))

    async def _bring(self, new: list[Any], context: Context) -> None:
        """Have QEMU take devices in; when one fails, those before it are taken back."""
        from virtqemud.argv.command import note_end
        from virtqemud.argv.devices.channel import with_path
        from virtqemud.argv.parts import Parts
        from virtqemud.running import late

        from . import plug

        done: list[plug.Step] = []
        monitor = self.running().monitor
        try:
            for added in new:
                async with late.taken(self.whole, context) as res:
                    if isinstance(added, Interface):
                        await late.connect(res, added)
                    elif isinstance(added, Channel):
                        added.sources = with_path(added, context, Parts()).sources
                    parts = plug.parts_of(added, context)
                    sockets = late.prepare(res, parts, str(added.alias))
                    wanted_steps = list(plug.steps(parts, sockets))
                    await plug.bring(monitor, wanted_steps)
                    done += wanted_steps
                    if isinstance(added, Disk):
                        note_end(added, context)
                    if isinstance(added, Interface) and added.link == "down":
                        await monitor.execute("set_link", {"name": added.alias, "up": False})
        except BaseException:
            await plug.take(monitor, done)
            for added in new:
                await self.disconnect(added.alias)
            raise

    async def _context(self, shown: DomainXML) -> Context:
        """What a device is built with, with a number for its first block node that no other has."""
        from virtqemud.argv.context import Context

        nodes = await self.running().monitor.execute("query-named-block-nodes", {"flat": True})
        numbers = (re.match(r"libvirt-(\d+)-", str(node["node-name"])) for node in nodes)
        return Context(
            domain=shown,
            caps=await self.driver.capabilities_of(shown),
            lib=str(self.driver.places.lib),
            settings=self.driver.settings,
            id=self.id,
            nodes=max((int(number[1]) for number in numbers if number), default=0),
        )

    # ---- going

    async def _unplug(self, device: Element) -> None:
        """Ask the guest to let go of a device, and wait a while for it."""
        alias = getattr(device, "alias", None)
        if not alias:
            raise OperationUnsupported(f"live detach of device '{device.TAG}' is not supported", domain=QEMU)
        gone = self.unplugging[alias] = asyncio.Event()
        try:
            await self.running().monitor.execute("device_del", {"id": alias})
            async with asyncio.timeout(LET_GO):
                await gone.wait()
        except TimeoutError:
            pass  # it may go later: the event will tell
        finally:
            self.unplugging.pop(alias, None)

    def device_gone(self, alias: str) -> None:
        """The guest has let go of a device."""
        self.driver.background(self._release(alias))

    async def _release(self, alias: str) -> None:
        """Take back what a device that is gone was connected to, and forget it."""
        from . import plug

        live = self.live
        device = devicelist.by_alias(live, alias) if live is not None else None
        if live is None or device is None or self.guest is None:
            return
        context = await self._context(live)
        done = [step for step in plug.steps(plug.parts_of(device, context)) if step.command != "device_add"]
        await plug.take(self.guest.monitor, done)
        await self.disconnect(alias)
        for value in live.devices.__dict__.values():
            if isinstance(value, list) and any(each is device for each in value):
                value[:] = [each for each in value if each is not device]
        self.driver.security.gone(self, live, device)
        self.record()
        self.driver.events.emit(Domain.device_removed, self, alias)
        if alias in self.unplugging:
            self.unplugging[alias].set()

    # ---- changing

    async def _update(self, live: DomainXML, xml: str, *, force: bool) -> None:
        device, into = self.parse_device(xml)
        twins.check_live(device, "update")
        if isinstance(device, Disk):
            old = next((disk for disk in devicelist.of(live, Disk) if disk.target == device.target), None)
            if old is None:
                raise InternalError(f"disk '{device.target}' not found", domain=QEMU)
            await self._change_medium(old, device, force=force)
        elif isinstance(device, Interface):
            card = self.find_device(live, device, into)
            assert isinstance(card, Interface)
            twins.check_card(card, device)
            up = device.link != "down"
            await self.running().monitor.execute("set_link", {"name": card.alias, "up": up})
            card.link = device.link
        self.record()

    async def _change_medium(self, old: Disk, new: Disk, *, force: bool) -> None:
        """Open the drive, put another medium in, close it."""
        from . import plug

        if (new.bus or old.bus) != old.bus or new.device != old.device:
            raise OperationUnsupported("cannot modify field 'bus' of the disk", domain=QEMU)
        if old.device not in ("cdrom", "floppy"):
            if disk_path(old) != disk_path(new):
                raise ConfigUnsupported("disk source can be changed only in removable drives", domain=QEMU)
            return
        assert self.live
        monitor = self.running().monitor
        context = await self._context(self.live)
        out = [] if old.empty else list(plug.steps(plug.chain(old, context).parts))
        changed = old.copy()
        changed.type, changed.source, changed.backing = new.type, new.source, new.backing
        if new.driver is not None:
            changed.driver = new.driver
        chain = None if changed.empty else plug.chain(changed, context)
        with self.driver.security.giving(self, self.live, [changed]):
            await self._open_tray(str(old.alias), force=force)
            await monitor.execute("blockdev-remove-medium", {"id": old.alias})
            await plug.take(monitor, out)
            if chain is not None:
                await plug.bring(monitor, list(plug.steps(chain.parts)))
                await monitor.execute("blockdev-insert-medium", {"id": old.alias, "node-name": chain.top})
        await monitor.execute("blockdev-close-tray", {"id": old.alias})
        disks = self.live.devices.disks
        disks[next(i for i, disk in enumerate(disks) if disk is old)] = changed
        self.driver.security.gone(self, self.live, old)

    async def _open_tray(self, alias: str, *, force: bool) -> None:
        """Have the drive opened; a guest that has locked it may do so itself within some seconds."""
        monitor = self.running().monitor
        await monitor.execute("blockdev-open-tray", {"id": alias, "force": force})
        for _ in range(100):
            blocks = await monitor.execute("query-block")
            if next((b.get("tray_open", True) for b in blocks if b.get("qdev") == alias), True):
                return
            await asyncio.sleep(0.05)
        raise OperationInvalid("timed out waiting for disk tray status update", domain=QEMU)

    # ---- finding

    def find_device(self, shown: DomainXML, device: Element, into: str) -> Element:
        """The device that another one speaks of. DeviceMissing."""
        here = getattr(shown.devices, into)
        twin = twins.same(here if isinstance(here, list) else [here], device)
        if twin is None:
            raise twins.missing(device)
        return twin

    def may_come(self, live: DomainXML, device: Element) -> None:
        """Refuse what is there already."""
        if isinstance(device, Disk):
            for disk in devicelist.of(live, Disk):
                if disk.target == device.target:
                    sources = f"'{disk_path(disk)}' and '{disk_path(device)}'"
                    raise XMLError(f"target '{disk.target}' duplicated for disk sources {sources}", domain=c.VIR_FROM_DOMAIN)  # fmt: skip  # noqa: E501
        if isinstance(device, Controller) and any(
            device.type == each.type and device.index == each.index for each in devicelist.of(live, Controller)
        ):
            raise InvalidArg(f"target {device.type}:{device.index} already exists", domain=QEMU)


def _take_in(live: DomainXML, added: Device, wanted: DomainXML) -> None:
    """Put a device of the completed configuration into the running one, of which nothing else is to change."""
    for name, value in wanted.devices.__dict__.items():
        if isinstance(value, list) and any(each is added for each in value):
            getattr(live.devices, name).append(added)
    if isinstance(added, Disk):
        keep_sorted(live, added)


def _name_apart(new: list[Any], taken: list[str | None]) -> None:
    """Give new devices names that no device has: a number may have become free in the middle."""
    used = set(taken)
    for device in new:
        stem = str(device.alias or device.TAG)
        found = re.fullmatch(r"(\D+)(\d+)", stem)
        number = int(found[2]) if found else 0
        while device.alias in used and found:
            number += 1
            device.alias = f"{found[1]}{number}"
        used.add(device.alias)
