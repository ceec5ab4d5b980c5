"""`<smartcard>`: the host's card reader, certificates from its database, or a card at a character device."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Node, attr, text, texts


class Smartcard(Chardev, Device, tag="smartcard"):
    """A smart card; `certificates` are three names, `type` and what follows it only for passthrough."""

    mode: Literal["host", "host-certificates", "passthrough"] = attr(
        order=-2,
        missing=lambda: XMLError("missing smartcard device mode"),
        wrong=lambda raw: XMLError(f"unknown smartcard device mode: {raw}"),
    )
    certificates: list[str] = texts("certificate")
    database: str | None = text()

    def check(self, node: Node) -> None:
        if self.mode == "passthrough":
            if self.type is None:
                raise XMLError("passthrough mode requires a character device type attribute")
            self.tidy()
        elif self.mode == "host-certificates" and len(self.certificates) != 3:
            raise XMLError("host-certificates mode needs exactly three certificates")

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
