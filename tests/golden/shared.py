"""libvirtd's recorded answers, where they are at hand: data for development, no part of the product."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("SPLITVIRT_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


@dataclass(frozen=True)
class Case:
    """One recorded question and libvirtd's answer: {"xml": ...}, {"argv": ...} or {"error": [code, message]}."""

    name: str
    kind: str
    input: str
    answer: dict[str, Any]


def available(kind: str) -> bool:
    """Whether the cases of this kind ("domain-xml", ...) are here."""
    return (FOLDER / f"{kind}.jsonl").exists()


def load(kind: str) -> list[Case]:
    """All cases of a kind."""
    with (FOLDER / f"{kind}.jsonl").open() as lines:
        return [Case(c["name"], c["kind"], c["input"], c["answer"]) for c in map(json.loads, lines)]
