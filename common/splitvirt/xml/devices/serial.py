"""`<serial>`: a UART or another port that a guest's kernel prints on."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.chardev import Chardev
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import NonNegative, attr

TargetType = Literal[
    "isa-serial", "usb-serial", "pci-serial", "spapr-vio-serial", "system-serial", "sclp-serial", "isa-debug"
]
TargetModel = Literal[
    "isa-serial", "usb-serial", "pci-serial", "spapr-vty", "pl011", "sclpconsole", "sclplmconsole", "16550a",
    "isa-debugcon",
]  # fmt: skip


class Serial(Chardev, Device, tag="serial"):
    """A serial port; `target_port` is its number within its type."""

    target_type: TargetType | None = attr(
        "target/@type", wrong=lambda raw: XMLError(f"unknown target type '{raw}' specified for character device")
    )
    target_port: NonNegative | None = attr(
        "target/@port", wrong=lambda raw: XMLError(f"Invalid value for attribute 'port' in element 'target': '{raw}'")
    )
    target_model: TargetModel | None = attr(
        "target/model/@name", wrong=lambda raw: XMLError(f"unknown target model '{raw}' specified for character device")
    )

    def visible(self, bits: int) -> Mapping[str, Any]:
        return self.hidden(bits, super().visible(bits))
