"""`<watchdog>`: resets or stops a guest that no longer feeds it."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import attr


class Watchdog(Device, tag="watchdog"):
    """A watchdog and what happens when it bites."""

    model: Literal["i6300esb", "ib700", "diag288"] = attr(
        missing=lambda: InternalError("watchdog must contain model name"),
        wrong=lambda raw: ConfigUnsupported(f"unknown watchdog model '{raw}'"),
    )
    action: Literal["reset", "shutdown", "poweroff", "pause", "dump", "none", "inject-nmi"] = attr(
        default="reset", wrong=lambda raw: ConfigUnsupported(f"unknown watchdog action '{raw}'")
    )
