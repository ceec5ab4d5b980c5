"""What `splitvirt` says when it cannot do what it was asked: one line with the reason, no traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from splitvirt.cli.__main__ import main


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (None, "guest.xml: No such file or directory"),
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


def test_ctrl_c_ends_watching_without_a_traceback(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "splitvirt.cli", "status", "--root", str(tmp_path), "--watch", "60"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        while "not set up" not in watching.stdout.readline():
            pass
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
    assert (watching.returncode, said.strip()) == (130, "")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    shell = f"{sys.executable} -m splitvirt.cli call --list | head -1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("define xml [flags]", "")
