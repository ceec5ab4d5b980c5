"""The small Linux guest of the tests."""

import functools
import importlib.util
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@functools.cache
def guest_files() -> tuple[Path, Path]:
    """The paths of the kernel and of the initrd (see packaging/testguest.py); built once, kept in .cache/guest."""
    spec = importlib.util.spec_from_file_location("testguest", REPOSITORY / "packaging/testguest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: tuple[Path, Path] = module.guest_files()
    return files
