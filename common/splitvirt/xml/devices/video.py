"""`<video>`: an emulated graphics card."""

from typing import Annotated, Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.element import Choice, Node, OnlyYes, OnOff, Unsigned, YesNo, attr, child
from splitvirt.xml.forms import lenient

VideoModel = Literal[
    "default", "vga", "cirrus", "vmvga", "xen", "vbox", "qxl", "parallels", "virtio", "gop", "none", "bochs", "ramfb"
]


class VideoDriver(VirtioOptions, tag="driver", hide_empty=True):
    """QEMU's own emulation or a vhost-user process."""

    name: Literal["qemu", "vhostuser"] | None = attr(last=True)
    vgaconf: Annotated[str, lenient(Choice("io", "on", "off"))] | None = attr(last=True, omit="io")


class Video(Device, tag="video"):
    """A graphics card; memory sizes in KiB."""

    driver: VideoDriver | None = child()
    model: VideoModel | None = attr(
        "model/@type", blank=True, wrong=lambda raw: ConfigUnsupported(f"unknown video model '{raw}'")
    )
    ram: Unsigned | None = attr(
        "model/@ram", omit=0, blank=True, wrong=lambda raw: XMLError(f"cannot parse video ram '{raw}'")
    )
    vram: Unsigned | None = attr(
        "model/@vram", omit=0, blank=True, wrong=lambda raw: XMLError(f"cannot parse video vram '{raw}'")
    )
    vram64: Unsigned | None = attr(
        "model/@vram64", omit=0, blank=True, wrong=lambda raw: XMLError(f"cannot parse video vram64 '{raw}'")
    )
    vgamem: Unsigned | None = attr(
        "model/@vgamem", omit=0, blank=True, wrong=lambda raw: XMLError(f"cannot parse video vgamem '{raw}'")
    )
    heads: Unsigned | None = attr(
        "model/@heads", omit=0, blank=True, wrong=lambda raw: InternalError(f"cannot parse video heads '{raw}'")
    )
    primary: OnlyYes | None = attr("model/@primary", omit=False)
    blob: OnOff | None = attr("model/@blob")
    accel3d: YesNo | None = attr("model/acceleration/@accel3d")
    accel2d: YesNo | None = attr("model/acceleration/@accel2d")
    rendernode: str | None = attr("model/acceleration/@rendernode")
    resolution_x: Unsigned | None = attr("model/resolution/@x", needed=True)
    resolution_y: Unsigned | None = attr("model/resolution/@y", needed=True)

    def check(self, node: Node) -> None:
        """What is asked of a card's picture must say something."""
        model = node.find("model")
        if (
            model is not None
            and model.find("acceleration") is not None
            and (self.accel2d, self.accel3d) == (None, None)
        ):
            raise ConfigUnsupported("missing values for acceleration")
        if self.resolution_x is not None:
            if not self.resolution_x or not self.resolution_y:
                raise ConfigUnsupported("video resolution values must be greater than 0")
            if self.model not in RESOLUTIONS | NO_QEMU:
                raise XMLError("model resolution is not supported")


RESOLUTIONS = frozenset((None, "vga", "qxl", "virtio", "bochs"))
"""Models whose first picture's size can be chosen."""
NO_QEMU = frozenset(("none", "xen", "vbox", "gop", "parallels"))
"""Models of which there is more to say than that."""
