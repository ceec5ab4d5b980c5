"""The D-Bus library: dbus-fast, or dbus-next where only that is installed or $SPLITVIRT_DBUS names it.

Messages, and how they are written and read, are the library's; connections are `connection.py`'s. (Those of both
libraries drop the connection when a write meets a full socket, and with their services and proxies take 2 MiB more.)
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message, MessageFlag, MessageType, Variant
    from dbus_fast._private.unmarshaller import Unmarshaller

__all__ = ["Message", "MessageFlag", "MessageType", "Unmarshaller", "Variant"]
_loading = RLock()


class Bare(ModuleType):
    """A package whose own file, which loads all of it, is run when something is asked for that is not a module."""

    def __getattr__(self, name: str) -> Any:
        with _loading:
            if vars(self).pop("bare", False) and self.__spec__ and self.__spec__.loader:
                self.__spec__.loader.exec_module(self)
        try:
            return vars(self)[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__} has no attribute {name}") from None


def make_bare(name: str) -> bool:
    """Let the modules of a package be imported without the rest of it; whether it is installed."""
    if name in sys.modules:
        return True
    spec = find_spec(name)
    if spec is None:
        return False
    module = Bare(name)
    vars(module).update(
        bare=True, __spec__=spec, __path__=spec.submodule_search_locations, __file__=spec.origin, __package__=name
    )
    sys.modules[name] = module
    return True


def _library() -> str:
    asked = os.environ.get("SPLITVIRT_DBUS") == "dbus-next"
    return "dbus_fast" if not asked and make_bare("dbus_fast") else "dbus_next"  # whose modules need its own file


if not TYPE_CHECKING:
    LIBRARY = _library()
    Message = import_module(f"{LIBRARY}.message").Message
    MessageFlag = import_module(f"{LIBRARY}.constants").MessageFlag
    MessageType = import_module(f"{LIBRARY}.constants").MessageType
    Variant = import_module(f"{LIBRARY}.signature").Variant
    Unmarshaller = import_module(f"{LIBRARY}._private.unmarshaller").Unmarshaller
