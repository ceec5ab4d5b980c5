"""What character devices may not be: backends that need something else, ports on the wrong bus, in libvirt's words."""

from collections.abc import Iterator

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.channel import Channel
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.rng import EgdBackend
from splitvirt.xml.devices.serial import REQUIRED, Serial
from splitvirt.xml.domain import Domain

BUS_OF = {"isa-serial": "isa", "isa-debug": "isa", "usb-serial": "usb", "pci-serial": "pci"}
"""The kind of address that each kind of serial port has."""
ELSEWHERE = {"spapr-vio-serial": "spapr-vty", "system-serial": "pl011", "sclp-serial": "sclpconsole"}
"""Kinds of serial ports of other machines, and their models."""


def check(domain: Domain) -> None:
    """Raise ConfigUnsupported for the first that cannot be."""
    devices = domain.devices
    for port in (*devices.serials, *devices.parallels, *devices.consoles, *devices.channels):
        if port.type == "spicevmc" and not (isinstance(port, Channel) and port.target_type == "virtio"):
            raise ConfigUnsupported("spicevmc device type only supports virtio")
    spice = any(screen.type == "spice" for screen in devices.graphics)
    for chardev in every(domain):
        if chardev.type in ("spicevmc", "spiceport") and not spice:
            raise ConfigUnsupported(f"chardev '{chardev.type}' not supported without spice graphics")
    for serial in devices.serials:
        check_serial(serial)


def every(domain: Domain) -> Iterator[Chardev]:
    """All character devices whose backend libvirt looks at."""
    devices = domain.devices
    yield from (*devices.serials, *devices.parallels, *devices.channels, *devices.consoles)
    yield from (d for d in (*devices.redirdevs, *devices.smartcards) if isinstance(d, Chardev))
    yield from (rng.backend for rng in devices.rngs if isinstance(rng.backend, EgdBackend))


def check_serial(serial: Serial) -> None:
    """Machines and buses that have it."""
    kind = serial.target_type or ""
    belongs = REQUIRED.get(serial.target_model or "")
    if belongs and belongs != kind:
        raise ConfigUnsupported(f"Target model '{serial.target_model}' requires target type '{belongs}'")
    wanted = BUS_OF.get(kind)
    if wanted and serial.address is not None and serial.address.type != wanted:
        raise ConfigUnsupported(f"Target type '{kind}' requires address type '{wanted}'")
    if kind in ("spapr-vio-serial", "sclp-serial"):
        raise ConfigUnsupported(
            f"Serial device with target type '{kind}' and target model '{serial.target_model or ELSEWHERE[kind]}' "
            "not compatible with guest architecture or machine type"
        )
