"""Sizes with a unit: `<memory unit='KiB'>`, `<max_size unit='bytes'>`."""

from splitvirt.api.errors import InvalidArg, Overflow
from splitvirt.xml.forms import U64

POWERS = {"b": 0, "byte": 0, "bytes": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
NAMES = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
SHIFT = {name: 10 * i for i, name in enumerate(NAMES)} | {"B": 0, "M": 20}


def factor(unit: str) -> int:
    """Bytes in one `unit`: "KiB" or "k" is 1024, "KB" 1000, in any case. Raises InvalidArg."""
    low = unit.lower()
    if low in POWERS:
        return int(1024 ** POWERS[low])
    if low[:1] in POWERS and low[1:] in ("ib", "b"):
        return int((1024 if low[1:] == "ib" else 1000) ** POWERS[low[:1]])
    raise InvalidArg(f"unknown suffix '{unit}'")


def to_bytes(value: int, unit: str) -> int:
    """A count of units as bytes. Raises Overflow when it exceeds 64 bits, InvalidArg when the unit is unknown."""
    size = value * factor(unit)
    if size > U64:
        raise Overflow(f"value too large: {value}{unit}")
    return size


def scale(value: int, unit: str, into: str) -> int:
    """A count of `unit` as a count of `into` (bytes, KiB, ...), rounded up as libvirt does."""
    shift = SHIFT[into]
    return (to_bytes(value, unit) + (1 << shift) - 1) >> shift


def pretty(value: int, unit: str) -> tuple[int, str]:
    """The largest unit that gives a whole number: (8388608, "bytes") is (8, "MiB")."""
    power = NAMES.index(unit)
    while value and value % 1024 == 0 and power + 1 < len(NAMES):
        value //= 1024
        power += 1
    return value, NAMES[power]


def unsigned(text: str) -> int | None:
    """The number that a text stands for in C, which allows for blanks and a plus before it; None if it is none."""
    digits = text.lstrip().removeprefix("+")
    return int(digits) if decimal(digits) else None


def decimal(text: str) -> bool:
    """Whether a text is a plain decimal number; of megabytes of digits, which nobody means and Python refuses, not."""
    return len(text) <= 4000 and text.isascii() and text.isdigit()
