"""The model against libvirt's own schema, where that is installed: nothing documented is missing."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from splitvirt.xml.domain import Domain
from splitvirt.xml.element import Element
from splitvirt.xml.shape import Shape, shape_of
from splitvirt.xml.spot import Child, Texts

SCHEMAS = Path("/usr/share/libvirt/schemas")
NS = "{http://relaxng.org/ns/structure/1.0}"
Pairs = set[tuple[str, str]]  # an element, and an attribute or element in it

ABSENT = {
    "adapter": "only in storage pools, which share the file",
    "parentaddr": "likewise",
    ("source", "macTableManager"): "only in networks",
    ("serial", "tty"): "of Xen guests of 2008; libvirt does not write it",
    ("parallel", "tty"): "likewise",
    ("smartcard", "target"): "accepted by the schema, read by nothing",
    ("launchSecurity", "handle"): "likewise",
    ("domain", "datacenterpath"): "VMware's",
}
"""What the schema has and the model has not: elements or pairs, and why."""


def schema() -> tuple[Pairs, Pairs]:
    """Attributes and elements by the element that they are in, from the definition of `<domain>`."""
    defined: dict[str, list[ET.Element]] = {}
    for name in ("domaincommon", "basictypes", "storagecommon", "networkcommon", "cputypes"):
        for define in ET.parse(SCHEMAS / f"{name}.rng").getroot().iter(f"{NS}define"):
            defined.setdefault(define.get("name", ""), []).append(define)
    attributes: Pairs = set()
    elements: Pairs = set()
    seen: Pairs = set()

    def walk(node: ET.Element, above: str) -> None:
        kind, name = node.tag.removeprefix(NS), node.get("name", "")
        if kind == "attribute" and name:
            attributes.add((above, name))
        elif kind == "element" and name:
            elements.add((above, name))
            above = name
        elif kind == "ref" and (name, above) not in seen:
            seen.add((name, above))
            for define in defined.get(name, ()):
                for inner in define:
                    walk(inner, above)
        if kind != "attribute":
            for inner in node:
                walk(inner, above)

    for define in defined["domain"]:
        walk(define, "")
    return attributes, elements


def model() -> tuple[Pairs, Pairs]:
    """The same of our classes; prefixes of namespaces are left out, as in the schema."""
    attributes: Pairs = set()
    elements: Pairs = set()
    seen: set[tuple[type[Element], str]] = set()

    def walk(shape: Shape, tag: str) -> None:
        attributes.update((tag, name) for name in shape.known)
        if shape.sized():
            attributes.add((tag, "unit"))
        for name, places in shape.tags.items():
            inner = name.rpartition(":")[2]
            elements.add((tag, inner))
            for place in places:
                if isinstance(place, Shape):
                    walk(place, inner)
                elif isinstance(place, Texts) and place.field.kind == "attrs":
                    attributes.add((inner, place.field.path.rpartition("@")[2]))
                elif isinstance(place, Child):
                    for cls in place.classes:
                        enter(cls, inner)

    def enter(cls: type[Element], tag: str) -> None:
        if (cls, tag) not in seen:
            seen.add((cls, tag))
            walk(shape_of(cls), tag)

    enter(Domain, "domain")
    return attributes, elements


@pytest.mark.skipif(not (SCHEMAS / "domaincommon.rng").exists(), reason=f"libvirt's schemas are not in {SCHEMAS}")
def test_everything_of_the_documented_format_is_in_the_model() -> None:
    wanted, have = schema(), model()
    missing = (wanted[0] - have[0]) | {(a, b) for a, b in wanted[1] - have[1] if a}
    unexplained = {pair for pair in missing if not {pair, pair[0], pair[1]} & ABSENT.keys()}
    assert unexplained == set()
    assert len(wanted[0]) > 500
