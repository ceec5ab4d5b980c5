"""`<video>`: an emulated graphics card."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import Node, OnOff, Positive, Unsigned, YesNo, attr, child

VideoModel = Literal[
    "default", "vga", "cirrus", "vmvga", "xen", "vbox", "qxl", "parallels", "virtio", "gop", "none", "bochs", "ramfb"
]


class VideoDriver(VirtioOptions, tag="driver", hide_empty=True):
    """QEMU's own emulation or a vhost-user process."""

    name: Literal["qemu", "vhostuser"] | None = attr(last=True)
    vgaconf: Literal["io", "on", "off"] | None = attr(last=True)


class Video(Device, tag="video"):
    """A graphics card; memory sizes in KiB."""

    driver: VideoDriver | None = child()
    model: VideoModel | None = attr("model/@type", wrong=lambda raw: ConfigUnsupported(f"unknown video model '{raw}'"))
    ram: Unsigned | None = attr("model/@ram", omit=0, wrong=lambda raw: XMLError(f"cannot parse video ram '{raw}'"))
    vram: Unsigned | None = attr("model/@vram", omit=0, wrong=lambda raw: XMLError(f"cannot parse video vram '{raw}'"))
    vram64: Unsigned | None = attr(
        "model/@vram64", omit=0, wrong=lambda raw: XMLError(f"cannot parse video vram64 '{raw}'")
    )
    vgamem: Unsigned | None = attr(
        "model/@vgamem", omit=0, wrong=lambda raw: XMLError(f"cannot parse video vgamem '{raw}'")
    )
    heads: Unsigned | None = attr(
        "model/@heads", omit=0, wrong=lambda raw: InternalError(f"cannot parse video heads '{raw}'")
    )
    primary: YesNo | None = attr("model/@primary", omit=False)
    blob: OnOff | None = attr("model/@blob")
    accel3d: YesNo | None = attr("model/acceleration/@accel3d")
    accel2d: YesNo | None = attr("model/acceleration/@accel2d")
    rendernode: str | None = attr("model/acceleration/@rendernode")
    resolution_x: Positive | None = attr("model/resolution/@x")
    resolution_y: Positive | None = attr("model/resolution/@y")

    def check(self, node: Node) -> None:
        for name, value in (("x", self.resolution_x), ("y", self.resolution_y)):
            if value is None and (self.resolution_x or self.resolution_y):
                raise XMLError(f"Missing required attribute '{name}' in element 'resolution'")
