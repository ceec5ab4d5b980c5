"""The same tests on the other D-Bus library: dbus-next, which was asked for by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
@pytest.mark.parametrize("library", ["dbus-next"])
def test_the_export_works_on(library: str) -> None:
    pytest.importorskip(library.replace("-", "_"))
    tests = Path(__file__).with_name("test_export.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(
        command, env=os.environ | {"SPLITVIRT_DBUS": library}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
