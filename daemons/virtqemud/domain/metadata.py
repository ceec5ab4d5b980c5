"""What people and programs note about a guest."""

from __future__ import annotations

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import InvalidArg, NoMetadata
from splitvirt.xml import metadata as notes
from splitvirt.xml.domain import Domain as DomainXML
from splitvirt.xml.node import parse_node

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU


class Describing(DomainBase):
    """Title, description and metadata of applications."""

    async def metadata(self, type: int, uri: str | None = None, flags: int = 0) -> str:
        """The title, the description or the element of a namespace."""
        shown = self.pick(flags)
        if type == c.VIR_DOMAIN_METADATA_DESCRIPTION:
            found = shown.description
        elif type == c.VIR_DOMAIN_METADATA_TITLE:
            found = shown.title
        elif type == c.VIR_DOMAIN_METADATA_ELEMENT:
            if uri is None:
                raise InvalidArg("uri in virDomainGetMetadata must not be NULL", domain=QEMU)
            found = shown.metadata.get(uri) if shown.metadata else None
        else:
            raise InvalidArg("unknown metadata type", domain=QEMU)
        if not found:
            raise NoMetadata("Requested metadata element is not present", domain=c.VIR_FROM_DOMAIN)
        return found

    async def set_metadata(
        self, type: int, metadata: str | None, key: str | None = None, uri: str | None = None, flags: int = 0
    ) -> None:
        """Set or, with None, remove it."""
        if type not in (
            c.VIR_DOMAIN_METADATA_DESCRIPTION,
            c.VIR_DOMAIN_METADATA_TITLE,
            c.VIR_DOMAIN_METADATA_ELEMENT,
        ):
            raise InvalidArg("unknown metadata type", domain=QEMU)
        if type == c.VIR_DOMAIN_METADATA_TITLE and metadata and "\n" in metadata:
            raise InvalidArg("metadata title can't contain newlines", domain=QEMU)
        if type == c.VIR_DOMAIN_METADATA_ELEMENT and metadata:
            parse_node(metadata, "(metadata_xml)")
        async with self.job.hold("set_metadata"):
            self.note(*self.impact(flags), lambda on: _note(on, type, metadata, key, uri))
        self.driver.events.emit(
            Domain.metadata_changed, self, type, uri if type == c.VIR_DOMAIN_METADATA_ELEMENT else None
        )


def _note(on: DomainXML, type: int, text: str | None, key: str | None, uri: str | None) -> None:
    if type == c.VIR_DOMAIN_METADATA_DESCRIPTION:
        on.description = text or None
    elif type == c.VIR_DOMAIN_METADATA_TITLE:
        on.title = text or None
    else:
        if uri is None:
            raise InvalidArg("uri must not be NULL", domain=QEMU)
        on.metadata = (on.metadata or notes.empty()).replaced(uri, key, text)
