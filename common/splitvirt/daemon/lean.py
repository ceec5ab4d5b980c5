"""Imported first by a daemon's `__main__`, for a quick start: where asyncio is loaded already, nothing is changed.

Python's library loads what it can, needed or not: asyncio ssl (1.3-2.7 MiB for good; a daemon speaks over UNIX sockets
alone), hashlib OpenSSL (1.5 MiB, and Python has the same digests built in), uuid libuuid (for uuids made of the time),
shutil the compressors of archives. Other modules it loads for a function that is rarely called (`LATE`): inspect with
ast and dis is 4 ms and 1 MiB. And nothing that is loaded is garbage: the collector is off until the daemon serves.

What is loaded later is of the version that was started: an upgrade puts a new environment beside the old one and a link
to the new one, so the way here must not lead over that link any more.
"""

import gc
import os
import sys
from _thread import allocate_lock
from importlib import import_module
from types import ModuleType
from typing import Any

ABSENT = ("ssl", "_hashlib", "_uuid", "bz2", "lzma")
LATE = (
    "argparse", "asyncio.sslproto", "asyncio.staggered", "ctypes", "dis", "hashlib", "inspect", "ipaddress", "json",
    "platform", "random", "secrets", "shutil", "subprocess", "textwrap", "tokenize", "xml.etree.ElementTree",
    "splitvirt.host.topology",
)  # fmt: skip
KNOWN: dict[str, dict[str, Any]] = {
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    "platform": {"system": lambda: os.uname().sysname},
}
"""What a late module is asked for while others are loaded, and is no reason to load it."""
_loading = allocate_lock()


class Late(ModuleType):
    """Stands for a module, which is imported when something of it is first asked for, by whatever thread.

    (The library's own LazyLoader shows a second thread a module half loaded.)
    """

    def __getattr__(self, name: str) -> Any:
        with _loading:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def postpone(name: str) -> None:
    """Let `import name` give what stands for the module, unless it is there already."""
    parent = name.rpartition(".")[0]
    if parent and parent != "asyncio":  # which asks for its own parts while it is loaded
        import_module(parent)
    if name not in sys.modules:
        sys.modules[name] = late = Late(name)
        vars(late).update(KNOWN.get(name, {}))


def settle() -> None:
    """Look for modules where they lie now, past every link."""
    sys.path[:] = map(os.path.realpath, sys.path)
    for name in list(sys.modules):
        if name.startswith(("splitvirt", "virt")) and hasattr(sys.modules[name], "__path__"):
            sys.modules[name].__path__ = [os.path.realpath(path) for path in sys.modules[name].__path__]


if "asyncio" not in sys.modules:
    settle()
    modules: dict[str, Any] = sys.modules
    for absent in ABSENT:
        modules.setdefault(absent, None)  # makes its import fail, which those who load it expect
    for late in LATE:
        postpone(late)
    gc.disable()
