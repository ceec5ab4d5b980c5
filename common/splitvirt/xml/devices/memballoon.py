"""`<memballoon>`: the device by which the host takes memory back from a running guest."""

from typing import Literal

from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import OnOff, Signed, attr, child


class Memballoon(Device, tag="memballoon"):
    """A balloon; `stats_period` in seconds."""

    model: Literal["virtio", "virtio-transitional", "virtio-non-transitional", "xen", "none"] = attr()
    autodeflate: OnOff | None = attr()
    free_page_reporting: OnOff | None = attr("@freePageReporting")
    stats_period: Signed | None = attr("stats/@period", omit=0)
    driver: VirtioOptions | None = child(last=True)
