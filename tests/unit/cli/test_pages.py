"""Man pages, completion, units and policies are what their declarations say; every unit's daemon exists."""

import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from splitvirt.daemon.main import VERSION

TOP = Path(__file__).parents[3]


@pytest.mark.parametrize("script", ["packaging/manual.py", "systemd/units.py", "policy/polkit/actions.py"])
def test_what_is_made_from_declarations_is_current(script: str) -> None:
    assert runpy.run_path(str(TOP / script))["stale"]() == []


def test_the_version_is_the_distribution_s() -> None:
    assert tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"] == VERSION


@pytest.mark.parametrize("page", sorted((TOP / "docs/man").iterdir()), ids=lambda page: page.name)
def test_man_pages_have_no_errors(page: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-ww", "-z", str(page)], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_completion_completes() -> None:
    script = f"source {TOP}/packaging/completion/splitvirt.bash; COMP_WORDS=(splitvirt st); COMP_CWORD=1; _splitvirt; "
    done = subprocess.run(
        ["bash", "-ec", script + 'echo "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["status"]
