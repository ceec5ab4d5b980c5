"""`<serial>`: a UART or another port that a guest's kernel prints on."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Node, Signed, attr

TargetType = Literal[
    "isa-serial", "usb-serial", "pci-serial", "spapr-vio-serial", "system-serial", "sclp-serial", "isa-debug"
]
TargetModel = Literal[
    "isa-serial", "usb-serial", "pci-serial", "spapr-vty", "pl011", "sclpconsole", "sclplmconsole", "16550a",
    "isa-debugcon",
]  # fmt: skip

REQUIRED = {
    "isa-serial": "isa-serial", "usb-serial": "usb-serial", "pci-serial": "pci-serial",
    "spapr-vty": "spapr-vio-serial", "pl011": "system-serial", "16550a": "system-serial",
    "sclpconsole": "sclp-serial", "sclplmconsole": "sclp-serial", "isa-debugcon": "isa-debug",
}  # fmt: skip
"""The target type that each model belongs to."""


class Serial(Chardev, Device, tag="serial"):
    """A serial port; `target_port` is its number within its type."""

    target_type: TargetType | None = attr(
        "target/@type",
        wrong=lambda raw: ConfigUnsupported(f"unknown target type '{raw}' specified for character device"),
    )
    target_port: Signed | None = attr("target/@port", wrong=lambda raw: XMLError(f"Invalid port number: {raw}"))
    target_model: TargetModel | None = attr(
        "target/model/@name",
        wrong=lambda raw: ConfigUnsupported(f"unknown target model '{raw}' specified for character device"),
    )

    def check(self, node: Node) -> None:
        super().check(node)
        wanted = REQUIRED.get(self.target_model or "")
        if wanted and self.target_type and wanted != self.target_type:
            raise ConfigUnsupported(f"Target model '{self.target_model}' requires target type '{wanted}'")

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
