"""How a class of `element.py` says where its fields live. The meaning of each parameter is told there."""

from collections.abc import Callable
from typing import Any

from splitvirt.api.errors import VirtError
from splitvirt.xml.spot import ALL, Field, When


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
    blank: bool = False,
    wrong: Callable[[str], VirtError] | None = None,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """An attribute, here ("@name") or in a child ("child/@name"); with `needed` that child cannot be without it.

    With `blank` an empty value is an absent one.
    """
    field = Field("attr", path, default, when, order or int(last), mode, omit, wrong, missing)
    field.needed, field.blank = needed, blank
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
    omit: Any = None,
    wrong: Callable[[str], VirtError] | None = None,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """A number with a `unit` attribute beside it: the text of a child ("memory") or an attribute ("@memory").

    Held in `unit` (bytes or KiB) and written in it, or with `pretty` in that unit or (True) the largest that divides
    it, or with `bare` without a unit; `plain` is what a number without a unit means when that is not `unit`. `xpath`
    is what libvirt's messages call it when that is not its path ("./memory[1]", "./@size").
    """
    field = Field("size", path, default, when, order or int(last), mode, omit, wrong, missing)
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
    wrong: Callable[[str], VirtError] | None = None,
    missing: Callable[[], VirtError] | None = None,
) -> Any:
    """One nested element; of several the first counts, as in libvirt, and the others are `unknown`.

    With `always` an absent one is made empty, so that there always is one. In a union, `wrong` and `missing` also make
    the errors for an attribute's value that no class has, and for its absence.
    """
    field = Field("child", path, default, when, order or int(last), mode, None, wrong, missing)
    field.always = always
    return field


def children(
    path: str = "",
    *,
    when: When | None = None,
    order: int = 0,
    last: bool = False,
    mode: int = ALL,
    wrong: Callable[[str], VirtError] | None = None,
) -> Any:
    """Nested elements, any number; never None. A tag shared by several such fields goes to the first that takes it."""
    return Field("children", path, None, when, order or int(last), mode, None, wrong)


def attrs(path: str, *, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """The same attribute of repeated children ("boot/@dev"), as a list of values."""
    return Field("attrs", path, None, None, order or int(last), mode)


def texts(path: str = "", *, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """The texts of repeated children, as a list of values."""
    return Field("texts", path, None, None, order or int(last), mode)


def foreign(path: str = "", *, order: int = 0, last: bool = False, mode: int = ALL) -> Any:
    """A child whose content is an application's: a `metadata.Foreign`, written back as libvirt writes it."""
    return Field("foreign", path, None, None, order or int(last), mode)
