"""How much of libvirtd's recorded behaviour we have; only where the records are at hand."""

import pytest

from golden import shared
from golden.score import failures

here = pytest.mark.skipif(
    not shared.available("domain-xml"), reason=f"libvirtd's recorded answers are not in {shared.FOLDER}"
)


@here
def test_answers_of_libvirtd_are_kept_to_the_letter() -> None:
    failed, total = failures("kept")
    assert total > 400
    assert [(case.name, verdict) for case, verdict in failed] == []


@here
@pytest.mark.parametrize(("kind", "least"), [("domain-xml", 0.85), ("lxc-xml", 1.0)])
def test_score(kind: str, least: float) -> None:
    failed, total = failures(kind)
    assert 1 - len(failed) / total >= least, [(case.name, verdict) for case, verdict in failed]
    crashes = [(case.name, verdict) for case, verdict in failed if verdict.startswith("CRASH")]
    assert not crashes
