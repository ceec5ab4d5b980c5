"""The QMP library, loaded without OpenSSL in a process that keeps it out (`splitvirt.daemon.lean`).

The library names `ssl.SSLContext` in annotations alone; no monitor is reached over TLS.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_modules: dict[str, Any] = sys.modules
if "ssl" in _modules and _modules["ssl"] is None:
    _stand_in = ModuleType("ssl")
    _stand_in.__dict__["SSLContext"] = object
    _modules["ssl"] = _stand_in
    try:
        import_module("qemu.qmp")
    finally:
        _modules["ssl"] = None

# ruff: noqa: E402
from qemu.qmp import ExecInterruptedError, QMPClient, QMPError
from qemu.qmp.events import EventListener
from qemu.qmp.message import Message
from qemu.qmp.protocol import Runstate

__all__ = ["EventListener", "ExecInterruptedError", "Message", "QMPClient", "QMPError", "Runstate"]
