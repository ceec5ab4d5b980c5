"""`<crypto>`: a virtio crypto accelerator."""

from typing import Literal

from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import Positive, attr, child


class Crypto(Device, tag="crypto"):
    """A crypto device and the host's provider behind it."""

    model: Literal["virtio"] = attr()
    type: Literal["qemu"] = attr()
    backend_model: Literal["builtin", "lkcf"] = attr("backend/@model")
    backend_queues: Positive | None = attr("backend/@queues")
    driver: VirtioOptions | None = child()
