"""Where two documents differ in what they mean.

The order of attributes and of children with different tags has no meaning; generated values (a UUID or MAC that the
input did not have, files named after the guest) are compared by presence only.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAC = re.compile(r"52:54:00(:[0-9a-f]{2}){3}")


def difference(expected: str, got: str, given: str = "") -> str | None:
    """The first difference, as path and both values; None when there is none. `given` is the input of both."""
    left, right = ET.fromstring(expected), ET.fromstring(got)
    return next(differences(left, right, left.tag, given), None)


def differences(left: ET.Element, right: ET.Element, path: str, given: str) -> Iterator[str]:
    """All differences below two elements of the same tag."""
    for name in sorted(left.attrib.keys() | right.attrib.keys()):
        a, b = left.get(name), right.get(name)
        if not same(a, b, given):
            yield f"{path}/@{name}: {show(a)}, we say {show(b)}"
    a, b = plain(left.text, left), plain(right.text, right)
    if not same(a, b, given):
        yield f"{path}: {show(a)}, we say {show(b)}"
    yield from below(left, right, path, given)


def below(left: ET.Element, right: ET.Element, path: str, given: str) -> Iterator[str]:
    for tag in dict.fromkeys(n.tag for n in (*left, *right)):
        ours, theirs = right.findall(str(tag)), left.findall(str(tag))
        for i, (a, b) in enumerate(zip(theirs, ours, strict=False)):
            yield from differences(a, b, f"{path}/{tag}" + (f"[{i}]" if len(theirs) > 1 else ""), given)
        for extra in theirs[len(ours) :]:
            yield f"{path}/{tag}: missing {brief(extra)}"
        for extra in ours[len(theirs) :]:
            yield f"{path}/{tag}: too many {brief(extra)}"


def same(a: str | None, b: str | None, given: str) -> bool:
    if a == b:
        return True
    if a is None or b is None:
        return False
    generated = (UUID, MAC)
    return a not in given and any(p.fullmatch(a) and p.fullmatch(b) for p in generated)


def plain(text: str | None, node: ET.Element) -> str | None:
    return text if text and (text.strip() or not len(node)) else None


def show(value: str | None) -> str:
    return "absent" if value is None else f"'{value}'"


def brief(node: ET.Element) -> str:
    return " ".join(ET.tostring(node, encoding="unicode").split())[:160]
