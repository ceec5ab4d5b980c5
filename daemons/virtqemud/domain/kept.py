"""Devices of the kept configuration: as they will be at the next start."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    ConfigUnsupported,
    DeviceMissing,
    InternalError,
    InvalidArg,
    OperationInvalid,
    VirtError,
)
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.devices.controller import Controller
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.filesystem import Filesystem
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.element import Element
from splitvirt.xml.node import Node, parse_node

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU
KEYS: dict[type[Element], tuple[str, ...]] = {
    Disk: ("target",),
    Interface: ("mac",),
    Controller: ("type", "index"),
    Filesystem: ("target",),
}
"""What tells devices of a kind apart; others are told apart by all that is said of them."""


class KeptDevices(DomainBase):
    """Changed copies of the kept configuration."""

    async def with_device(self, config: DomainXML, xml: str) -> DomainXML:
        """The configuration with one more device."""
        device, into = self.parse_device(xml)
        changed = config.copy()
        here = getattr(changed.devices, into)
        if isinstance(here, list):
            if isinstance(device, Disk | Controller | Filesystem) and _twin(here, device) is not None:
                raise _there(device)
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
        device, into, twin = self._meant(changed, xml)
        if twin is None:
            raise missing(device)
        _put(changed.devices, into, twin, None)
        return await self._complete(changed)

    async def with_changed_device(self, config: DomainXML, xml: str) -> DomainXML:
        """The configuration with a device in the place of the one that it names."""
        changed = config.copy()
        device, into, twin = self._meant(changed, xml)
        if twin is None:
            if isinstance(device, Disk):
                raise InvalidArg(f"target {device.target} doesn't exist.", domain=QEMU)
            raise missing(device)
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

    def _meant(self, config: DomainXML, xml: str) -> tuple[Element, str, Element | None]:
        """A device, the field of `<devices>` that takes it, and the one there that it speaks of."""
        device, into = self.parse_device(xml)
        here = getattr(config.devices, into)
        return device, into, self.same(here if isinstance(here, list) else [here], device)

    def same(self, among: list[Any], device: Element) -> Element | None:
        """The device that another one speaks of: by what tells its kind apart, else by nothing that contradicts."""
        if any(isinstance(device, kind) for kind in KEYS):
            return _twin(among, device)
        found: list[Element] = [twin for twin in among if twin is not None and _alike(twin, device)]
        return found[0] if found else None

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


def _twin(among: list[Any], device: Element) -> Element | None:
    """The device of the same kind with the same key."""
    fields = next(keys for kind, keys in KEYS.items() if isinstance(device, kind))
    key = [getattr(device, field, None) for field in fields]
    same: list[Element] = [twin for twin in among if twin is not None and twin.TAG == device.TAG]
    return next((twin for twin in same if [getattr(twin, field, None) for field in fields] == key), None)


def _alike(twin: Element, device: Element) -> bool:
    """Whether a device says nothing that its twin contradicts."""
    said = {name: value for name, value in device.__dict__.items() if value not in (None, [], False)}
    return twin.TAG == device.TAG and all(_agree(getattr(twin, name, None), value) for name, value in said.items())


def _agree(ours: Any, said: Any) -> bool:
    return _alike(ours, said) if isinstance(ours, Element) and isinstance(said, Element) else bool(ours == said)


def _there(device: Element) -> VirtError:
    if isinstance(device, Disk):
        return OperationInvalid(f"target {device.target} already exists", domain=QEMU)
    return OperationInvalid(f"{device.TAG} is already in the domain configuration", domain=QEMU)


def missing(device: Element) -> VirtError:
    """The error for a device that is not there."""
    if isinstance(device, Interface):
        at, alias = (str(value) if value else "(<null>)" for value in (device.address, device.alias))
        words = f"no device found at address '{at}' matching MAC address '{device.mac}' and alias '{alias}'"
        return DeviceMissing(words, domain=c.VIR_FROM_DOMAIN)
    if isinstance(device, Disk):
        return DeviceMissing(f"disk {device.target} not found", domain=QEMU)
    if device.TAG == "rng":
        kind = {"RandomBackend": "random", "EgdBackend": "egd"}.get(type(getattr(device, "backend", None)).__name__)
        return DeviceMissing(f"model '{kind or 'builtin'}' RNG device not present in domain configuration", domain=QEMU)
    return DeviceMissing(f"matching {device.TAG} device not found", domain=QEMU)
