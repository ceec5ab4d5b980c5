"""Devices of the kept configuration: as they will be at the next start."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    ConfigUnsupported,
    InternalError,
    OperationInvalid,
)
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.element import Element
from splitvirt.xml.node import Node, parse_node

from . import twins
from .base import DomainBase

QEMU = c.VIR_FROM_QEMU


class KeptDevices(DomainBase):
    """Changed copies of the kept configuration."""

    async def with_device(self, config: DomainXML, xml: str) -> DomainXML:
        """The configuration with one more device."""
        device, into = self.parse_device(xml)
        twins.check_kept(device, "attach")
        changed = config.copy()
        here = getattr(changed.devices, into)
        if isinstance(here, list):
            twins.check_new(changed, here, device)
            here.append(device)
        elif here is not None:
            raise OperationInvalid(f"domain already has a {device.TAG} device", domain=QEMU)
        else:
            setattr(changed.devices, into, device)
        await self._complete(changed)
        if isinstance(device, Disk):
            keep_sorted(changed, device)
        return changed

    async def without_device(self, config: DomainXML, xml: str) -> DomainXML:
        """The configuration without the device that another one speaks of."""
        changed = config.copy()
        device, into, twin = self._meant(changed, xml, "detach")
        if twin is None:
            raise twins.missing(device, kept=True)
        _put(changed.devices, into, twin, None)
        return await self._complete(changed)

    async def with_changed_device(self, config: DomainXML, xml: str) -> DomainXML:
        """The configuration with a device in the place of the one that it names."""
        changed = config.copy()
        device, into, twin = self._meant(changed, xml, "update")
        if twin is None:
            raise twins.unchanged(device)
        if isinstance(device, Device) and isinstance(twin, Device) and device.address is None:
            device.address = twin.address
        _put(changed.devices, into, twin, device)
        return await self._complete(changed)

    async def without_alias(self, config: DomainXML, alias: str) -> DomainXML:
        """The configuration without the device of that alias."""
        changed = config.copy()
        for name, value in list(changed.devices.__dict__.items()):
            inside = value if isinstance(value, list) else [value]
            for device in inside:
                if isinstance(device, Device) and device.alias == alias:
                    _put(changed.devices, name, device, None)
                    return await self._complete(changed)
        raise InternalError(f"no device found with alias {alias}", domain=QEMU)

    def parse_device(self, xml: str) -> tuple[Element, str]:
        """A device, and the field of `<devices>` that takes it. ConfigUnsupported for what is none."""
        node = parse_node(xml, "(device_definition)")
        inside = Node("devices", {}, 1)
        inside.children.append(node)
        for name, value in Devices.parse(inside).__dict__.items():
            found = value if isinstance(value, list) else [value]
            if found and isinstance(found[0], Element):
                return found[0], name
        raise ConfigUnsupported(f"unknown device type '{node.tag}'", domain=c.VIR_FROM_DOMAIN)

    def _meant(self, config: DomainXML, xml: str, what: str) -> tuple[Element, str, Element | None]:
        """A device, the field of `<devices>` that takes it, and the one there that it speaks of."""
        device, into = self.parse_device(xml)
        twins.check_kept(device, what)
        here = getattr(config.devices, into)
        return device, into, twins.same(here if isinstance(here, list) else [here], device)

    async def _complete(self, changed: DomainXML) -> DomainXML:
        from virtqemud.prepare import prepare

        prepare(
            changed,
            await self.driver.capabilities_of(changed),
            nvram=str(self.driver.places.nvram),
            spice_tls=self.driver.settings.spice_tls,
        )
        return changed


def keep_sorted(config: DomainXML, new: Disk) -> None:
    """Put a disk where libvirt does: behind the last one of its bus that its target follows."""
    disks = config.devices.disks = [disk for disk in config.devices.disks if disk is not new]
    same_bus = [i for i, disk in enumerate(disks) if disk.bus == new.bus]
    before = [i for i in same_bus if _order(disks[i]) < _order(new)]
    disks.insert(before[-1] + 1 if before else same_bus[0] if same_bus else len(disks), new)


def _put(devices: Devices, into: str, twin: Element, instead: Element | None) -> None:
    """Put a device in another's place; None takes that away."""
    here = getattr(devices, into)
    if isinstance(here, list):
        here[:] = [each if each is not twin else instead for each in here if each is not twin or instead is not None]
    else:
        setattr(devices, into, instead)


def _order(disk: Disk) -> tuple[int, str]:
    return len(disk.target or ""), disk.target or ""
