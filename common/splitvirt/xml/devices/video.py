"""`<video>`: an emulated graphics card."""

from typing import Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import OnOff, Positive, Unsigned, YesNo, attr, child

VideoModel = Literal[
    "default", "vga", "cirrus", "vmvga", "xen", "vbox", "qxl", "parallels", "virtio", "gop", "none", "bochs", "ramfb"
]


class VideoDriver(VirtioOptions, tag="driver"):
    """QEMU's own emulation or a vhost-user process."""

    name: Literal["qemu", "vhostuser"] | None = attr(last=True)
    vgaconf: Literal["io", "on", "off"] | None = attr(last=True)


class Video(Device, tag="video"):
    """A graphics card; memory sizes in KiB."""

    driver: VideoDriver | None = child()
    model: VideoModel | None = attr(
        "model/@type", wrong=lambda raw: XMLError(f"Invalid value for attribute 'type' in element 'model': '{raw}'")
    )
    ram: Unsigned | None = attr("model/@ram", omit=0)
    vram: Unsigned | None = attr("model/@vram", omit=0)
    vram64: Unsigned | None = attr("model/@vram64", omit=0)
    vgamem: Unsigned | None = attr("model/@vgamem", omit=0)
    heads: Unsigned | None = attr("model/@heads", omit=0)
    primary: YesNo | None = attr("model/@primary", omit=False)
    blob: OnOff | None = attr("model/@blob")
    accel3d: YesNo | None = attr("model/acceleration/@accel3d")
    accel2d: YesNo | None = attr("model/acceleration/@accel2d")
    rendernode: str | None = attr("model/acceleration/@rendernode")
    resolution_x: Positive | None = attr("model/resolution/@x")
    resolution_y: Positive | None = attr("model/resolution/@y")
