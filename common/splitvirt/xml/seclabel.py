"""`<seclabel>`: under which label of a security model the guest, or one of its files, runs."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import ConfigUnsupported, XMLDetail, XMLError
from splitvirt.xml.element import LIVE, STABLE, Element, YesNo, attr, text
from splitvirt.xml.node import Node


class SecurityLabel(Element, tag="seclabel"):
    """The whole guest's label; with `type` dynamic, `label` and `imagelabel` are known only while it runs."""

    generated: bool = False
    """Whether it was completed for a run: then it is shown whole."""
    implicit: bool = False
    """Whether nobody asked for it, so that another host may give the guest its own."""
    type: Literal["dynamic", "static", "none"] | None = attr()
    model: str | None = attr()
    relabel: YesNo | None = attr()
    label: str | None = text()
    imagelabel: str | None = text()
    baselabel: str | None = text()

    def check(self, node: Node) -> None:
        """What `relabel` may be with each type, and that a static label is given."""
        if self.model == "none":
            self.type, self.relabel = "none", False
        if self.type != "dynamic":
            self.baselabel = None
        if self.type == "static":
            if self.label is None:
                raise XMLError("security label is missing")
            self.relabel = bool(self.relabel)
        elif self.type == "dynamic":
            if self.relabel is False:
                raise ConfigUnsupported("dynamic label type must use resource relabeling")
            self.relabel = True
        elif self.type == "none":
            if self.relabel:
                raise ConfigUnsupported("resource relabeling is not compatible with 'none' label type")
            self.relabel = False

    def visible(self, bits: int) -> Mapping[str, Any]:
        """`relabel` says nothing where there is no label."""
        values = self.__dict__
        if self.type == "none":
            return {"type": "none", "model": self.model}
        if bits & STABLE and (self.generated or bits & LIVE):
            return values
        return values | {"imagelabel": None} | ({"label": None} if self.type == "dynamic" else {})


class DeviceLabel(Element, tag="seclabel"):
    """The label of one file or socket of the guest."""

    model: str | None = attr()
    labelskip: YesNo | None = attr(mode=LIVE)
    relabel: YesNo | None = attr()
    label: str | None = text()

    def check(self, node: Node) -> None:
        if self.relabel is None and not self.labelskip:
            self.relabel = True
        if self.label is not None and self.relabel is False:
            raise XMLError(f"Cannot specify a label if relabelling is turned off. model={self.model or '<null>'}")

    def write(self, out: list[str], pad: str, bits: int, tag: str = "") -> None:
        """Not what a definition would say without it too."""
        if bits & LIVE or self.label is not None or self.relabel is False:
            super().write(out, pad, bits, tag)


def unique(labels: list[DeviceLabel]) -> None:
    """Raise XMLDetail where one file or socket has two labels of a model."""
    models = [label.model for label in labels]
    for model in models:
        if models.count(model) > 1:
            raise XMLDetail(f"seclabel for model {model or '<null>'} is already provided")
