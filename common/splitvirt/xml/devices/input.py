"""`<input>`: keyboards, mice, tablets, and the host's own through evdev."""

from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.devices.device import Device, VirtioOptions
from splitvirt.xml.devices.virtio import VirtioModel
from splitvirt.xml.element import Node, OnOff, attr, child


class Input(Device, tag="input"):
    """An input device; `bus` follows from the machine where it is not given."""

    type: Literal["mouse", "tablet", "keyboard", "passthrough", "evdev"] = attr(
        missing=lambda: InternalError("missing input device type"),
        wrong=lambda raw: ConfigUnsupported(f"unknown input device type '{raw}'"),
    )
    bus: Literal["ps2", "usb", "xen", "parallels", "virtio", "none"] | None = attr(
        wrong=lambda raw: ConfigUnsupported(f"unknown input bus type '{raw}'")
    )
    model: VirtioModel | None = attr()
    driver: VirtioOptions | None = child()
    source_evdev: str | None = attr("source/@evdev", when="passthrough")
    source_dev: str | None = attr("source/@dev", when="evdev")
    grab: Literal["all"] | None = attr("source/@grab", when="evdev")
    grab_toggle: Literal["ctrl-ctrl", "alt-alt", "shift-shift", "meta-meta", "scrolllock", "ctrl-scrolllock"] | None = (
        attr("source/@grabToggle", when="evdev")
    )
    repeat: OnOff | None = attr("source/@repeat", when="evdev")

    def check(self, node: Node) -> None:
        needed = node.find("source") is not None and self.type in ("evdev", "passthrough")
        if needed and self.source_dev is None and self.source_evdev is None:
            raise XMLError("Missing evdev path for input device")
        if self.driver == VirtioOptions():
            self.driver = None
