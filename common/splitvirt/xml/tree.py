"""XML that is only written: answers such as capabilities, as nested values printed the way libvirt prints."""

from collections.abc import Iterable
from typing import Any

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;"})


class Tree:
    """An element: its attributes (None ones are left out), and either a text or elements (None ones are left out)."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, *children: "Tree | None", text: Any = None, **attributes: Any) -> None:
        self.tag, self.text = tag, text
        self.children = [child for child in children if child is not None]
        self.attributes = {name.rstrip("_"): value for name, value in attributes.items() if value is not None}

    def add(self, children: "Iterable[Tree | None]") -> "Tree":
        """Put more elements at the end."""
        self.children.extend(child for child in children if child is not None)
        return self

    def to_xml(self, indent: int = 0) -> str:
        """The element over as many lines as it needs, with a line end."""
        out: list[str] = []
        self._write(out, " " * indent)
        return "".join(out)

    def _write(self, out: list[str], pad: str) -> None:
        attributes = "".join(f" {name}='{escape(value)}'" for name, value in self.attributes.items())
        if self.children:
            out.append(f"{pad}<{self.tag}{attributes}>\n")
            for child in self.children:
                child._write(out, pad + "  ")
            out.append(f"{pad}</{self.tag}>\n")
        elif self.text is not None:
            out.append(f"{pad}<{self.tag}{attributes}>{escape(self.text)}</{self.tag}>\n")
        else:
            out.append(f"{pad}<{self.tag}{attributes}/>\n")


def escape(value: Any) -> str:
    """A value as XML text, good in attributes too; True and False are yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).translate(_ESCAPES)
