"""A field of an `Element` class: what was declared, and how its value is read from and written to the XML there."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from splitvirt.api.errors import ConfigUnsupported, VirtError, XMLError
from splitvirt.xml import units
from splitvirt.xml.forms import U64, EmptySet, Form, WrongValue, number
from splitvirt.xml.metadata import Foreign
from splitvirt.xml.node import Node

if TYPE_CHECKING:
    from splitvirt.xml.element import Element

ALL, LIVE, SECURE, STATUS, STABLE = 1, 2, 4, 8, 16
Lost = list[tuple[Node, str]]
When = str | tuple[str, str | tuple[str, ...]]
Test = Callable[[Node], bool]

ATTRIBUTE_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
    | {chr(c): None for c in range(32) if c not in (9, 10, 13)}
)
TEXT_ESCAPES = ATTRIBUTE_ESCAPES | {9: "\t", 10: "\n"}


class Field:
    """One declaration; made by the functions of `element.py`."""

    def __init__(
        self,
        kind: str,
        path: str,
        default: Any = None,
        when: When | None = None,
        order: int = 0,
        mode: int = ALL,
        omit: Any = None,
        wrong: Callable[[str], VirtError] | None = None,
        missing: Callable[[], VirtError] | None = None,
    ) -> None:
        self.kind, self.path, self.default, self.when = kind, path, default, when
        self.order, self.mode, self.omit, self.wrong, self.missing = order, mode, omit, wrong, missing
        self.many = kind in ("children", "attrs", "texts")
        self.unit: tuple[str, str, bool | str, bool] = ("KiB", "KiB", False, False)
        self.xpath = ""  # what libvirt calls a size in its messages
        self.needed = False  # an attribute that its child must have when it is there
        self.blank = False  # an attribute that says nothing when it is empty
        self.always = False  # a child that is made when it is absent
        self.name = ""
        self.owner: type | None = None

    def bind(self, name: str, owner: type) -> None:
        """Learn the name that the class gave."""
        self.name, self.owner = name, owner
        plain = name.rstrip("_")
        self.path = self.path or (f"@{plain}" if self.kind in ("attr", "attrs") else plain)
        self.xpath = self.xpath or f"./{self.path}" + ("" if "@" in self.path else "[1]")


class Spot:
    """A field in its place: how its value is read and written there."""

    __slots__ = ("classes", "default", "field", "form", "mode", "name", "omit", "tag", "test")

    def __init__(self, field: Field, form: Form, classes: "tuple[type[Element], ...]", tag: str, test: Test | None):
        self.field, self.name, self.default, self.omit = field, field.name, field.default, field.omit
        self.mode, self.form, self.classes, self.tag, self.test = field.mode, form, classes, tag, test

    def convert(self, raw: str, node: Node) -> Any:
        """The value of an attribute."""
        try:
            return self.form.read(raw)
        except WrongValue as reason:
            raise self.refuse(raw, reason, node) from None

    def refuse(self, raw: str, reason: WrongValue, node: Node) -> VirtError:
        """libvirt's message about a wrong value."""
        name = self.field.path.rpartition("@")[2]
        where = f"Invalid value for attribute '{name}' in element '{node.tag.rpartition(':')[2]}'"
        if self.field.wrong:
            error = self.field.wrong(raw)
        elif isinstance(reason, EmptySet):
            error = ConfigUnsupported(f"Invalid value of '{name}': {raw}")
        elif self.field.kind in ("text", "texts"):
            error = XMLError(f"Invalid value for element '{self.tag or node.tag}': '{raw}'{tail(reason)}")
        elif self.field.kind == "size":
            error = XMLError(f"Invalid value '{raw}' for element or attribute '{self.field.xpath}'")
        else:
            error = XMLError(
                f"{where}: {reason}" if str(reason).startswith("Zero") else f"{where}: '{raw}'{tail(reason)}"
            )
        error.add_note(f"line {node.line}")
        return error

    def lacking(self, node: Node) -> VirtError:
        """libvirt's message about a missing value."""
        holder, at, name = self.field.path.rpartition("@")
        tag = holder.rstrip("/").rpartition("/")[2] or node.tag
        if self.field.kind == "size":
            return XMLError(f"missing element or attribute '{self.field.xpath}'")
        if at and self.field.kind == "attr":
            return XMLError(f"Missing required attribute '{name}' in element '{tag.rpartition(':')[2]}'")
        return XMLError(f"Missing element '{self.tag or self.field.path}' in element '{node.tag}'")

    def scaled(self, raw: str, unit: str | None, node: Node) -> int:
        """The value of a number and its unit."""
        into, plain, *_ = self.field.unit
        try:
            if not raw:
                raise self.lacking(node)
            count = number(raw, 10, "")
            if not 0 <= count <= U64:
                raise WrongValue
            return units.scale(count, unit or plain, into)
        except WrongValue as reason:
            raise self.refuse(raw, reason, node) from None

    def spell(self, value: int) -> tuple[str, str]:
        """A scaled number as text and unit."""
        unit, _, pretty, bare = self.field.unit
        if isinstance(pretty, str):
            value, unit = value >> (units.SHIFT[pretty] - units.SHIFT[unit]), pretty
        elif pretty:
            value, unit = units.pretty(value, unit)
            unit = "B" if unit == "bytes" else unit
        return str(value), "" if bare else unit

    def pick(self, node: Node) -> "type[Element] | None":
        """The class of the union that this node is."""
        tag, attrs = node.tag, node.attrs
        for cls in self.classes:
            if tag == cls.TAG or (not cls.TAG and self.tag == tag):
                when = cls.WHEN
                if when is None:
                    return cls
                value = attrs.get(when[0])
                if value == when[1] or (type(when[1]) is tuple and value in when[1]):
                    return cls
        return None


class Child(Spot):
    """A nested element, or a list of them."""

    __slots__ = ()

    def read(self, node: Node, values: dict[str, Any], lost: Lost) -> bool:
        cls = self.pick(node)
        if cls is None:
            return False
        if self.field.many:
            values[self.name].append(cls.parse(node, lost))
        elif self.name in values:
            return False
        else:
            values[self.name] = cls.parse(node, lost)
        return True

    def write(self, values: Mapping[str, Any], out: list[str], pad: str, bits: int) -> None:
        value = values.get(self.name, self.default)
        if value is None:
            return
        for element in value if self.field.many else (value,):
            element.write(out, pad, bits, "" if element.TAG else self.tag)

    def choices(self, node: Node) -> VirtError | None:
        """Why none of the classes took a node, if a union's attribute was the reason."""
        names = [c.WHEN[0] for c in self.classes if c.WHEN and (c.TAG or self.tag) == node.tag]
        if (
            not names
            or self.pick(node) is not None
            or any(c.WHEN is None and (c.TAG or self.tag) == node.tag for c in self.classes)
        ):
            return None
        raw = node.attrs.get(names[0])
        if raw is None and self.field.missing and self.field.wrong:
            return self.field.missing()
        if raw is not None and self.field.wrong:
            return self.field.wrong(raw)
        if raw is None:
            return XMLError(f"Missing required attribute '{names[0]}' in element '{node.tag}'")
        return XMLError(f"Invalid value for attribute '{names[0]}' in element '{node.tag}': '{raw}'.")


class Texts(Spot):
    """The text, or one attribute, of repeated children."""

    __slots__ = ()

    def read(self, node: Node, values: dict[str, Any], lost: Lost) -> bool:
        attribute = self.field.path.rpartition("@")[2] if self.field.kind == "attrs" else ""
        raw = node.attrs.get(attribute) if attribute else node.text
        lost += [(node, f"@{a}") for a in node.attrs if a != attribute] + [(c, "") for c in node.children]
        if raw is not None:
            values[self.name].append(self.convert(raw, node))
        return True

    def write(self, values: Mapping[str, Any], out: list[str], pad: str, bits: int) -> None:
        attribute = self.field.path.rpartition("@")[2] if self.field.kind == "attrs" else ""
        for value in values.get(self.name) or ():
            if attribute:
                out.append(f"{pad}<{self.tag} {attribute}='{escape(self.form.write(value))}'/>\n")
            else:
                out.append(f"{pad}<{self.tag}>{escape_text(self.form.write(value))}</{self.tag}>\n")


class Apart(Spot):
    """An element that belongs to an application."""

    __slots__ = ()

    def read(self, node: Node, values: dict[str, Any], lost: Lost) -> bool:
        if self.name in values:
            return False
        values[self.name] = Foreign.parse(node, lost)
        return True

    def write(self, values: Mapping[str, Any], out: list[str], pad: str, bits: int) -> None:
        value = values.get(self.name)
        if value is not None:
            value.write(out, pad)


def tail(reason: WrongValue) -> str:
    return f". {reason}" if str(reason) else "."


def escape(value: str) -> str:
    """An attribute's value between single quotes."""
    return value if value.isalnum() else value.translate(ATTRIBUTE_ESCAPES)


def escape_text(value: str) -> str:
    """An element's text."""
    return value if value.isalnum() else value.translate(TEXT_ESCAPES)
