"""`<smartcard>`: the host's card reader, certificates from its database, or a card at a character device."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.chardev import Backend, Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Node, attr, text, texts


class Smartcard(Chardev, Device, tag="smartcard"):
    """A smart card; `certificates` are three names, `type` and what follows it only for passthrough."""

    mode: Literal["host", "host-certificates", "passthrough"] = attr(order=-2)
    type: Backend | None = attr(
        order=-1,
        wrong=lambda raw: ConfigUnsupported(f"unknown type presented to host for character device: {raw}"),
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
        if self.database and not self.database.startswith("/"):
            raise XMLError(f"expecting absolute path: {self.database}")

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
