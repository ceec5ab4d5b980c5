"""`<lease>`: a lock that the guest holds while it runs."""

from splitvirt.api.errors import XMLError
from splitvirt.xml.element import Element, Unsigned64, attr, text


class Lease(Element, tag="lease"):
    """A key in a lock manager's space."""

    lockspace: str | None = text()
    key: str = text(missing=lambda: XMLError("Missing 'key' element for lease"))
    path: str = attr("target/@path", missing=lambda: XMLError("Missing 'target' element for lease"))
    offset: Unsigned64 | None = attr("target/@offset", omit=0)
