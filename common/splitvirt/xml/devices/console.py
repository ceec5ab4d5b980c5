"""`<console>`: a paravirtual console, or the first serial port seen as one."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.chardev import Backend, Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import LIVE, Signed, attr

TargetType = Literal["xen", "serial", "uml", "virtio", "lxc", "openvz", "sclp", "sclplm"]


class Console(Chardev, Device, tag="console"):
    """A console; `tty` repeats the path of its pty for old clients."""

    type: Backend | None = attr(
        order=-1, default="pty",
        wrong=lambda raw: ConfigUnsupported(f"unknown type presented to host for character device: {raw}"),
    )  # fmt: skip
    tty: str | None = attr(order=-1, mode=LIVE)
    target_type: TargetType | None = attr(
        "target/@type",
        wrong=lambda raw: ConfigUnsupported(f"unknown target type '{raw}' specified for character device"),
    )
    target_port: Signed | None = attr("target/@port", wrong=lambda raw: XMLError(f"Invalid port number: {raw}"))

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
