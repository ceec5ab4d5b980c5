"""`<memballoon>`: the device by which the host takes memory back from a running guest."""

from typing import Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import OnOff, Unsigned, attr, child


class Memballoon(Device, tag="memballoon"):
    """A balloon; `stats_period` in seconds."""

    model: Literal["virtio", "virtio-transitional", "virtio-non-transitional", "xen", "none"] = attr(
        missing=lambda: XMLError("balloon memory must contain model name"),
        wrong=lambda raw: XMLError(f"unknown memory balloon model '{raw}'"),
    )
    autodeflate: OnOff | None = attr()
    free_page_reporting: OnOff | None = attr("@freePageReporting")
    stats_period: Unsigned | None = attr("stats/@period")
    driver: VirtioOptions | None = child(last=True)
