"""`<seclabel>`: under which label of a security model the guest, or one of its files, runs."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.xml.element import LIVE, Element, YesNo, attr, text


class SecurityLabel(Element, tag="seclabel"):
    """The whole guest's label; with `type` dynamic, `label` and `imagelabel` are known only while it runs."""

    type: Literal["dynamic", "static", "none"] | None = attr()
    model: str | None = attr()
    relabel: YesNo | None = attr()
    label: str | None = text()
    imagelabel: str | None = text(mode=LIVE)
    baselabel: str | None = text()

    def visible(self, bits: int) -> Mapping[str, Any]:
        """`relabel` says nothing where there is no label."""
        values = self.__dict__
        if self.type == "none":
            return {"type": "none", "model": self.model}
        if self.type == "dynamic" and not bits & LIVE:
            return values | {"label": None}
        return values


class DeviceLabel(Element, tag="seclabel"):
    """The label of one file or socket of the guest."""

    model: str | None = attr()
    labelskip: YesNo | None = attr()
    relabel: YesNo | None = attr()
    label: str | None = text()
