"""`<parallel>`: a parallel port."""

from collections.abc import Mapping
from typing import Any

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Signed, attr


class Parallel(Chardev, Device, tag="parallel"):
    """A parallel port."""

    target_type: str | None = attr("target/@type")
    target_port: Signed | None = attr("target/@port", wrong=lambda raw: XMLError(f"Invalid port number: {raw}"))

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
