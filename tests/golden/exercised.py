"""Which declared fields of the XML model a set of documents sets."""

import typing
from collections.abc import Iterable, Iterator

from splitvirt.xml.element import Element
from splitvirt.xml.shape import build

Name = tuple[str, str]  # class and field


def declared(top: type[Element]) -> set[Name]:
    """All fields of a class and of those below it, each by the class that declares it."""
    seen: set[type[Element]] = set()
    found: set[Name] = set()

    def walk(cls: type[Element]) -> None:
        if cls in seen:
            return
        seen.add(cls)
        hints = typing.get_type_hints(cls, include_extras=True)
        for name in cls.FIELDS:
            found.add(owner(cls, name))
            for inner in build.meaning(hints[name])[1]:
                walk(inner)

    walk(top)
    return found


def owner(cls: type[Element], name: str) -> Name:
    """A field by the class that declares it."""
    declaring = cls.FIELDS[name].owner
    return (declaring.__name__ if declaring else cls.__name__, name)


def exercised(documents: Iterable[Element]) -> set[Name]:
    """The fields that were set to something in any of the documents."""
    found: set[Name] = set()
    for document in documents:
        for element in below(document):
            for name, value in vars(element).items():
                if name in element.FIELDS and given(element, name, value):
                    found.add(owner(type(element), name))
    return found


def given(element: Element, name: str, value: object) -> bool:
    """Whether a value says something: False does, unless it is the absence of a child."""
    return value is not None and value != [] and (value is not False or element.FIELDS[name].kind != "present")


def below(element: Element) -> Iterator[Element]:
    """An element and all elements in it."""
    yield element
    for value in vars(element).values():
        for inner in value if isinstance(value, list) else (value,):
            if isinstance(inner, Element):
                yield from below(inner)
