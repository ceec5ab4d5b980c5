"""What devices have in common."""

from collections.abc import Mapping
from typing import Any

from splitvirt.api.errors import ConfigUnsupported, InternalError
from splitvirt.xml.address import AnyAddress
from splitvirt.xml.element import LIVE, Element, OnOff, Positive, YesNo, attr, child

USER_ALIAS = "ua-"
"""Aliases that users chose begin with this and are kept; all others are made anew at every start."""


class VirtioOptions(Element, tag="driver", hide_empty=True):
    """What every virtio device's `<driver>` may say; a base for `<driver>` classes that say more."""

    iommu: OnOff | None = attr()
    ats: OnOff | None = attr()
    packed: OnOff | None = attr()
    page_per_vq: OnOff | None = attr()


class Device(Element):
    """What every device may carry; written after the device's own fields."""

    boot_order: Positive | None = attr("boot/@order", needed=True)
    boot_loadparm: str | None = attr("boot/@loadparm")
    alias: str | None = attr("alias/@name")
    acpi_index: Positive | None = attr("acpi/@index")
    rom_enabled: YesNo | None = attr("rom/@enabled")
    rom_bar: OnOff | None = attr("rom/@bar")
    rom_file: str | None = attr("rom/@file")
    address: AnyAddress | None = child(
        wrong=lambda raw: ConfigUnsupported(f"unknown address type '{raw}'"),
        missing=lambda: InternalError("No type specified for device address"),
    )

    def visible(self, bits: int) -> Mapping[str, Any]:
        """Generated aliases only on running guests."""
        values = self.__dict__
        if not bits & LIVE and values.get("alias") and not values["alias"].startswith(USER_ALIAS):
            return values | {"alias": None}
        return values
