"""What `splitvirt` says when it cannot do what it was asked: one line with the reason, no traceback."""

from pathlib import Path

import pytest

from splitvirt.cli.__main__ import main


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (None, "No such file or directory: "),
        ("<domain", "(domain_definition):1: "),
        ("<network/>", "expecting root element of 'domain', not 'network'"),
        ("<domain type='qemu'><name>x</name></domain>", "XML error: "),
    ],
)
def test_run_says_why_not(xml: str | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "guest.xml"
    if xml is not None:
        file.write_text(xml)
    assert main(["run", "--root", str(tmp_path / "root"), str(file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("splitvirt: ")
    assert reason in said
    assert "Traceback" not in said


def test_a_wrong_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frob"]) == 2
    assert capsys.readouterr().err.startswith("splitvirt: no such command: frob\n")


def test_last_words_of_qemu_are_about_the_failure(tmp_path: Path) -> None:
    from virtqemud.running.guest import read_from

    log = tmp_path / "x.log"
    log.write_text("header\nchar device redirected to /dev/pts/0 (label charserial0)\nqemu: no kernel\n")
    assert read_from(log, 7) == "qemu: no kernel"
