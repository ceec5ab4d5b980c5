"""The house keeps its own rules: linters, types, the direction of imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = sorted((REPOSITORY / "common").rglob("*.py")) + sorted((REPOSITORY / "daemons").rglob("*.py"))
DAEMONS = ("virtqemud", "virtnetworkd")
# Who may import whom. `api.errors` and `api.constants` are facts that everyone may know.
FACTS = ("splitvirt.api.errors", "splitvirt.api.constants")
MAY_IMPORT = {
    "splitvirt.host": {"splitvirt.host"},
    "splitvirt.xml": {"splitvirt.xml"},
    "splitvirt.api": {"splitvirt.api"},
    "splitvirt.store": {"splitvirt.store", "splitvirt.host", "splitvirt.xml", "splitvirt.api"},
    "splitvirt.rpc": {"splitvirt.rpc", "splitvirt.host", "splitvirt.api", "splitvirt.access"},
    "splitvirt.dbus": {"splitvirt.dbus", "splitvirt.host", "splitvirt.api", "splitvirt.access"},
    "splitvirt.access": {"splitvirt.access", "splitvirt.host", "splitvirt.api", "splitvirt.dbus"},
}
ANYTHING_COMMON = {"splitvirt"}
DBUS_LIBRARIES = ("dbus_fast", "dbus_next")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _module(path: Path) -> str:
    relative = path.relative_to(REPOSITORY).with_suffix("").parts[1:]
    return ".".join(relative[:-1] if relative[-1] == "__init__" else relative)


def _imports(path: Path) -> Iterator[str]:
    package = _module(path) if path.name == "__init__.py" else _module(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            target = ".".join(part for part in (base, node.module) if part)
            yield from (f"{target}.{alias.name}" for alias in node.names)


def _within(name: str, roots: set[str] | tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def _allowed(module: str, name: str) -> bool:
    if _within(name, DBUS_LIBRARIES):
        return _within(module, ("splitvirt.dbus",))
    if not _within(name, ("splitvirt", *DAEMONS)) or _within(name, FACTS):
        return True
    package = ".".join(module.split(".")[:2])
    if package in MAY_IMPORT:
        return _within(name, MAY_IMPORT[package])
    home = module.split(".")[0]
    return _within(name, ANYTHING_COMMON if home == "splitvirt" else ANYTHING_COMMON | {home})


def test_ruff_check() -> None:
    _run(sys.executable, "-m", "ruff", "check", ".")


def test_ruff_format() -> None:
    _run(sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.long
def test_mypy_strict() -> None:
    _run(sys.executable, "-m", "mypy")


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_imports_point_one_way(path: Path) -> None:
    module = _module(path)
    wrong = sorted({name for name in _imports(path) if not _allowed(module, name)})
    assert not wrong, f"{module} must not import {', '.join(wrong)}"


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 400 or path.name == "constants.py", f"{path} has {lines} lines; split it by subject"
    assert path.stem not in ("utils", "util", "manager", "helpers"), f"name {path} after what it holds"
