"""`<metadata>`: elements of applications, kept and printed as libvirt (that is, libxml2) prints them.

Below `<metadata>` there is one element per namespace; elements without one, second ones of a namespace, and text
between them are not kept. Blank text between elements goes, and the elements are indented, unless there is text beside
them.
"""

from typing import Self

from splitvirt.api.errors import XMLError
from splitvirt.xml.node import CData, Comment, Instruction, Node, parse_node

TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
VALUE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
)


class Foreign:
    """The content of one `<metadata>`; never changed in place, so copies may share it."""

    __slots__ = ("attrs", "entries", "tag")

    def __init__(self, tag: str, attrs: dict[str, str], entries: dict[str, Node]) -> None:
        self.tag, self.attrs, self.entries = tag, attrs, entries  # entries: by namespace

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and self.text() == other.text()

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        """What of the element is kept; the rest is added to `lost`."""
        entries: dict[str, Node] = {}
        scope = declared(node.attrs)
        for inner in node.children:
            uri = namespace(inner, scope)
            if uri and uri not in entries:
                entries[uri] = inner
            elif lost is not None:
                lost.append((inner, ""))
        return cls(node.tag, node.attrs, entries)

    def text(self, indent: int = 0) -> str:
        """The element as printed."""
        out: list[str] = []
        self.write(out, " " * indent)
        return "".join(out)

    def write(self, out: list[str], pad: str) -> None:
        """Append the element's lines."""
        if not self.entries:
            out.append(f"{pad}<{self.tag}{attributes(self.attrs)}/>\n")
            return
        out.append(f"{pad}<{self.tag}{attributes(self.attrs)}>\n")
        inner = pad + "  "
        for node in self.entries.values():
            out.append(f"{inner}{render(node, inner)}\n")
        out.append(f"{pad}</{self.tag}>\n")

    def get(self, uri: str) -> str | None:
        """The element of a namespace as a document without that namespace, as virDomainGetMetadata gives it."""
        node = self.entries.get(uri)
        return None if node is None else render(stripped(node, uri), "")

    def replaced(self, uri: str, key: str | None, document: str | None) -> "Foreign":
        """A new content with the namespace's element set to `document` under the prefix `key`, or removed."""
        entries = dict(self.entries)
        entries.pop(uri, None)
        if document is not None:
            root = parse_metadata(document)
            entries[uri] = prefixed(root, key or "", uri, top=True)
        return Foreign(self.tag, self.attrs, entries)


def parse_metadata(document: str) -> Node:
    """An application's element, its content in order."""
    return parse_node(f"<metadata>{document}</metadata>", "(metadata_xml)").children[0]


def empty() -> Foreign:
    """No metadata yet."""
    return Foreign("metadata", {}, {})


def declared(attrs: dict[str, str]) -> dict[str, str]:
    """Namespaces by prefix that an element declares."""
    return {a[6:]: v for a, v in attrs.items() if a == "xmlns" or a.startswith("xmlns:")}


def namespace(node: Node, scope: dict[str, str]) -> str:
    return (scope | declared(node.attrs)).get(node.tag.rpartition(":")[0], "")


def stripped(node: Node, uri: str) -> Node:
    """A copy without the namespace's prefix and declaration."""
    gone = {p for p, u in declared(node.attrs).items() if u == uri}

    def strip(old: Node) -> Node:
        prefix, _, local = old.tag.rpartition(":")
        new = Node(local if prefix in gone else old.tag, {}, old.line)
        new.attrs = {a: v for a, v in old.attrs.items() if not (a.startswith("xmlns") and a[6:] in gone)}
        new.pieces = [strip(p) if isinstance(p, Node) else p for p in old.pieces or ()]
        return new

    return strip(node)


def prefixed(node: Node, key: str, uri: str, top: bool = False) -> Node:
    """A copy whose unprefixed elements are in the namespace, declared at the top."""
    if top and not key:
        raise XMLError("missing namespace prefix")
    new = Node(node.tag if ":" in node.tag else f"{key}:{node.tag}", dict(node.attrs), node.line)
    if top:
        new.attrs = {f"xmlns:{key}": uri} | new.attrs
    new.pieces = [prefixed(p, key, uri) if isinstance(p, Node) else p for p in node.pieces or ()]
    return new


def attributes(attrs: dict[str, str]) -> str:
    """Attributes between double quotes, namespaces first, beyond ASCII by number."""
    ordered = sorted(attrs, key=lambda a: not (a == "xmlns" or a.startswith("xmlns:")))
    return "".join(f' {a}="{quote(attrs[a])}"' for a in ordered)


def quote(value: str) -> str:
    plain = value.translate(VALUE)
    return plain if plain.isascii() else "".join(c if c < "\x80" else f"&#x{ord(c):X};" for c in plain)


def render(node: Node, pad: str | None) -> str:
    """An element: indented below `pad`, or as it was when `pad` is None."""
    pieces = kept(node)
    head = f"<{node.tag}{attributes(node.attrs)}"
    if not pieces:
        return f"{head}/>"
    if any(type(p) in (str, CData) for p in pieces):
        pad = None
    if pad is None:
        return f"{head}>{''.join(piece(p, None) for p in pieces)}</{node.tag}>"
    inner = pad + "  "
    return f"{head}>\n{''.join(f'{inner}{piece(p, inner)}' + chr(10) for p in pieces)}{pad}</{node.tag}>"


def piece(item: "Node | str", pad: str | None) -> str:
    if isinstance(item, Node):
        return render(item, pad)
    if isinstance(item, Comment):
        return f"<!--{item}-->"
    if isinstance(item, Instruction):
        return f"<?{item}?>"
    return f"<![CDATA[{item}]]>" if isinstance(item, CData) else item.translate(TEXT)


def kept(node: Node) -> list["Node | str"]:
    """The content without the blanks that only lay it out (libxml2's rule)."""
    pieces = node.pieces or []
    found: list[Node | str] = []
    for i, item in enumerate(pieces):
        if type(item) is str and not item.strip(" \t\n\r"):
            last = i + 1 == len(pieces)
            alone = not found and last
            beside = found and (type(found[-1]) is str or type(found[0]) is str)
            if not alone and not beside:
                continue
        found.append(item)
    return found
