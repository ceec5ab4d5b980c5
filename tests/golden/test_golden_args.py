"""Command lines: of our own cases as they are written down, and of libvirtd's where its answers are at hand."""

from pathlib import Path

import pytest

from golden import cases, shared
from golden.argv import difference
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
