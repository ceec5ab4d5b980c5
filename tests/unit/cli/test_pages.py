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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("splitvirt st", "status"),
        ("/usr/bin/splitvirt do", "doctor"),
        ("splitvirt doctor --j", "--json"),
        ("splitvirt run --virt-type ", "qemu kvm"),
        ("splitvirt call -c net", "network:///system"),
        ("splitvirt call domain_by_n", "domain_by_name"),
        ("virtqemud --che", "--check-config"),
        ("virtnetworkd --bus s", "system session"),
        ("virtqemud --root /usr/lib/syste", "/usr/lib/systemd"),
        ("splitvirt status x", ""),
    ],
)
def test_completion_completes(line: str, words: str) -> None:
    typed = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in typed)
    script = f"source {TOP}/packaging/completion/splitvirt.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(typed) - 1}; "
    script += '_splitvirt; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (words, "")


def test_zsh_can_read_its_completion() -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    subprocess.run(["zsh", "-n", str(TOP / "packaging/completion/_splitvirt")], check=True)
