"""`<backingStore>` and `<mirror>`: the images below a disk's own, and the one that a block job copies to."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.source import Format, Storage, StorageType
from splitvirt.xml.element import LIVE, Element, Node, Unsigned, attr, child


class Chain(Element):
    """A base for what may have an image below it."""

    backing: "BackingStore | None" = child("backingStore", last=True)

    def visible(self, bits: int) -> Mapping[str, Any]:
        """Images that were found out, not configured, are shown of running guests only."""
        if self.backing is not None and self.backing.detected and not bits & LIVE:
            return self.__dict__ | {"backing": None}
        return super().visible(bits)


class BackingStore(Chain, Storage, tag="backingStore"):
    """One image; without a `type` it says that the chain ends here."""

    detected: bool = False
    type: StorageType | None = attr(order=-2, wrong=lambda raw: XMLError(f"unknown storage source type '{raw}'"))
    index: Unsigned | None = attr(mode=LIVE, order=-2)
    format: Format | None = child(order=-2)

    def check(self, node: Node) -> None:
        if self.type is None:
            self.format = self.backing = self.index = None
        elif self.format is None:
            raise XMLError("missing disk backing store format")
        elif self.source is None:
            raise XMLError("missing disk backing store source")


class Mirror(Chain, Storage, tag="mirror"):
    """Where a block job copies to; the first three fields are how old libvirt said it."""

    type: StorageType | None = attr(order=-2)
    old_file: str | None = attr("@file", order=-2)
    old_format: str | None = attr("@format", order=-2)
    job: Literal["copy", "active-commit"] | None = attr(order=-2)
    ready: Literal["yes", "abort", "pivot"] | None = attr(order=-2)
    format: Format | None = child(order=-2)
