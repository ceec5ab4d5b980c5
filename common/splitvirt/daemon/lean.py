"""Imported first by a daemon's `__main__`: asyncio loads ssl where it can, which costs 1.3-2.7 MiB for good.

A daemon speaks over UNIX sockets alone. Where asyncio is loaded already, nothing is changed.
"""

import sys
from typing import Any

if "asyncio" not in sys.modules:
    modules: dict[str, Any] = sys.modules
    modules.setdefault("ssl", None)  # makes `import ssl` fail, which asyncio expects
