"""`<hub>`: a USB hub with eight ports."""

from typing import Literal

from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import attr


class Hub(Device, tag="hub"):
    """A hub."""

    type: Literal["usb"] = attr()
