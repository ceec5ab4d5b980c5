"""XML text to a tree of plain nodes: the only place that reads XML.

libvirt's documents are small and come from anyone, so the parser refuses what only an attacker sends (a DOCTYPE,
deep nesting, megabytes) in the loop, before it costs anything. Comments and processing instructions are dropped,
except inside `<metadata>`, whose content belongs to applications and is kept as they wrote it.
"""

import re
from typing import Any, NamedTuple, NoReturn
from xml.parsers import expat

from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.errors import VirtError, XMLDetail, XMLError

MAX_SIZE = 4 << 20  # bytes; libvirt's own bound of a string on the wire
MAX_DEPTH = 256  # as libxml2's
MAX_ELEMENTS = 100_000  # a second's work; the largest guests have some thousands
NAMESPACES = {
    "http://libvirt.org/schemas/domain/qemu/1.0": "qemu",
    "http://libvirt.org/schemas/domain/lxc/1.0": "lxc",
    "http://libvirt.org/schemas/domain/bhyve/1.0": "bhyve",
    "http://libvirt.org/schemas/domain/xen/1.0": "xen",
    "http://libvirt.org/schemas/network/dnsmasq/1.0": "dnsmasq",
    "http://libvirt.org/schemas/storagepool/fs/1.0": "fs",
    "http://libvirt.org/schemas/storagepool/rbd/1.0": "rbd",
}
"""Namespaces that the model knows, each with the prefix that libvirt prints whatever prefix the writer chose."""


class Node:
    """An element as read: attributes in order, child elements, its text (all of it, joined) and its line."""

    __slots__ = ("attrs", "children", "line", "pieces", "tag", "text")

    def __init__(self, tag: str, attrs: dict[str, str], line: int) -> None:
        self.tag = tag
        self.attrs = attrs
        self.line = line
        self.children: list[Node] = []
        self.text = ""
        self.pieces: list[Node | str] | None = None  # in order, only inside <metadata>

    def get(self, name: str, default: str | None = None) -> str | None:
        """The attribute's value."""
        return self.attrs.get(name, default)

    def find(self, tag: str) -> "Node | None":
        """The first child element with this tag."""
        return next((c for c in self.children if c.tag == tag), None)


class Comment(str):
    """A comment inside `<metadata>`."""

    __slots__ = ()


class CData(str):
    """A CDATA section inside `<metadata>`."""

    __slots__ = ()


class Instruction(str):
    """A processing instruction inside `<metadata>`: target and data."""

    __slots__ = ()


class Parser:
    """One parse of one document."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[Node] = []
        self.root: Node | None = None
        self.scopes: list[dict[str, str]] = [{}]  # prefix to namespace, one per depth, only when any is declared
        self.elements = 0
        self.metadata = 0  # depth at which <metadata> began
        self.cdata: str | None = None
        self.expat = expat.ParserCreate(encoding="utf-8")
        self.expat.buffer_text = True
        self.expat.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.expat.StartDoctypeDeclHandler = self.doctype
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.characters

    def doctype(self, *_: object) -> NoReturn:
        raise XMLError("a document type declaration (DOCTYPE) is not allowed")

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        stack = self.stack
        if len(stack) >= MAX_DEPTH:
            line = self.expat.CurrentLineNumber
            raise XMLDetail(f"{self.source}:{line}: Excessive depth in document: {MAX_DEPTH}")
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise XMLDetail(f"{self.source}: the document has more than {MAX_ELEMENTS} elements")
        if self.metadata:
            node = Node(tag, attrs, self.expat.CurrentLineNumber)
            node.pieces = []
            pieces = stack[-1].pieces
            assert pieces is not None
            pieces.append(node)
        else:
            if ":" in tag or len(self.scopes) > 1 or any(a.startswith("xmlns") for a in attrs):
                tag, plain = self.resolve(tag, attrs)
                attrs = attrs if tag == "metadata" else plain
            node = Node(tag, attrs, self.expat.CurrentLineNumber)
            if tag == "metadata":
                self.enter_metadata(node)
        if stack:
            stack[-1].children.append(node)
        else:
            self.root = node
        stack.append(node)

    def enter_metadata(self, node: Node) -> None:
        node.pieces = []
        self.metadata = len(self.stack) + 1
        self.expat.CommentHandler = lambda data: self.keep(Comment(data))
        self.expat.ProcessingInstructionHandler = lambda target, data: self.keep(
            Instruction(f"{target} {data}".strip())
        )
        self.expat.StartCdataSectionHandler = self.start_cdata
        self.expat.EndCdataSectionHandler = self.end_cdata

    def leave_metadata(self) -> None:
        node, scope = self.stack[-1], self.scopes[-1]
        self.metadata = 0
        self.expat.CommentHandler = self.expat.ProcessingInstructionHandler = None
        self.expat.StartCdataSectionHandler = self.expat.EndCdataSectionHandler = None
        for prefix in sorted(prefixes(node) & scope.keys()) if scope else ():
            node.attrs.setdefault(f"xmlns:{prefix}" if prefix else "xmlns", scope[prefix])

    def keep(self, piece: str) -> None:
        pieces = self.stack[-1].pieces
        assert pieces is not None
        pieces.append(piece)

    def start_cdata(self) -> None:
        self.cdata = ""

    def end_cdata(self) -> None:
        data, self.cdata = self.cdata, None
        self.keep(CData(data))

    def end(self, tag: str) -> None:
        if self.metadata == len(self.stack):
            self.leave_metadata()
        self.stack.pop()
        if len(self.scopes) > 1 and not self.metadata:
            del self.scopes[len(self.stack) + 1 :]

    def characters(self, data: str) -> None:
        if self.cdata is not None:
            self.cdata += data
            return
        node = self.stack[-1]
        node.text += data
        if node.pieces is not None:
            node.pieces.append(data)

    def resolve(self, tag: str, attrs: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Names with libvirt's own prefixes; foreign ones as {namespace}name."""
        scope = self.scopes[-1]
        declared = {a[6:]: v for a, v in attrs.items() if a == "xmlns" or a.startswith("xmlns:")}
        if declared:
            scope = scope | declared
        while len(self.scopes) <= len(self.stack):
            self.scopes.append(self.scopes[-1])
        self.scopes.append(scope)
        plain = {
            self.canonical(a, scope) if ":" in a else a: v
            for a, v in attrs.items()
            if a != "xmlns" and not a.startswith("xmlns:")
        }
        return self.canonical(tag, scope), plain

    def canonical(self, name: str, scope: dict[str, str]) -> str:
        prefix, _, local = name.rpartition(":")
        uri = scope.get(prefix)
        if not uri:  # a prefix that nothing declares is part of a name that is not ours
            return f"{name} (its prefix is not declared)" if prefix in NAMESPACES.values() else name
        known = NAMESPACES.get(uri)
        return f"{known}:{local}" if known else f"{{{uri}}}{local}"


def parse_node(text: str, source: str = "(domain_definition)") -> Node:
    """The document's root. `source` names the document in messages, as libvirt does.

    Raises XMLError for what is refused unread, XMLDetail for what is not well-formed XML.
    """
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_SIZE:
        raise XMLError(f"document of {len(data)} bytes is larger than the {MAX_SIZE} that are allowed")
    parser = Parser(source)
    try:
        parser.expat.Parse(data, True)
    except expat.ExpatError as error:
        raise malformed(error, text, source, parser.stack) from None
    finally:
        handlers: Any = parser.expat  # the handlers hold the parser: undo the cycle
        handlers.StartElementHandler = handlers.EndElementHandler = handlers.CharacterDataHandler = None
        handlers.StartDoctypeDeclHandler = handlers.CommentHandler = handlers.ProcessingInstructionHandler = None
        handlers.StartCdataSectionHandler = handlers.EndCdataSectionHandler = None
    assert parser.root is not None
    return parser.root


def prefixes(node: Node) -> set[str]:
    """Namespace prefixes that a subtree uses."""
    found = {node.tag.rpartition(":")[0]} | {a.partition(":")[0] for a in node.attrs if ":" in a}
    return found.union(*(prefixes(c) for c in node.children))


def malformed(error: expat.ExpatError, text: str, source: str, stack: list[Node]) -> VirtError:
    """libvirt's message for XML that is not well-formed: where, why, the line, and a mark below the place."""
    lines = text.split("\n")
    line = min(error.lineno, len(lines))
    whole = lines[line - 1].encode("utf-8", "surrogatepass")
    here = len(whole[: error.offset].decode(errors="replace"))
    words, further = reason(error, text, lines[line - 1], here, stack)
    shown = lines[line - 1][:200] if text else "(null)"
    mark = "-" * min(here + further, len(shown)) if text else ""
    domain = VIR_FROM_NETWORK if "network" in source else None
    return XMLDetail(f"{source}:{line}: {words}\n{shown}\n{mark}^", domain=domain)


PLACES = {
    "mismatched tag": (
        re.compile(r"([^\s<>/]+)\s*>?"),
        "Opening and ending tag mismatch: {tag} line {line} and {name}",
    ),
    "duplicate attribute": (re.compile(r"""([^\s=]+)\s*=\s*(?:'[^']*'?|"[^"]*"?)"""), "Attribute {name} redefined"),
    "undefined entity": (re.compile("&([^;]*);?"), "Entity '{name}' not defined"),
    "unclosed token": (re.compile(r"<([^\s<>/!?]+)[^>]*"), "Couldn't find end of Start Tag {name} line {now}"),
}
"""What stands where expat stops, and what libxml2 says of it; it reads on to the end of that first."""


def reason(error: expat.ExpatError, text: str, line: str, here: int, stack: list[Node]) -> tuple[str, int]:
    """expat's reason in libxml2's words, where both have the same, and how much further libxml2 reads."""
    if not text.lstrip().startswith("<"):
        blank = len(line) - len(line.lstrip())
        return ("Start tag expected, '<' not found", blank - here) if text else ("Document is empty", 0)
    words = expat.ErrorString(error.code) or "not well-formed"
    place, form = PLACES.get(words, (None, ""))
    found = place.match(line, here) if place else None
    if found:
        tag, begun = (stack[-1].tag, stack[-1].line) if stack else ("", 0)
        return form.format(name=found[1], tag=tag, line=begun, now=error.lineno), found.end() - here
    if stack and words in ("no element found", "unclosed token"):
        return f"Premature end of data in tag {stack[-1].tag} line {stack[-1].line}", 0
    if words.startswith("not well-formed") and here:
        words = {"&": "xmlParseEntityRef: no name", "=": "AttValue: \" or ' expected"}.get(line[here - 1], words)
    return {"junk after document element": "Extra content at the end of the document"}.get(words, words), 0


class Unknown(NamedTuple):
    """An element or attribute that no field takes: "domain/devices/disk/@colour", line 12."""

    path: str
    line: int


def locate(root: Node, lost: list[tuple[Node, str]]) -> list[Unknown]:
    """Paths and lines of what was met by the way."""
    paths: dict[int, str] = {}

    def walk(node: Node, above: str) -> None:
        here = paths[id(node)] = f"{above}/{node.tag}" if above else node.tag
        for inner in node.children:
            walk(inner, here)

    walk(root, "")
    return [Unknown(f"{paths.get(id(node), node.tag)}{'/' + name if name else ''}", node.line) for node, name in lost]
