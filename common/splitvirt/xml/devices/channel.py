"""`<channel>`: a private wire between host and guest: virtio ports, the agent, forwarded connections."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Literal, Self

from splitvirt.api.errors import ConfigUnsupported, SystemError_, XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import LIVE, Node, Unsigned, attr


class Channel(Chardev, Device, tag="channel"):
    """A channel; `target_state` (connected, disconnected) tells whether the guest has its end open."""

    target_type: Literal["none", "virtio", "guestfwd", "xen"] = attr(
        "target/@type",
        missing=lambda: XMLError("target type must be specified for channel device"),
        wrong=lambda raw: ConfigUnsupported(f"unknown target type '{raw}' specified for character device"),
    )
    target_name: str | None = attr("target/@name")
    target_address: str | None = attr("target/@address")
    target_port: Unsigned | None = attr("target/@port")
    target_state: str | None = attr("target/@state", mode=LIVE)

    def needs_source(self) -> bool:
        return not (self.type == "unix" and self.target_type == "virtio")  # the driver has a folder for those

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        target = node.find("target")
        if target is not None and "type" not in target.attrs:
            raise ConfigUnsupported("unknown target type '(null)' specified for character device")
        return super().parse(node, lost)

    def check(self, node: Node) -> None:
        super().check(node)
        if self.target_type == "guestfwd":
            self.check_forward()
        if self.target_type == "none":
            self.target_name = None

    def check_forward(self) -> None:
        """Raise VirtError unless the guest's side is an IPv4 address and a port."""
        if self.target_address is None:
            raise XMLError("guestfwd channel does not define a target address")
        try:
            address = ip_address(self.target_address)
        except ValueError:
            raise SystemError_(
                f"Cannot parse socket address '{self.target_address}': Name or service not known"
            ) from None
        if address.version != 4:
            raise ConfigUnsupported("guestfwd channel only supports IPv4 addresses")
        if self.target_port is None:
            raise XMLError("Missing required attribute 'port' in element 'target'")

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
