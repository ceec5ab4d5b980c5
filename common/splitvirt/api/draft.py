"""What an XML description is going to be, before a driver has read it: enough to ask for permission."""

from functools import cached_property
from typing import Any
from uuid import UUID
from xml.parsers import expat

from .errors import XMLError

MOST = 16 * 1024 * 1024


class Draft:
    """An object to be: its kind, its name and UUID as the XML says them, and what it will belong to."""

    def __init__(self, kind: str, xml: str, owner: Any = None) -> None:
        self.KIND, self.xml, self.owner = kind, xml, owner

    @property
    def name(self) -> str | None:
        """Its name; None when the XML gives none."""
        return self._said.get("name")

    @property
    def uuid(self) -> UUID | None:
        """Its UUID; None when the XML gives none that can be read."""
        try:
            return UUID(self._said.get("uuid", ""))
        except ValueError:
            return None

    @property
    def network(self) -> Any:
        """The network that a port is to be on."""
        return self.owner

    @property
    def pool(self) -> str | None:
        """The name of the pool that a volume is to be in."""
        return getattr(self.owner, "name", None)

    @cached_property
    def _said(self) -> dict[str, str]:
        """The texts of `<name>` and `<uuid>` below the root. XMLError when one is there twice: who would be meant?"""
        if len(self.xml) > MOST:
            raise XMLError("the document is too large")
        found: dict[str, str] = {}
        path: list[str] = []

        def start(tag: str, _: dict[str, str]) -> None:
            path.append(tag)
            if len(path) == 2 and tag in ("name", "uuid") and found.setdefault(tag, "") != "":
                raise XMLError(f"there is more than one <{tag}>")

        def text(data: str) -> None:
            if len(path) == 2 and path[1] in found:
                found[path[1]] += data

        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = start, lambda _: path.pop()
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, _refuse
        try:
            parser.Parse(self.xml, True)
        except expat.ExpatError:
            return {}  # the driver will say what is wrong with it
        return {tag: value.strip() for tag, value in found.items()}


def _refuse(*_: Any) -> None:
    raise XMLError("a document type declaration is not allowed")
