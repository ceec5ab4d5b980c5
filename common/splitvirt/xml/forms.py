"""How a value is spelled in XML: annotations for fields of `Element` classes.

    enabled: YesNo | None = attr()              bool, "yes" or "no"
    mode: Literal["a", "b"] | None = attr()     a closed set
    mode: Annotated[str, Choice("a", "b")] | None = attr()      the same, where a type alias is wanted
    queues: Unsigned | None = attr()            0 .. 2**32 - 1
    slot: Hex2 = attr()                         0x1f

A form's `read` raises `WrongValue`; the engine makes libvirt's message of it. Read and write are plain functions.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from splitvirt.api.errors import InvalidArg

NUMBER = re.compile(r"[ \t\n]*[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+)")
HEXADECIMAL = re.compile(r"[ \t\n]*[+-]?(?:0[xX])?[0-9a-fA-F]+")
RANGE = re.compile(r"\s*(\^?)([0-9]{1,9})(?:-([0-9]{1,9}))?\s*")
WHOLE = "Expected integer value"
UNSIGNED = "Expected non-negative integer value"
U32 = (1 << 32) - 1
U64 = (1 << 64) - 1


class WrongValue(ValueError):
    """A value that the form does not allow; the text is what libvirt adds to its message, or empty."""


class EmptySet(WrongValue):
    """A set of numbers with nothing in it."""


class Form:
    """A spelling: `read` from the attribute or text (None when it is to count as absent), `write` back."""

    __slots__ = ("read", "write")

    def __init__(self, read: Callable[[str], Any], write: Callable[[Any], str]) -> None:
        self.read, self.write = read, write


def keep(value: str) -> str:
    return value


def switch(yes: str, no: str) -> Form:
    """A boolean spelled by two words."""
    values = {yes: True, no: False}

    def read(raw: str) -> bool:
        try:
            return values[raw]
        except KeyError:
            raise WrongValue from None

    return Form(read, lambda value: yes if value else no)


class Choice(Form):
    """A closed set of words."""

    __slots__ = ("words",)

    def __init__(self, *words: str) -> None:
        self.words = frozenset(words)
        super().__init__(self.check, str)

    def check(self, raw: str) -> str:
        if raw not in self.words:
            raise WrongValue
        return raw


def number(raw: str, base: int, expected: str) -> int:
    """An integer as C reads it: base 10, or base 0 with 0x and leading-zero octal."""
    if not (HEXADECIMAL if base == 16 else NUMBER).fullmatch(raw):
        raise WrongValue(expected)
    text = raw.strip()
    digits = text.lstrip("+-")
    if base == 16:
        return int(text, 16)
    if base == 0 and digits[:2] in ("0x", "0X"):
        return int(text, 16)
    try:
        return int(text, 8 if base == 0 and len(digits) > 1 and digits[0] == "0" else 10)
    except ValueError:
        raise WrongValue(expected) from None


def integer(
    low: int, high: int, expected: str, *, base: int = 10, spell: str = "d", prefix: str = "", zero: bool = True
) -> Form:
    """A whole number in bounds; `expected` is libvirt's word for what it wants."""
    kind = UNSIGNED if expected == UNSIGNED else WHOLE

    def read(raw: str) -> int:
        value = number(raw, base, kind)
        if not low <= value <= high:
            raise WrongValue(expected if value < low else kind)
        if value == 0 and not zero:
            raise WrongValue("Zero is not permitted")
        return value

    return Form(read, (lambda v: str(v)) if spell == "d" and not prefix else (lambda v: prefix + format(v, spell)))


INTEGER = integer(-(1 << 63), U64, WHOLE)
TEXT = Form(keep, str)

YesNo = Annotated[bool, switch("yes", "no")]
OnOff = Annotated[bool, switch("on", "off")]
TrueFalse = Annotated[bool, switch("true", "false")]
EnabledDisabled = Annotated[bool, switch("enabled", "disabled")]
OneZero = Annotated[bool, switch("1", "0")]

Unsigned = Annotated[int, integer(0, U32, UNSIGNED)]
Unsigned64 = Annotated[int, integer(0, U64, UNSIGNED)]
NonNegative = Annotated[int, integer(0, (1 << 31) - 1, "Expected non-negative value")]
Positive = Annotated[int, integer(0, U32, UNSIGNED, zero=False)]
Positive64 = Annotated[int, integer(0, U64, UNSIGNED, zero=False)]
NonNegativeHex = Annotated[
    int, integer(0, (1 << 31) - 1, "Expected non-negative value", base=0, spell="x", prefix="0x")
]
Signed = Annotated[int, integer(-(1 << 31), (1 << 31) - 1, WHOLE)]
AnyBase = Annotated[int, integer(0, U32, UNSIGNED, base=0)]


def lenient(form: Form) -> Form:
    """A form that takes a wrong value for an absent one, where libvirt does."""

    def read(raw: str) -> Any:
        try:
            return form.read(raw)
        except WrongValue:
            return None

    return Form(read, form.write)


OnlyYes = Annotated[bool, Form("yes".__eq__, {True: "yes", False: "no"}.__getitem__)]
"""Where any word but "yes" is a no."""


def hexadecimal(digits: int, high: int = U32, *, base: int = 0) -> Form:
    """A number written as 0x with at least so many digits, read in any base, or with `base` 16 as hexadecimal."""
    return integer(0, high, UNSIGNED, base=base, spell=f"0{digits}x", prefix="0x")


Hex1 = Annotated[int, hexadecimal(1)]
Hex2 = Annotated[int, hexadecimal(2)]
Hex3 = Annotated[int, hexadecimal(3)]
Hex4 = Annotated[int, hexadecimal(4)]
Hex6 = Annotated[int, hexadecimal(6)]
Hex8 = Annotated[int, hexadecimal(8)]
Hex64 = Annotated[int, hexadecimal(1, U64)]
PlainHex = Annotated[int, hexadecimal(1, base=16)]
"""Hexadecimal with or without 0x."""


def read_set(raw: str, limit: int = 16384) -> frozenset[int]:
    """Numbers below `limit` as libvirt lists them: "0-3,^2,8". Raises InvalidArg, or EmptySet when none is left."""
    found: set[int] = set()
    for part in raw.split(","):
        match = RANGE.fullmatch(part)
        first = int(match[2]) if match else 0
        last = int(match[3] or first) if match else 0
        if match is None or last >= limit or last < first or (match[1] and match[3]):
            raise InvalidArg(f"Failed to parse bitmap '{raw}'")
        if match[1]:
            found.discard(first)
        else:
            found.update(range(first, last + 1))
    if not found:
        raise EmptySet
    return frozenset(found)


def write_set(values: frozenset[int]) -> str:
    """The shortest list that `read_set` understands, ascending."""
    parts: list[str] = []
    ordered = sorted(values)
    start = 0
    for i, value in enumerate(ordered):
        if i + 1 < len(ordered) and ordered[i + 1] == value + 1:
            continue
        parts.append(f"{value}" if ordered[start] == value else f"{ordered[start]}-{value}")
        start = i + 1
    return ",".join(parts)


Bitmap = Annotated[frozenset[int], Form(read_set, write_set)]
