"""`<lease>`: a lock that the guest holds while it runs."""

from typing import Self

from splitvirt.api.errors import XMLError
from splitvirt.xml.element import Element, Node, Unsigned64, attr, text


class Lease(Element, tag="lease"):
    """A key in a lock manager's space."""

    lockspace: str | None = text()
    key: str = text(missing=lambda: XMLError("Missing 'key' element for lease"))
    path: str = attr("target/@path", missing=lambda: XMLError("Missing 'target' element for lease"))
    offset: Unsigned64 | None = attr("target/@offset", omit=0)

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        target = node.find("target")
        if node.find("key") is not None and target is not None and "path" not in target.attrs:
            raise XMLError("Missing 'path' attribute to 'target' element for lease")
        return super().parse(node, lost)
