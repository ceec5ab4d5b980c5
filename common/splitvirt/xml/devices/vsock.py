"""`<vsock>`: sockets between host and guest, addressed by context id."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import Node, Positive, YesNo, attr, child


class Vsock(Device, tag="vsock"):
    """A vsock device; with `cid_auto` the driver picks `cid` at start."""

    model: VirtioModel = attr(default="virtio")
    cid_auto: YesNo | None = attr("cid/@auto")
    cid: Positive | None = attr("cid/@address")
    driver: VirtioOptions | None = child(last=True)

    def check(self, node: Node) -> None:
        """Automatic unless an address was given."""
        if self.cid is not None and self.cid < 3:
            raise ConfigUnsupported("guest CIDs must be >= 3")
        if self.cid_auto is None:
            self.cid_auto = self.cid is None
