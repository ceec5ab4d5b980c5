"""`<panic>`: the device by which a guest reports that its kernel has crashed."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import attr


class Panic(Device, tag="panic"):
    """A panic device; which model is the default depends on the architecture."""

    model: Literal["isa", "pseries", "hyperv", "s390"] | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown panic model '{raw}'")
    )
