"""Which device of a configuration another one speaks of, and which may come, leave or change in it."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    ConfigUnsupported,
    DeviceMissing,
    InvalidArg,
    OperationFailed,
    OperationInvalid,
    OperationUnsupported,
    VirtError,
)
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.controller import Controller
from splitvirt.xml.devices.device import Device
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.filesystem import Filesystem
from splitvirt.xml.devices.graphics import Graphics
from splitvirt.xml.devices.hostdev import Hostdev
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.lease import Lease
from splitvirt.xml.devices.memory import MemoryDevice
from splitvirt.xml.devices.parallel import Parallel
from splitvirt.xml.devices.redirdev import Redirdev
from splitvirt.xml.devices.rng import Rng
from splitvirt.xml.devices.serial import Serial
from splitvirt.xml.devices.shmem import Shmem
from splitvirt.xml.devices.watchdog import Watchdog
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.element import Element

QEMU = c.VIR_FROM_QEMU
KEYS: dict[type[Element], tuple[str, ...]] = {
    Disk: ("target",),
    Controller: ("type", "index"),
    Filesystem: ("target",),
    Graphics: ("type",),
}
"""What tells devices of a kind apart; most others are told apart by all that is said of them."""

FOR_GOOD = frozenset(
    ("graphics", "video", "memballoon", "tpm", "panic", "hub", "smartcard", "nvram", "audio", "iommu")
)  # fmt: skip
"""Kinds that come and leave with a whole new definition only, as with libvirt."""
CHANGEABLE = (Disk, Interface, Graphics, MemoryDevice)
PLUGGABLE = (
    Disk, Interface, Controller, Hostdev, Input, Lease, MemoryDevice, Redirdev, Rng, Shmem, Watchdog,
    Channel, Console, Parallel, Serial,
)  # fmt: skip
"""What comes and goes while a guest runs."""
SOURCES = ("type", "network", "bridge", "source_dev", "mode", "source_address", "source_port", "path", "portgroup")
"""What says where a card is plugged in."""
NAMES = {"filesystem": "fs", "serial": "chr", "parallel": "chr", "console": "chr", "channel": "chr"}


def check_kept(device: Element, what: str) -> None:
    """OperationUnsupported unless kept devices of the kind are attached, detached ("attach", "detach") or changed."""
    tag = device.TAG
    supported = isinstance(device, CHANGEABLE) if what == "update" else tag not in FOR_GOOD
    if not supported:
        words = f"persistent {what} of device '{NAMES.get(tag, tag)}' is not supported"
        raise OperationUnsupported(words, domain=QEMU)
    if isinstance(device, Console) and device.target_type == "serial":
        if what == "attach":
            raise OperationUnsupported("attaching serial console is not supported", domain=QEMU)
        raise OperationInvalid("detaching serial console is not supported", domain=QEMU)


def check_live(device: Element, what: str) -> None:
    """VirtError unless a guest that runs can take such a device ("attach"), let go of it ("detach") or change it."""
    tag = device.TAG
    error: VirtError | None = None
    match device:
        case _ if what == "update" and not isinstance(device, Disk | Interface):
            words = f"live update of device '{'chr' if NAMES.get(tag) == 'chr' else tag}' is not supported"
            error = ConfigUnsupported(words, domain=QEMU)
        case _ if what != "update" and not isinstance(device, PLUGGABLE):
            error = OperationUnsupported(f"live {what} of device '{tag}' is not supported", domain=QEMU)
        case Disk(device="floppy") if what == "attach":
            error = OperationUnsupported("floppy device hotplug isn't supported", domain=QEMU)
        case Disk(transient=True) if what == "attach":
            error = ConfigUnsupported("transient disk not supported by this QEMU binary", domain=QEMU)
        case Controller() if device.type != "scsi":
            how = "plugged" if what == "attach" else "unplugged"
            error = OperationUnsupported(f"'{device.type}' controller cannot be hot {how}.", domain=QEMU)
        case Input(bus=str(bus)) if bus not in ("usb", "virtio"):
            how = "hot plugged." if what == "attach" else "detached"
            error = OperationUnsupported(f"input device on bus '{bus}' cannot be {how}", domain=QEMU)
        case Watchdog(model=str(model)) if model != "i6300esb" and what == "attach":
            error = OperationUnsupported(f"hotplug of watchdog of model {model} is not supported", domain=QEMU)
        case Console(target_type="serial") if what == "attach":
            error = ConfigUnsupported("unsupported console target type serial", domain=QEMU)
    if error is not None:
        raise error


def check_card(card: Interface, wanted: Interface) -> None:
    """OperationUnsupported for changes of a card that its guest would have to be restarted for."""
    if card.mac != wanted.mac:
        words = f"cannot change network interface mac address from {card.mac} to {wanted.mac or '(null)'}"
        raise OperationUnsupported(words, domain=QEMU)
    if (card.model or "rtl8139") != (wanted.model or "rtl8139"):
        words = f"cannot modify network device model from {card.model} to {wanted.model}"
        raise OperationUnsupported(words, domain=QEMU)
    for name in SOURCES:
        if getattr(card, name) != getattr(wanted, name):
            raise OperationUnsupported(f"unable to change config on '{wanted.type}' network type", domain=QEMU)


def check_new(config: DomainXML, among: list[Any], device: Element) -> None:
    """Raise VirtError for a device that is there already, or of which there can be but one."""
    match device:
        case Disk() | Controller() | Filesystem():
            there = _twin(among, device) is not None
        case Interface():
            there = False
        case Serial() | Parallel() | Console() | Channel():
            there = same(among, device) is not None
        case Shmem() | Hostdev():
            there = any(_alike(each, device) for each in among)
        case Lease():
            there = any((each.key, each.lockspace) == (device.key, device.lockspace) for each in among)
        case Watchdog():
            there = bool(among)
        case MemoryDevice():
            _check_memory(config, device)
            there = False
        case _:
            there = False
    if there:
        raise _there(device)


def _check_memory(config: DomainXML, device: MemoryDevice) -> None:
    most, size = config.max_memory or 0, device.size
    if most and (config.memory or 0) + size > most:
        words = f"Attaching memory device with size '{size}' would exceed domain's maxMemory config size '{most}'"
        raise ConfigUnsupported(words, domain=c.VIR_FROM_DOMAIN)


def same(among: list[Any], device: Element) -> Element | None:
    """The device that another one speaks of: by what tells its kind apart, else by nothing that contradicts.

    OperationFailed for a network card that is not the only one which it may mean.
    """
    if isinstance(device, Interface):
        return _card(among, device)
    if isinstance(device, Serial | Parallel | Console) and device.target_port is None:
        return None  # a number that was not given is none of those that are there
    if any(isinstance(device, kind) for kind in KEYS):
        return _twin(among, device)
    found: list[Element] = [twin for twin in among if twin is not None and _alike(twin, device)]
    return found[0] if found else None


def _card(among: list[Any], device: Interface) -> Element | None:
    wanted = {name: getattr(device, name) for name in ("mac", "address", "alias") if getattr(device, name)}
    found: list[Element] = [
        card for card in among if all(getattr(card, name) == value for name, value in wanted.items())
    ]
    if len(found) > 1:
        if device.mac:
            raise OperationFailed(f"multiple devices matching MAC address {device.mac} found", domain=c.VIR_FROM_DOMAIN)
        raise OperationFailed("multiple matching devices found", domain=c.VIR_FROM_DOMAIN)
    return found[0] if found else None


def _twin(among: list[Any], device: Element) -> Element | None:
    """The device of the same kind with the same key."""
    fields = next(keys for kind, keys in KEYS.items() if isinstance(device, kind))
    key = [getattr(device, field, None) for field in fields]
    alike: list[Element] = [twin for twin in among if twin is not None and twin.TAG == device.TAG]
    return next((twin for twin in alike if [getattr(twin, field, None) for field in fields] == key), None)


def _alike(twin: Element, device: Element) -> bool:
    """Whether a device says nothing that its twin contradicts."""
    said = {name: value for name, value in device.__dict__.items() if value not in (None, [], False)}
    return twin.TAG == device.TAG and all(_agree(getattr(twin, name, None), value) for name, value in said.items())


def _agree(ours: Any, said: Any) -> bool:
    return _alike(ours, said) if isinstance(ours, Element) and isinstance(said, Element) else bool(ours == said)


def _there(device: Element) -> VirtError:
    match device:
        case Disk():
            words = f"target {device.target} already exists"
        case Controller():
            words = f"controller index='{device.index}' already exists"
        case Filesystem():
            words = "Target already exists"
        case Serial() | Parallel() | Console() | Channel():
            words = "chardev already exists"
        case Lease():
            words = f"Lease {device.key} in lockspace {device.lockspace or '(null)'} already exists"
        case Watchdog():
            words = "domain already has a watchdog"
        case _:
            words = "device is already in the domain configuration"
    return OperationInvalid(words, domain=QEMU)


def missing(device: Element, *, kept: bool = False) -> VirtError:
    """The error for a device that is not there: in what runs, or in the kept configuration."""
    match device:
        case Interface():
            at, mac, alias = (str(value or "(<null>)") for value in (device.address, device.mac, device.alias))
            words = f"no device found at address '{at}' matching MAC address '{mac}' and alias '{alias}'"
            return DeviceMissing(words, domain=c.VIR_FROM_DOMAIN)
        case Disk():
            words = f"no target device {device.target}" if kept else f"disk {device.target} not found"
        case Serial() | Parallel() | Console() | Channel() if kept:
            return InvalidArg("device not present in domain configuration", domain=QEMU)
        case Controller() | Hostdev() if kept:
            words = "device not present in domain configuration"
        case MemoryDevice():
            live_words = f"model '{device.model}' memory device not present in the domain configuration"
            words = "matching memory device was not found" if kept else live_words
        case Serial() | Parallel() | Console() | Channel():
            words = f"chr type '{device.TAG}' device not present in domain configuration"
        case Watchdog() if not kept:
            words = "watchdog device not present in domain configuration"
        case Shmem() if not kept:
            words = f"model '{device.model}' shmem device not present in domain configuration"
        case Controller():
            words = f"controller {device.type}:{-1 if device.index is None else device.index} not found"
        case Device() if device.TAG == "redirdev":
            words = "no matching redirdev was not found"
        case Device() if device.TAG == "rng":
            kind = {"RandomBackend": "random", "EgdBackend": "egd"}.get(type(getattr(device, "backend", None)).__name__)
            words = f"model '{kind or 'builtin'}' RNG device not present in domain configuration"
        case _:
            words = f"matching {device.TAG} device not found"
    return DeviceMissing(words, domain=QEMU)


def unchanged(device: Element) -> VirtError:
    """The error for a device that is to be changed in the kept configuration and is not there."""
    match device:
        case Disk():
            return InvalidArg(f"target {device.target} doesn't exist.", domain=QEMU)
        case Graphics():
            words = f"cannot find existing graphics type '{device.type}' device to modify"
            return InvalidArg(words, domain=QEMU)
        case MemoryDevice():
            return InvalidArg("memory not found", domain=QEMU)
    return missing(device, kept=True)
