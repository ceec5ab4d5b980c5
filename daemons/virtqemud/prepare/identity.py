"""What every device may carry: a name of the user's choice, a ROM, boot parameters."""

import re

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.devices.device import USER_ALIAS
from splitvirt.xml.devices.hostdev import Hostdev
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

from .addresses import every


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Drop names that are none and ROMs of devices that have none."""
    for device in every(domain.devices):
        alias = device.alias
        if alias is not None and alias.startswith(USER_ALIAS) and not re.fullmatch("[a-zA-Z0-9_-]+", alias):
            device.alias = None
        if not isinstance(device, Interface | Hostdev):
            device.rom_enabled = device.rom_bar = device.rom_file = None


def check(domain: Domain, caps: Capabilities) -> None:
    """Raise ConfigUnsupported for names used twice, InternalError for boot parameters of unknown letters."""
    seen: set[str] = set()
    for device in every(domain.devices):
        device.boot_loadparm = device.boot_loadparm and device.boot_loadparm.upper()
        if device.boot_loadparm is not None and not re.fullmatch("[a-zA-Z0-9. ]{0,8}", device.boot_loadparm):
            raise InternalError(
                f"invalid loadparm value '{device.boot_loadparm}', "
                "expecting chars in set of [a-zA-Z0-9.] and blank spaces"
            )
        if device.rom_enabled is False and (device.rom_bar is not None or device.rom_file is not None):
            raise ConfigUnsupported("ROM tuning is not supported when ROM is disabled")
        alias = device.alias if device.alias and device.alias.startswith(USER_ALIAS) else None
        if alias is None or device in domain.devices.consoles[:1]:  # which is the first serial port
            continue
        if alias in seen:
            raise ConfigUnsupported(f"non unique alias detected: {alias}")
        seen.add(alias)
