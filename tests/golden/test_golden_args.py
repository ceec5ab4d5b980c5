"""Command lines: of our own cases as they are written down, and of libvirtd's where its answers are at hand."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from golden import cases, shared
from golden.argv import ALONE, answer, difference
from golden.domain_xml import prepared
from golden.score import failures

EMULATOR = Path("/usr/bin/qemu-system-x86_64")
needs_qemu = pytest.mark.skipif(not EMULATOR.exists(), reason=f"{EMULATOR} is not installed")
WRITTEN = [name for name in cases.names() if cases.expected_arguments(name)]


@needs_qemu
@pytest.mark.parametrize("name", WRITTEN)
def test_arguments(name: str) -> None:
    assert difference(cases.expected_arguments(name), cases.arguments(name), cases.given(name)) is None


def test_most_cases_have_arguments() -> None:
    assert len(WRITTEN) >= 90


@pytest.mark.skipif(
    not shared.available("domain-argv"), reason=f"libvirtd's recorded answers are not in {shared.FOLDER}"
)
def test_score_against_libvirtd() -> None:
    failed, total = failures("domain-argv")
    wrong = [(case.name, verdict) for case, verdict in failed]
    assert 1 - len(failed) / total >= 0.94, wrong
    assert not [verdict for _, verdict in wrong if verdict.startswith("CRASH")]


def test_comparer_sees_what_matters() -> None:
    line = (
        'A=1 /usr/bin/qemu -S -m 64 -device \'{"driver":"x","id":"a"}\' -netdev \'{"type":"tap","fd":"25","id":"n"}\''
    )
    assert difference(line, line.replace('"25"', '"9"')) is None
    assert difference(line, line.replace("-m 64", "-m 65")) == "-m: 64, we say 65"
    assert difference(line, line.replace('"driver":"x"', '"driver":"y"')) == (
        "-device a: {'driver': 'x'}, we say {'driver': 'y'}"
    )
    assert difference(line, line.replace("A=1", "A=2")) == "env A: 1, we say 2"
    assert difference(line, line.replace(" -S", "")) is not None


PRINTED = cases.FOLDER / "printed.jsonl"
"""What libvirtd 9.0 printed for guests of ours: options more, and options less, than for a guest without anything."""


def options(line: str) -> list[tuple[str, ...]]:
    """Words in pairs of option and value, others alone."""
    words = iter(shlex.split(line))
    found: list[tuple[str, ...]] = []
    for word in words:
        found.append((word, next(words, "")) if word.startswith("-") and word not in ALONE else (word,))
    return found


def printed(row: dict[str, Any], bases: dict[str, str]) -> str:
    """A row as the whole command line."""
    words = options(bases["q35" if "machine='q35'" in row["xml"] else "pc"])
    for gone in options(shlex.join(row["without"])):
        words.remove(gone)
    variables = [word for word in row["with"] if re.match("[A-Z_]+=", word)]
    rest = [word for word in row["with"] if word not in variables]
    return shlex.join([*variables, *(word for option in words for word in option), *rest])


@needs_qemu
def test_printed_as_libvirtd_does() -> None:
    rows = [json.loads(line) for line in PRINTED.read_text().splitlines()]
    bases = {row["base"]: row["argv"] for row in rows if "base" in row}
    wrong = []
    for row in rows:
        if "base" in row:
            continue
        got = answer(row["xml"])
        if "error" in row:
            verdict = None if got.get("error") == row["error"] else f"{row['error']}, we say {got}"
        else:
            verdict = difference(printed(row, bases), got["argv"], row["xml"]) if "argv" in got else str(got)
        if verdict is not None:
            wrong.append((row["xml"], verdict))
    assert wrong == []
    assert len(rows) > 250


@needs_qemu
def test_refused_as_libvirtd_does() -> None:
    rows = [json.loads(line) for line in (cases.FOLDER / "refused-devices.jsonl").read_text().splitlines()]
    wrong = [
        (row["xml"], row["error"], got.get("error"))
        for row in rows
        if (got := prepared(row["xml"])).get("error") != row["error"]
    ]
    assert wrong == []
    assert len(rows) > 150
