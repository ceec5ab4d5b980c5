"""Numbers that stand for something are told with their words."""

import pytest

from splitvirt.api import constants as c
from splitvirt.api.domain_life import DomainState, JobInfo
from splitvirt.api.meaning import word
from splitvirt.api.record import Record, RecordWire


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        (c.VIR_DOMAIN_NOSTATE, 0, "state: nostate (0)\nreason: unknown (0)"),
        (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_BOOTED, "state: running (1)\nreason: booted (1)"),
        (c.VIR_DOMAIN_SHUTOFF, c.VIR_DOMAIN_SHUTOFF_CRASHED, "state: shutoff (5)\nreason: crashed (3)"),
        (c.VIR_DOMAIN_RUNNING, 77, "state: running (1)\nreason: 77"),
    ],
)
def test_a_state_and_its_reason(state: int, reason: int, told: str) -> None:
    assert RecordWire(DomainState).text(DomainState(state, reason)) == told


def test_words_of_several() -> None:
    assert word("VIR_DOMAIN_DISK_ERROR_", c.VIR_DOMAIN_DISK_ERROR_NO_SPACE) == "no space"
    assert word("VIR_DOMAIN_JOB_", c.VIR_DOMAIN_JOB_NONE) == "none"
    assert word("VIR_NOTHING_", 1) == ""


def test_what_is_said_to_mean_something_does() -> None:
    kinds = [kind for kind in Record.__subclasses__() if kind.MEANINGS]
    assert JobInfo in kinds
    for kind in kinds:
        assert set(kind.MEANINGS) <= set(kind.FIELDS), kind
        for prefix in kind.MEANINGS.values():
            start = prefix.partition("{")[0]
            assert any(name.startswith(start) for name in vars(c)), (kind, prefix)
