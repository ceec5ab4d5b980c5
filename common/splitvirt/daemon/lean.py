"""Imported first by a daemon's `__main__`, for a quick start: where asyncio is loaded already, nothing is changed.

Python's library loads what it can, needed or not: asyncio ssl (1.3-2.7 MiB for good; a daemon speaks over UNIX sockets
alone), hashlib OpenSSL (1.5 MiB, and Python has the same digests built in), shutil the compressors of archives. And
nothing that is loaded is garbage: the collector is off until the daemon serves.
"""

import gc
import sys
from typing import Any

if "asyncio" not in sys.modules:
    modules: dict[str, Any] = sys.modules
    for name in ("ssl", "_hashlib", "bz2", "lzma"):
        modules.setdefault(name, None)  # makes its import fail, which those who load it expect
    gc.disable()
