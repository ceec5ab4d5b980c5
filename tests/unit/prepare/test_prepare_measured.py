"""Small guests of our own, and what libvirtd 9.0 with QEMU 7.2 made of them: where it put each device, or why not.

`tests/data/prepare/placed.jsonl` and `refused.jsonl` are its answers, recorded; every row is one guest.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from support.prepared import capabilities, places, prepared, refusal

from splitvirt.xml.domain import Domain
from virtqemud.prepare import prepare

DATA = Path(__file__).parents[2] / "data" / "prepare"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def test_devices_are_where_libvirt_puts_them() -> None:
    wrong = [
        (row["machine"], row["devices"], set(row["places"]) ^ set(got))
        for row in rows("placed")
        if (got := places(prepared(row["machine"], row["devices"], row.get("extra", "")))) != row["places"]
    ]
    assert wrong == []


def test_refusals_are_libvirts() -> None:
    wrong = [
        (row["devices"], row["error"], got)
        for row in rows("refused")
        if (got := refusal(row["machine"], row["devices"], row.get("extra", ""))) != row["error"]
    ]
    assert wrong == []


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_what_was_prepared_stays_as_it_is(machine: str) -> None:
    for row in rows("placed"):
        changing = "model='none'" in row["devices"] or "<console" in row["devices"]  # consoles are counted when read
        if row["machine"] == machine and not changing:
            first = prepared(machine, row["devices"], row.get("extra", ""))
            text = first.to_xml(inactive=True, secure=True)
            again = prepared_again(text)  # controllers are sorted where they are read, so only their order may change
            assert sorted(again.splitlines()) == sorted(text.splitlines()), row["devices"]


def prepared_again(text: str) -> str:
    domain = Domain.from_xml(text)
    prepare(domain, capabilities())
    return domain.to_xml(inactive=True, secure=True)


def test_a_machine_that_is_not_known_is_refused_as_such() -> None:
    card = "<interface type='user'><model type='virtio'/></interface>"
    words = "Emulator '/usr/bin/qemu-system-x86_64' does not support machine type 'q36'"
    assert refusal("q36", card) == [67, f"unsupported configuration: {words}"]
