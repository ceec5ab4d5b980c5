"""The page of calls is the one that the declarations make."""

from pathlib import Path

from splitvirt.api.reference import page

COMMITTED = Path(__file__).parents[3] / "docs/reference/calls.md"


def test_the_committed_page_is_current() -> None:
    assert COMMITTED.read_text() == page(), "run: python -m splitvirt.api.reference > docs/reference/calls.md"


def test_it_says_what_people_look_up() -> None:
    text = page()
    for wanted in (
        "virDomainCreateWithFlags",
        "`domain:start`",
        "196; older 9",
        "`ListDomains` `u` → `ao`",
        "lifecycle",
    ):
        assert wanted in text
