"""`<hub>`: a USB hub with eight ports."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import attr


class Hub(Device, tag="hub"):
    """A hub."""

    type: Literal["usb"] = attr(
        missing=lambda: InternalError("missing hub device type"),
        wrong=lambda raw: ConfigUnsupported(f"unknown hub device type '{raw}'"),
    )
