"""The engine below `Element`: a class's fields compiled, at first use, into a tree that follows the XML.

A `Shape` is one element: the attributes, text and children that fields live in. Reading looks every attribute and child
up by name; writing walks the same tree in order. `Spot` is one field in it.
"""

import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from splitvirt.xml.forms import INTEGER, TEXT, Choice, Form
from splitvirt.xml.metadata import Foreign
from splitvirt.xml.node import Node
from splitvirt.xml.spot import ALL, Apart, Child, Field, Lost, Spot, Test, Texts, When, escape, escape_text

if TYPE_CHECKING:
    from splitvirt.xml.element import Element


class Shape:
    """One element, or a child that paths lead through: where its attributes, text and children go."""

    __slots__ = ("attrs", "known", "made", "mode", "order", "present", "required", "tag", "tags", "test", "text")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.attrs: list[Spot] = []  # in order of output
        self.known: dict[str, list[Spot]] = {}  # by attribute
        self.text: list[Spot] = []
        self.present: Spot | None = None
        self.order: list[Shape | Child | Texts | Apart] = []
        self.tags: dict[str, list[Shape | Child | Texts | Apart]] = {}
        self.required: list[Spot] = []
        self.made: dict[str, type[Element]] = {}  # only in the shape of a whole class: children that are never absent
        self.mode = ALL
        self.test: Test | None = None

    def read(self, node: Node, values: dict[str, Any], lost: Lost, owner: Node | None = None) -> None:
        """Read `node` into `values`; `owner` is the element whose class this is (conditions look there)."""
        top = node if owner is None else owner
        if node.attrs:
            self.read_attributes(node, values, lost, top)
        if self.text:
            self.read_text(node, values, top)
        elif node.text and not node.text.isspace() and node.pieces is None:
            lost.append((node, "text()"))
        if self.present is not None:
            values[self.present.name] = True
        if node.children:
            self.read_children(node, values, lost, top)
        if self.required:
            self.demand(node, values, top)

    def read_attributes(self, node: Node, values: dict[str, Any], lost: Lost, top: Node) -> None:
        known = self.known
        for name, raw in node.attrs.items():
            for spot in known.get(name, ()):
                if spot.test is None or spot.test(top):
                    if spot.field.kind == "size":
                        values[spot.name] = spot.scaled(raw, node.attrs.get("unit"), node)
                    else:
                        value = spot.convert(raw, node)
                        if value is not None:
                            values[spot.name] = value
                    break
            else:
                if name != "unit" or not self.sized():
                    lost.append((node, f"@{name}"))

    def sized(self) -> bool:
        return any(s.field.kind == "size" for s in (*self.attrs, *self.text))

    def read_text(self, node: Node, values: dict[str, Any], top: Node) -> None:
        raw = node.text
        if not raw:
            return
        for spot in self.text:
            if spot.test is None or spot.test(top):
                if spot.field.kind == "size":
                    values[spot.name] = spot.scaled(raw, node.attrs.get("unit"), node)
                elif spot.form is TEXT:
                    if not (node.children and raw.isspace()):
                        values[spot.name] = raw
                elif not raw.isspace():
                    values[spot.name] = spot.convert(raw.strip(), node)
                return

    def read_children(self, node: Node, values: dict[str, Any], lost: Lost, top: Node) -> None:
        seen: set[int] = set()
        for inner in node.children:
            for place in self.tags.get(inner.tag, ()):
                if place.test is not None and not place.test(top):
                    continue
                if type(place) is Shape:
                    if id(place) in seen:
                        continue
                    seen.add(id(place))
                    place.read(inner, values, lost, top)
                    break
                if place.read(inner, values, lost):
                    break
            else:
                self.refuse(inner)
                lost.append((inner, ""))

    def refuse(self, node: Node) -> None:
        """Raise if a union knows the tag but not this kind of it."""
        for place in self.tags.get(node.tag, ()):
            error = place.choices(node) if isinstance(place, Child) else None
            if error is not None:
                error.add_note(f"line {node.line}")
                raise error

    def demand(self, node: Node, values: dict[str, Any], top: Node) -> None:
        for spot in self.required:
            if values.get(spot.name) is None and (spot.test is None or spot.test(top)):
                error = spot.field.missing() if spot.field.missing else spot.lacking(node)
                error.add_note(f"line {node.line}")
                raise error

    def write(
        self, values: Mapping[str, Any], out: list[str], pad: str, bits: int, tag: str, hide: bool = False
    ) -> None:
        """Append the element; with `hide` only if there is anything in it."""
        head = f"{pad}<{tag}"
        for spot in self.attrs:
            value = values.get(spot.name, spot.default)
            if value is None or value == spot.omit or not spot.mode & bits:
                continue
            if spot.field.kind == "size":
                number_, unit = spot.spell(value)
                head += f" {spot.tag}='{number_}' unit='{unit}'" if unit else f" {spot.tag}='{number_}'"
            else:
                head += f" {spot.tag}='{escape(spot.form.write(value))}'"
        body = ""
        for spot in self.text:
            value = values.get(spot.name, spot.default)
            if value is None or value == spot.omit or not spot.mode & bits:
                continue
            if spot.field.kind == "size":
                body, unit = spot.spell(value)
                head += f" unit='{unit}'" if unit else ""
            else:
                body = escape_text(spot.form.write(value))
        mark = len(out)
        if self.order:
            out.append("")
            inner = pad + "  "
            for place in self.order:
                if not place.mode & bits:
                    continue
                if type(place) is Shape:
                    place.write(values, out, inner, bits, place.tag, hide=not place.stands(values))
                else:
                    place.write(values, out, inner, bits)  # type: ignore[call-arg]
            if len(out) > mark + 1:
                out[mark] = f"{head}>{body}\n"
                out.append(f"{pad}</{tag}>\n")
                return
            del out[mark:]
        if body:
            out.append(f"{head}>{body}</{tag}>\n")
        elif not hide or len(head) > len(pad) + len(tag) + 1:
            out.append(f"{head}/>\n")

    def stands(self, values: Mapping[str, Any]) -> bool:
        """Whether the element is written even with nothing in it."""
        return self.present is not None and bool(values.get(self.present.name))


class Builder:
    """Compiles classes; `element` is the base class, set by its module."""

    element: "type[Element]"

    def __call__(self, cls: "type[Element]") -> Shape:
        hints = typing.get_type_hints(cls, include_extras=True)
        top = Shape(cls.TAG)
        for name, field in cls.FIELDS.items():
            form, classes, optional = self.meaning(hints.get(name, Foreign))
            form = unless_blank(form) if field.blank else form
            test = condition(cls, field.when)
            spot = self.place(top, field, form, classes, test)
            if field.always:
                top.made[name] = classes[0]
            elif not optional and field.default is None and field.kind in ("attr", "text", "child", "size"):
                top.required.append(spot)
        self.settle(top)
        return top

    def meaning(self, hint: Any) -> "tuple[Form, tuple[type[Element], ...], bool]":
        """What an annotation says: the spelling, or the classes of elements; and whether it may be absent."""
        origin = get_origin(hint)
        if origin is Annotated:
            form = next((m for m in hint.__metadata__ if isinstance(m, Form)), None)
            return (form, (), False) if form else self.meaning(get_args(hint)[0])
        if origin in (Union, UnionType):
            parts = get_args(hint)
            found = [self.meaning(p) for p in parts if p is not NoneType]
            classes = tuple(c for _, many, _ in found for c in many)
            return found[0][0], classes, NoneType in parts
        if origin in (list, tuple):
            return self.meaning(get_args(hint)[0])
        if origin is Literal:
            return Choice(*get_args(hint)), (), False
        if isinstance(hint, type) and issubclass(hint, self.element):
            return TEXT, (hint,), False
        return (INTEGER if hint is int else TEXT), (), False

    def place(
        self, top: Shape, field: Field, form: Form, classes: "tuple[type[Element], ...]", test: Test | None
    ) -> Spot:
        """Put a field where its path leads."""
        path, at, name = field.path.rpartition("@")
        if not at:
            path, name = field.path, ""
        path = path if classes else path.rstrip("/")
        if field.kind == "attr" or (field.kind == "size" and at):
            spot = Spot(field, form, classes, name, test)
            shape = self.reach(top, path)
            shape.attrs.append(spot)
            if field.needed:
                shape.required.append(spot)
            shape.known.setdefault(name, []).append(spot)
            return spot
        if field.kind in ("text", "size", "present"):
            shape = top if path == "." else self.reach(top, path)
            spot = Spot(field, form, classes, path.rpartition("/")[2].strip("."), test)
            if field.kind == "present":
                shape.present = spot
            else:
                shape.text.append(spot)
            return spot
        holder, _, tag = path.rpartition("/")
        kind: type[Child | Texts | Apart] = Child if classes else Apart if field.kind == "foreign" else Texts
        made = kind(field, form, classes, tag, test)
        shape = self.reach(top, holder)
        shape.order.append(made)
        for each in dict.fromkeys(c.TAG or tag for c in classes) or (tag,):
            shape.tags.setdefault(each, []).append(made)
        return made

    def reach(self, shape: Shape, path: str) -> Shape:
        """The shape of the child that a path leads to, made when needed."""
        for tag in path.split("/") if path else ():
            inner = next((p for p in shape.order if type(p) is Shape and p.tag == tag), None)
            if inner is None:
                inner = Shape(tag)
                shape.order.append(inner)
                shape.tags.setdefault(tag, []).append(inner)
            shape = inner
        return shape

    def settle(self, shape: Shape) -> None:
        """A child that paths lead through is conditional when everything in it is."""
        for inner in shape.order:
            if type(inner) is Shape:
                self.settle(inner)
                inside = [*inner.attrs, *inner.text, *inner.order, *([inner.present] if inner.present else [])]
                tests = [s.test for s in inside]
                if all(tests):
                    inner.test = either([t for t in tests if t])
                if inner.present is not None:
                    inner.mode = inner.present.mode


def unless_blank(form: Form) -> Form:
    """A form that takes an empty value for an absent one."""
    return Form(lambda raw: form.read(raw) if raw else None, form.write)


def either(tests: list[Test]) -> Test:
    return lambda node: any(t(node) for t in tests)


def condition(cls: "type[Element]", when: When | None) -> Test | None:
    """A field's `when` as a test of the element's node; an absent attribute counts as its field's default."""
    if when is None:
        return None
    attribute, wanted = ("type", when) if isinstance(when, str) else when
    values = frozenset(v.lstrip("!") for v in ((wanted,) if isinstance(wanted, str) else wanted))
    negate = (wanted if isinstance(wanted, str) else wanted[0]).startswith("!")
    field = next((f for f in cls.FIELDS.values() if f.path == f"@{attribute}"), None)
    default = None if field is None else field.default
    return lambda node: (node.attrs.get(attribute, default) in values) is not negate


build = Builder()
SHAPES: "dict[type[Element], Shape]" = {}


def shape_of(cls: "type[Element]") -> Shape:
    """The compiled class."""
    shape = SHAPES.get(cls)
    if shape is None:
        shape = SHAPES[cls] = build(cls)
    return shape
