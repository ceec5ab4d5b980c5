"""`<vsock>`: sockets between host and guest, addressed by context id."""

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import Unsigned, YesNo, attr, child


class Vsock(Device, tag="vsock"):
    """A vsock device; with `cid_auto` the driver picks `cid` at start."""

    model: VirtioModel | None = attr(wrong=lambda raw: XMLError(f"unknown vsock model: {raw}"))
    cid_auto: YesNo | None = attr("cid/@auto")
    cid: Unsigned | None = attr("cid/@address")
    driver: VirtioOptions | None = child(last=True)
