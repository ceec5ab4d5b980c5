"""Our own golden cases: every one gives what is written down, and together they set every field of the model."""

import json
from collections import Counter
from pathlib import Path

import pytest

from golden import cases
from golden.domain_xml import prepared
from golden.exercised import declared, exercised
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.domain import Domain
from splitvirt.xml.element import Element

EMULATOR = Path("/usr/bin/qemu-system-x86_64")
needs_qemu = pytest.mark.skipif(not EMULATOR.exists(), reason=f"{EMULATOR} is not installed")

READ_ONLY = {
    ("Domain", "qemu_namespace"): "written where the namespace is used, never read",
    ("Domain", "lxc_namespace"): "likewise",
    ("Bandwidth", "class_id"): "only in networks and their ports",
    ("Graphics", "websocket_generated"): "only in the driver's own records",
    ("Listen", "from_config"): "only in the driver's own records",
    ("Graphics", "vnc_port"): "read into `port`, where the words for a wrong one differ",
    ("S390Address", "type"): "always refused",
    ("UnknownHostdev", "type"): "always refused",
    ("PciHostdev", "startup_policy"): "always refused",
    ("ChardevSource", "tls_from_config"): "only in the driver's own records",
}
"""Fields that no document of a user or of libvirt sets, and why."""


@needs_qemu
@pytest.mark.parametrize("name", cases.names())
def test_case(name: str) -> None:
    assert cases.answered(name)[0] == cases.expected(name)


@needs_qemu
@pytest.mark.parametrize("name", cases.names())
def test_case_is_stable(name: str) -> None:
    text = cases.expected(name)
    if text.startswith("<"):
        again = prepared(text)["xml"]  # only the place of implicit controllers may change, and only once
        assert sorted(again.splitlines()) == sorted(text.splitlines())
        assert prepared(again)["xml"] == again


@pytest.mark.parametrize("name", cases.names())
def test_nothing_is_lost(name: str) -> None:
    assert Domain.from_xml(cases.given(name)).unknown == []


@pytest.mark.parametrize(("name", "text", "cls"), list(cases.formats()), ids=cases.names("format"))
def test_format(name: str, text: str, cls: type[Element]) -> None:
    element = cls.from_xml(text)
    assert element.to_xml(secure=True) == text
    assert element.unknown == []
    assert element.copy() == element


def test_every_declared_field_was_exercised() -> None:
    documents: list[Element] = [Domain.from_xml(cases.given(name)) for name in cases.names()]
    documents += [cls.from_xml(text) for _, text, cls in cases.formats()]
    never = declared(Domain) - exercised(documents) - READ_ONLY.keys()
    assert not never, f"write a case in tests/golden/cases that sets {sorted(never)}"


def test_every_device_kind_has_three_cases() -> None:
    texts = [cases.given(name) for name in cases.names()] + [text for _, text, _ in cases.formats()]
    rare = {"nvram"}  # only POWER has it
    for name in Devices.FIELDS:
        tag = {"memories": "memory", "graphics": "graphics"}.get(name, name.removesuffix("s"))
        count = sum(f"    <{tag}" in text.partition("<devices>")[2] for text in texts)
        assert count >= (1 if tag in rare else 3), tag


STORED = cases.FOLDER / "stored.jsonl"
"""What libvirtd 9.0 stored of guests of ours: lines more, and lines less, than of a guest without anything."""


@needs_qemu
def test_stored_as_libvirtd_does() -> None:
    rows = [json.loads(line) for line in STORED.read_text().splitlines()]
    bases = {row["base"]: lines(row["xml"]) for row in rows if "base" in row}
    wrong = []
    for row in rows:
        if "base" not in row:
            expected = bases["q35" if "machine='q35'" in row["xml"] else "pc"] - Counter(row["without"])
            if (got := lines(row["xml"])) != expected + Counter(row["with"]):
                wrong.append((row["xml"], expected + Counter(row["with"]) - got, got - expected - Counter(row["with"])))
    assert wrong == []
    assert len(rows) > 60


def lines(document: str) -> Counter[str]:
    """How often each line is in what we store of a document; or the refusal."""
    answer = prepared(document)
    return Counter(str(answer.get("xml", answer.get("error"))).splitlines())
