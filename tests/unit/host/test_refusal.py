"""What the system refuses is told with the path, the system's words and what mends it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from splitvirt.api.errors import SystemError_
from splitvirt.host.refusal import about, explained, mend, reach, refused, telling, told


def test_a_path_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with pytest.raises(SystemError_) as error, telling("cannot read"):
        path.read_text()
    assert str(error.value) == f"cannot read {path}: No such file or directory"


def test_a_descriptor_is_told_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match="Bad file descriptor") as error, about(path):
        os.write(-1, b"x")
    assert told(error.value) == f"cannot use {path}: Bad file descriptor"


def test_what_names_no_file_is_not_taken_for_a_refusal() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"), telling("cannot read"):
        os.write(-1, b"x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_the_file_system_is_named(number: int) -> None:
    said = explained(OSError(number, os.strerror(number), "/proc/self/nothing/here"))
    assert said.startswith(f"{os.strerror(number)} (")
    assert "/proc" in said
    assert "/proc/self" not in said


def test_words_of_our_own_stand_alone(tmp_path: Path) -> None:
    error = PermissionError(errno.EPERM, "it belongs to user 7", str(tmp_path))
    assert str(refused("cannot use", error)) == f"cannot use {tmp_path}: it belongs to user 7"


def test_limits_are_told_with_what_raises_them() -> None:
    assert "LimitNOFILE=" in mend(errno.EMFILE, "")
    assert "quota" in mend(errno.EDQUOT, "/")
    assert mend(errno.ENOENT, "/nosuch") == ""


def test_what_can_be_opened_is_within_reach(tmp_path: Path) -> None:
    assert reach(tmp_path, os.R_OK) is None
    error = reach(tmp_path / "gone", os.R_OK)
    assert isinstance(error, FileNotFoundError)


@pytest.mark.parametrize("daemon", ["virtqemud", "virtnetworkd"])
def test_a_daemon_says_where_it_cannot_be(daemon: str) -> None:
    argv = [sys.executable, "-m", daemon, "--root", "/proc/nowhere", "--bus", "none"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{daemon}: cannot use /proc/nowhere: No such file or directory\n"
