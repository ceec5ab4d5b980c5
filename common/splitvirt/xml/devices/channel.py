"""`<channel>`: a private wire between host and guest: virtio ports, the agent, forwarded connections."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import LIVE, Unsigned, attr


class Channel(Chardev, Device, tag="channel"):
    """A channel; `target_state` tells whether the guest has its end open."""

    target_type: Literal["virtio", "guestfwd", "xen"] = attr(
        "target/@type",
        missing=lambda: XMLError("target type must be specified for channel device"),
        wrong=lambda raw: XMLError(f"unknown target type '{raw}' specified for character device"),
    )
    target_name: str | None = attr("target/@name")
    target_address: str | None = attr("target/@address")
    target_port: Unsigned | None = attr("target/@port", wrong=lambda raw: XMLError(f"Invalid port number: {raw}"))
    target_state: Literal["connected", "disconnected"] | None = attr("target/@state", mode=LIVE)

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
