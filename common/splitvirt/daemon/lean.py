"""Imported first by a daemon's `__main__`, for a quick start: where asyncio is loaded already, nothing is changed.

asyncio loads ssl where it can, which costs 1.3-2.7 MiB for good; a daemon speaks over UNIX sockets alone. And nothing
that is loaded is garbage: the collector is off until the daemon serves.
"""

import gc
import sys
from typing import Any

if "asyncio" not in sys.modules:
    modules: dict[str, Any] = sys.modules
    modules.setdefault("ssl", None)  # makes `import ssl` fail, which asyncio expects
    gc.disable()
