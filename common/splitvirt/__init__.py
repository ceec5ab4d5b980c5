"""libvirt's drivers as small daemons and as an embeddable asyncio library.

`async with splitvirt.embed(root) as hypervisor: ...` runs guests from within a program, `await splitvirt.connect(uri)`
opens a daemon or an embedded instance, `splitvirt.sync` is the same with methods that block. Everything loads on first
use: importing this package costs next to nothing.
"""

import sys
from types import ModuleType

TYPE_CHECKING = False  # typing's, without importing it
if TYPE_CHECKING:
    from splitvirt import sync as sync
    from splitvirt.api.errors import VirtError as VirtError
    from splitvirt.connect import connect as connect
    from splitvirt.embed import embed as embed

    __version__: str

__all__ = ["VirtError", "__version__", "connect", "embed", "sync"]

_HOMES = {"VirtError": "splitvirt.api.errors", "connect": "splitvirt.connect", "embed": "splitvirt.embed"}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        from importlib import metadata

        return metadata.version("splitvirt")
    if name == "sync":
        return import_module("splitvirt.sync")
    if name not in _HOMES:
        raise AttributeError(f"module 'splitvirt' has no attribute '{name}'")
    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Keeps `splitvirt.embed` and `splitvirt.connect` functions when the modules of those names are imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
