"""XML elements as classes: each field says once where in the element its value lives.

    class Rate(Element, tag="rate"):
        bytes: Unsigned = attr()                # not optional: refused when missing
        period: Unsigned | None = attr()        # None when absent

    class Interface(Device, tag="interface"):
        network: str | None = attr("source/@network", when="network")
        bridge: str | None = attr("source/@bridge", when="bridge")
        guest_csum: OnOff | None = attr("driver/guest/@csum")
        backend: RandomBackend | EgdBackend = child()

What a field is:

* `attr("child/@name")` an attribute, `text("child")` or `text(".")` an element's text, `size(...)` a number with a
  unit, `present("child")` an empty element that says yes, `child()` and `children()` nested elements,
  `attrs("boot/@dev")` and `texts("initarg")` lists of such, `foreign("metadata")` what belongs to somebody else.
  Without a path the field's own name is meant (less a trailing "_", which keeps clear of Python's words).
* Fields whose paths lead through the same child share that child. It is written where the first of them is declared,
  and only if one of them has a value (or its `present()` field is True).
* The annotation is the spelling: `str`, `int`, `Literal["a", "b"]`, and the forms of `forms.py`. `X | None` may be
  absent; a field that is neither optional nor has a default is required ("Missing required attribute ...").
* Order of declaration is order of output; fields of a base class come after the class's own. `order=-1` puts a field
  first, `last=True` (order 1) last.
* Unions: `child()` and `children()` take the first class whose tag matches and whose `when=("attribute", "value")` (or
  a tuple of values, None for an absent one) holds; a class without `when` takes what is left. A class without a tag
  takes the path's last name. A path that ends in "/" only says which child they are in ("devices/").
* `when="file"` on a field: only if the element's `type` is that; "!file": is not; ("mode", "x") another attribute;
  ("type", ("a", "b")) several values. It limits reading; a value that is set is always written.
* `mode=LIVE` only on running guests' XML (not with `inactive=True`); `SECURE` only with `secure=True` (passwords);
  `STATUS` only in the driver's own records; `STABLE` not in `migratable=True`.
* `omit=value` does not write that value. A class with `hide_empty=True` is not written when nothing in it is;
  one with `block=True` is written on two lines when it is empty.
* `wrong=` and `missing=` make the error where libvirt has its own words for it: a function of the raw text (of
  nothing) that returns the VirtError.
* Methods to override: `check(node)` runs after an element was read (raise there; `node.line` is known);
  `visible(bits)` returns the values to write where that depends on more than a mode.

Nothing is lost silently: what no field takes is in `unknown` of the element that `from_xml` returned (path and line),
and is logged once a document.
"""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from splitvirt.api.constants import VIR_FROM_XML
from splitvirt.api.errors import XMLError
from splitvirt.xml.declare import attr, attrs, child, children, foreign, present, size, text, texts
from splitvirt.xml.forms import (  # fmt: skip
    AnyBase,
    Bitmap,
    Choice,
    EnabledDisabled,
    Form,
    Hex1,
    Hex2,
    Hex3,
    Hex4,
    Hex6,
    Hex8,
    Hex64,
    NonNegative,
    NonNegativeHex,
    OneZero,
    OnlyYes,
    OnOff,
    PlainHex,
    Positive,
    Positive64,
    Signed,
    TrueFalse,
    Unsigned,
    Unsigned64,
    WrongValue,
    YesNo,
)
from splitvirt.xml.node import Node, Unknown, locate, parse_node
from splitvirt.xml.shape import build, shape_of
from splitvirt.xml.spot import ALL, LIVE, SECURE, STABLE, STATUS, Field

__all__ = [
    "LIVE", "SECURE", "STABLE", "STATUS", "AnyBase", "Bitmap", "Choice", "Element", "EnabledDisabled", "Field",
    "Form", "Hex1", "Hex2", "Hex3", "Hex4", "Hex6", "Hex8", "Hex64", "Node", "NonNegative", "NonNegativeHex",
    "OnOff", "OneZero", "OnlyYes", "PlainHex", "Positive", "Positive64", "Signed", "TrueFalse", "Unknown",
    "Unsigned", "Unsigned64", "WrongValue", "YesNo", "attr", "attrs", "child", "children", "foreign", "present",
    "size", "text", "texts",
]  # fmt: skip

log = logging.getLogger(__name__)


class Element:
    """Base of every modelled element."""

    __slots__ = ("__dict__", "_unknown")

    TAG: ClassVar[str] = ""
    WHEN: ClassVar[tuple[str, str | tuple[str | None, ...]] | None] = None
    HIDE_EMPTY: ClassVar[bool] = False
    BLOCK: ClassVar[bool] = False
    FIELDS: ClassVar[dict[str, Field]] = {}  # in order of output
    LISTS: ClassVar[tuple[str, ...]] = ()
    MADE: ClassVar[bool] = False
    _unknown: list[Unknown]

    def __init_subclass__(
        cls,
        tag: str = "",
        when: tuple[str, str | tuple[str | None, ...]] | None = None,
        hide_empty: bool | None = None,
        block: bool = False,
    ) -> None:
        cls.TAG = tag or cls.TAG
        cls.WHEN = when
        cls.BLOCK = block or cls.BLOCK
        if hide_empty is not None:
            cls.HIDE_EMPTY = hide_empty
        own: dict[str, Field] = {}
        for name, field in list(vars(cls).items()):
            if isinstance(field, Field):
                field.bind(name, cls)
                own[name] = field
                setattr(cls, name, field.default)
        for base in cls.__bases__:
            for name, field in getattr(base, "FIELDS", {}).items():
                if name not in own and name not in vars(cls):  # a plain class attribute takes a field out
                    own[name] = field
        cls.FIELDS = dict(sorted(own.items(), key=lambda item: item[1].order))
        cls.LISTS = tuple(name for name, field in own.items() if field.many)
        cls.MADE = any(field.always for field in own.values())

    def __init__(self, **values: Any) -> None:
        fields = self.FIELDS
        for name in values:
            if name not in fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
        for name in self.LISTS:
            if name not in values:
                values[name] = []
        if self.MADE:
            values = {name: made() for name, made in shape_of(type(self)).made.items()} | values
        self.__dict__.update(values)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v!r}" for k, v in self.__dict__.items() if v is not None and v != [])
        return f"{type(self).__name__}({values})"

    @property
    def unknown(self) -> list[Unknown]:
        """What `from_xml` met and no field took."""
        return getattr(self, "_unknown", [])

    @classmethod
    def from_xml(cls, document: str, *, source: str = "(domain_definition)") -> Self:
        """Read a whole document. Raises VirtError: XMLDetail when malformed, XMLError and others when wrong."""
        node = parse_node(document, source)
        if cls.TAG and node.tag != cls.TAG:
            raise XMLError(f"expecting root element of '{cls.TAG}', not '{node.tag}'", domain=VIR_FROM_XML)
        lost: list[tuple[Node, str]] = []
        self = cls.parse(node, lost)
        if lost:
            self._unknown = locate(node, lost)
            shown = ", ".join(f"{u.path} (line {u.line})" for u in self._unknown[:10])
            log.warning("ignored %d unknown parts of %s: %s", len(self._unknown), source.strip("()"), shown)
        return self

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        """Read from a parsed node; what no field takes is added to `lost` as (node, name)."""
        self = cls.__new__(cls)
        values = self.__dict__
        for name in cls.LISTS:
            values[name] = []
        shape = shape_of(cls)
        shape.read(node, values, [] if lost is None else lost)
        for name, made in shape.made.items():
            if name not in values:
                values[name] = made()
        self.check(node)
        return self

    def check(self, node: Node) -> None:
        """Called after reading; raise VirtError for what is wrong in this element alone."""

    def visible(self, bits: int) -> Mapping[str, Any]:
        """The values to write; `bits` tells what for (LIVE, SECURE, STATUS, STABLE)."""
        return self.__dict__

    def to_xml(
        self, *, secure: bool = False, inactive: bool = False, migratable: bool = False, status: bool = False,
        indent: int = 0, tag: str = "",
    ) -> str:  # fmt: skip
        """The element as libvirt prints it, with a line end."""
        bits = ALL | (0 if inactive else LIVE) | (SECURE if secure else 0)
        bits |= (STATUS if status else 0) | (0 if migratable else STABLE)
        out: list[str] = []
        self.write(out, " " * indent, bits, tag)
        return "".join(out)

    def write(self, out: list[str], pad: str, bits: int, tag: str = "") -> None:
        """Append the element's lines to `out`."""
        shape = shape_of(type(self))
        mark = len(out)
        shape.write(self.visible(bits), out, pad, bits, tag or shape.tag, hide=self.HIDE_EMPTY)
        if self.BLOCK and len(out) == mark + 1:
            out[mark:] = [out[mark].replace("/>", ">"), f"{pad}</{tag or shape.tag}>\n"]

    def copy(self) -> Self:
        """A deep copy that shares nothing that can change."""
        new = self.__class__.__new__(self.__class__)
        values = new.__dict__
        for name, value in self.__dict__.items():
            if isinstance(value, Element):
                values[name] = value.copy()
            elif type(value) is list:
                values[name] = [v.copy() if isinstance(v, Element) else v for v in value]
            else:
                values[name] = value
        return new


build.element = Element
