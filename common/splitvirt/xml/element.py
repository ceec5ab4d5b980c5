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
  a tuple of values) holds; a class without `when` takes what is left. A class without a tag takes the path's last
  name. A path that ends in "/" only says which child they are in ("devices/").
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
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from splitvirt.api.errors import VirtError, XMLError
from splitvirt.xml.forms import (
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
    OneZero,
    OnOff,
    Positive,
    Positive64,
    Signed,
    TrueFalse,
    Unsigned,
    Unsigned64,
    WrongValue,
    YesNo,
)  # fmt: skip
from splitvirt.xml.node import Node, Unknown, locate, parse_node
from splitvirt.xml.shape import build, shape_of
from splitvirt.xml.spot import ALL, LIVE, SECURE, STABLE, STATUS, Field, When

__all__ = [
    "LIVE", "SECURE", "STABLE", "STATUS", "AnyBase", "Bitmap", "Choice", "Element", "EnabledDisabled", "Field", "Form",
    "Hex1", "Hex2", "Hex3", "Hex4", "Hex6", "Hex8", "Hex64", "Node", "NonNegative", "OnOff", "OneZero", "Positive",
    "Positive64", "Signed", "TrueFalse", "Unknown", "Unsigned", "Unsigned64", "WrongValue", "YesNo", "attr", "attrs",
    "child", "children", "foreign", "present", "size", "text", "texts",
]  # fmt: skip

log = logging.getLogger(__name__)


def attr(
    path: str = "",
    *,
    default: Any = None,
    when: When | None = None,
    order: int = 0,
    last: bool = False,
    mode: int = ALL,
    omit: Any = None,
    needed: bool = False,
    wrong: Callable[[str], VirtError] | None = None,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """An attribute, here ("@name") or in a child ("child/@name"); with `needed` that child cannot be without it."""
    field = Field("attr", path, default, when, order or int(last), mode, omit, wrong, missing)
    field.needed = needed
    return field


def text(
    path: str = "",
    *,
    default: Any = None,
    when: When | None = None,
    order: int = 0,
    last: bool = False,
    mode: int = ALL,
    omit: Any = None,
    wrong: Callable[[str], VirtError] | None = None,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """The text of a child, or with "." of this element. Absent and empty are the same."""
    return Field("text", path, default, when, order or int(last), mode, omit, wrong, missing)


def size(
    path: str = "",
    *,
    unit: str = "KiB",
    plain: str = "",
    pretty: bool | str = False,
    bare: bool = False,
    xpath: str = "",
    default: Any = None,
    when: When | None = None,
    order: int = 0,
    last: bool = False,
    mode: int = ALL,
    wrong: Callable[[str], VirtError] | None = None,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """A number with a `unit` attribute beside it: the text of a child ("memory") or an attribute ("@memory").

    Held in `unit` (bytes or KiB) and written in it, or with `pretty` in that unit or (True) the largest that divides
    it, or with `bare` without a unit; `plain` is what a number without a unit means when that is not `unit`. `xpath`
    is what libvirt's messages call it when that is not its path ("./memory[1]", "./@size").
    """
    field = Field("size", path, default, when, order or int(last), mode, None, wrong, missing)
    field.unit = (unit, plain or unit, pretty, bare)
    field.xpath = xpath
    return field


def present(path: str = "", *, when: When | None = None, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """True when a child element is there."""
    return Field("present", path, False, when, order or int(last), mode, False)


def child(
    path: str = "",
    *,
    default: Any = None,
    when: When | None = None,
    order: int = 0,
    last: bool = False,
    mode: int = ALL,
    always: bool = False,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """One nested element; of several the first counts, as in libvirt, and the others are `unknown`.

    With `always` an absent one is made empty, so that there always is one.
    """
    field = Field("child", path, default, when, order or int(last), mode, None, None, missing)
    field.always = always
    return field


def children(path: str = "", *, when: When | None = None, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """Nested elements, any number; never None. A tag shared by several such fields goes to the first that takes it."""
    return Field("children", path, None, when, order or int(last), mode)


def attrs(path: str, *, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """The same attribute of repeated children ("boot/@dev"), as a list of values."""
    return Field("attrs", path, None, None, order or int(last), mode)


def texts(path: str = "", *, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """The texts of repeated children, as a list of values."""
    return Field("texts", path, None, None, order or int(last), mode)


def foreign(path: str = "", *, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """A child whose content is an application's: a `metadata.Foreign`, written back as libvirt writes it."""
    return Field("foreign", path, None, None, order or int(last), mode)


class Element:
    """Base of every modelled element."""

    __slots__ = ("__dict__", "_unknown")

    TAG: ClassVar[str] = ""
    WHEN: ClassVar[tuple[str, str | tuple[str, ...]] | None] = None
    HIDE_EMPTY: ClassVar[bool] = False
    BLOCK: ClassVar[bool] = False
    FIELDS: ClassVar[dict[str, Field]] = {}  # in order of output
    LISTS: ClassVar[tuple[str, ...]] = ()
    MADE: ClassVar[bool] = False
    _unknown: list[Unknown]

    def __init_subclass__(
        cls,
        tag: str = "",
        when: tuple[str, str | tuple[str, ...]] | None = None,
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
            raise XMLError(f"expecting root element of '{cls.TAG}', not '{node.tag}'")
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
