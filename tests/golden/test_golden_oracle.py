"""Our own cases judged by the installed libvirtd, where there is one."""

import json

import pytest
from support import libvirtd

from golden import cases, oracle
from golden.compare import difference
from golden.domain_xml import prepared
from splitvirt.xml.domain import Domain

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not libvirtd.available(), reason="no libvirtd that could be started privately"),
    pytest.mark.skipif(not oracle.available(), reason="python3-libvirt is not installed"),
]

YOUNGER = {
    "crypto-builtin": "<crypto> came with libvirt 9.0's successor",
    "crypto-pc": "likewise",
    "crypto-two": "likewise",
    "video-virtio": "blob resources likewise",
    "input-usb": "libvirtd drops an empty <driver/>",
}
"""Cases on which we differ from libvirt 9.0 on purpose, and why."""


def verdict(document: str, theirs: dict[str, object]) -> str | None:
    """How our answer differs from libvirtd's."""
    ours = prepared(document)
    if "error" in theirs or "error" in ours:
        return None if theirs.get("error") == ours.get("error") else f"{theirs}, we say {ours.get('error', 'yes')}"
    return difference(str(theirs["xml"]), ours["xml"], document)


def test_libvirtd_says_the_same_of_our_cases() -> None:
    names = [name for name in cases.names() if name not in YOUNGER]
    answers = oracle.ask([cases.given(name) for name in names])
    wrong = {n: v for n, a in zip(names, answers, strict=True) if (v := verdict(cases.given(n), a)) is not None}
    assert wrong == {}


def test_libvirtd_reads_what_we_store() -> None:
    names = [name for name in cases.names() if name not in YOUNGER and cases.expected(name).startswith("<")]
    answers = oracle.ask([cases.expected(name) for name in names])
    assert {n: a["error"] for n, a in zip(names, answers, strict=True) if "error" in a} == {}


def test_what_we_refuse_libvirtd_refuses() -> None:
    rows = [json.loads(line) for line in (cases.FOLDER / "refused.jsonl").read_text().splitlines()]
    answers = oracle.ask([row["xml"] for row in rows])
    accepted = [row for row, answer in zip(rows, answers, strict=True) if "error" not in answer]
    assert accepted == []


def test_libvirtd_keeps_our_metadata() -> None:
    document = cases.given("top-everything")
    answer = oracle.ask([document])[0]
    ours = Domain.from_xml(document).metadata
    assert ours is not None
    assert ours.text(2) in answer["xml"]
