"""Serial ports, parallel ports, consoles and channels: targets, numbers, and the first serial port as a console."""

import re
from collections.abc import Sequence
from typing import Any

from splitvirt.xml.address import CcidAddress
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.console import Console
from splitvirt.xml.devices.parallel import Parallel
from splitvirt.xml.devices.serial import Serial
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .machine import is_x86

MODELS = {
    "isa-serial": "isa-serial",
    "usb-serial": "usb-serial",
    "pci-serial": "pci-serial",
    "isa-debug": "isa-debugcon",
}
BUILT_IN = (None, "isa-serial", "spapr-vio-serial", "system-serial", "sclp-serial")
"""Serial ports that a machine's firmware prints on, so that they are consoles."""
SHARED = ("type", "sources", "log_file", "log_append", "protocol")
"""What a console that is a serial port has in common with it."""


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in targets and their numbers, and make the first console and the first serial port one."""
    devices = domain.devices
    for i, console in enumerate(devices.consoles):
        console.target_port = i
    number(devices.serials)
    for i in range(len(devices.parallels)):
        number(devices.parallels[: i + 1])
    for serial in devices.serials:
        target(serial, domain)
    same_console(domain)
    for channel in devices.channels:
        forget_own_path(channel)
    for redirected in devices.redirdevs:
        if redirected.type == "dbus":
            redirected.source.channel = redirected.source.channel or "org.qemu.usbredir"
    slot = 0
    for card in devices.smartcards:
        if card.address is None:
            card.address = CcidAddress(controller=0, slot=slot)
            slot += 1


def number(ports: Sequence[Serial | Parallel]) -> None:
    """Give ports without a number the next after the highest."""
    for port in ports:
        if port.target_port is None or port.target_port < 0:
            port.target_port = max((p.target_port for p in ports if p.target_port is not None), default=-1) + 1


def target(serial: Serial, domain: Domain) -> None:
    """The kind of serial port that the machine has."""
    if serial.target_type is None and is_x86(domain):
        serial.target_type = "isa-serial"
    if serial.target_model is None:
        serial.target_model = MODELS.get(serial.target_type or "")  # type: ignore[assignment]


def same_console(domain: Domain) -> None:
    """The first serial port is also the first console, whichever of both is written."""
    devices = domain.devices
    for console in devices.consoles:
        console.target_type = console.target_type or "serial"
    first = devices.consoles[0] if devices.consoles else None
    if first is not None and first.target_type == "serial" and not devices.serials:
        port = Serial(target_port=0, alias=first.alias, acpi_index=first.acpi_index, **shared(first))
        devices.serials.append(port)
        target(port, domain)
    elif devices.serials and (first is None or first.target_type != "serial"):
        if devices.serials[0].target_type not in BUILT_IN:
            return
        first = Console(target_type="serial", type=devices.serials[0].type)
        devices.consoles.insert(0, first)
    if first is not None and first.target_type == "serial":
        replace(first, devices.serials[0])


def shared(port: Console | Serial) -> dict[str, Any]:
    """The host side of a port, copied."""
    twin = port.copy()
    return {name: value for name in SHARED if (value := getattr(twin, name)) is not None}


def replace(console: Console, serial: Serial) -> None:
    """Make a console show the same host side and number as a serial port."""
    twin = serial.copy()
    for name in SHARED:
        setattr(console, name, getattr(twin, name))
    console.alias, console.acpi_index = serial.alias, serial.acpi_index
    console.target_port = serial.target_port
    console.address = twin.address


def place_console(domain: Domain) -> None:
    """The console that is the first serial port is where that port is."""
    devices = domain.devices
    if devices.consoles and devices.serials and devices.consoles[0].target_type == "serial":
        replace(devices.consoles[0], devices.serials[0])


def forget_own_path(channel: Channel) -> None:
    """A socket that an earlier start put into the driver's own folder is no choice of the user's."""
    own = rf"/.*/channel/(target/[^/]+\.|domain-[^/]+/){re.escape(channel.target_name or '')}"
    for source in channel.sources if channel.type == "unix" and channel.target_type == "virtio" else ():
        if source.path and re.fullmatch(own, source.path):
            source.path = None
