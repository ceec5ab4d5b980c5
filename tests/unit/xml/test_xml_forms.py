"""Spellings of values: numbers, sets of numbers, sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitvirt.api.errors import InvalidArg, Overflow
from splitvirt.xml import units
from splitvirt.xml.forms import U32, WrongValue, hexadecimal, integer, number, read_set, write_set


@pytest.mark.parametrize(
    ("raw", "base", "value"),
    [
        ("10", 10, 10),
        (" 7", 10, 7),
        ("-3", 10, -3),
        ("0x1F", 0, 31),
        ("017", 0, 15),
        ("017", 10, 17),
        ("ff", 16, 255),
        ("fg", 16, None),
    ],
)
def test_numbers_are_read_as_c_reads_them(raw: str, base: int, value: int | None) -> None:
    if value is None:
        with pytest.raises(WrongValue):
            number(raw, base, "")
    else:
        assert number(raw, base, "") == value


@pytest.mark.parametrize("raw", ["", " ", "x", "1 ", "1_0", "٣", "0x", "--1", "1.0", "9" * 30])
def test_what_is_no_number(raw: str) -> None:
    with pytest.raises(WrongValue):
        integer(0, U32, "").read(raw)


@given(st.integers(0, U32), st.integers(1, 8))
def test_hexadecimal(value: int, digits: int) -> None:
    form = hexadecimal(digits)
    assert form.read(form.write(value)) == value
    assert len(form.write(value)) >= digits + 2


@given(st.frozensets(st.integers(0, 16383), min_size=1))
def test_sets_come_back(values: frozenset[int]) -> None:
    assert read_set(write_set(values)) == values


def test_sets_as_libvirt_writes_them() -> None:
    assert write_set(read_set("525,1-4,8-20,^3")) == "1-2,4,8-20,525"
    assert write_set(read_set("0-2,^1")) == "0,2"


@pytest.mark.parametrize("raw", ["", "x", "1-", "-1", "3-1", "1,,2", "99999", "^0-1", "1;2", "9999999999999999999"])
def test_what_is_no_set(raw: str) -> None:
    with pytest.raises(InvalidArg, match="Failed to parse bitmap"):
        read_set(raw)


@pytest.mark.parametrize(
    ("value", "unit", "kib"),
    [
        (1, "b", 1),
        (1025, "bytes", 2),
        (1, "KB", 1),
        (3, "k", 3),
        (2, "MiB", 2048),
        (1, "GB", 976563),
        (1, "TiB", 1 << 30),
    ],
)
def test_sizes_round_up(value: int, unit: str, kib: int) -> None:
    assert units.scale(value, unit, "KiB") == kib


def test_sizes_out_of_bounds() -> None:
    with pytest.raises(InvalidArg, match="unknown suffix 'x'"):
        units.scale(1, "x", "KiB")
    with pytest.raises(Overflow, match="value too large: 16EiB"):
        units.scale(16, "EiB", "KiB")


def test_pretty_sizes() -> None:
    assert units.pretty(8 << 20, "bytes") == (8, "MiB")
    assert units.pretty(1025, "KiB") == (1025, "KiB")
    assert units.pretty(0, "bytes") == (0, "bytes")
