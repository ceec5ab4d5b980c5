"""One change at a time per domain: whoever waits too long for his turn is told who has it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import Timeout

DEADLINE = 30.0
"""Seconds that a call waits for its turn, as in libvirt."""


class JobLock:
    """The turn to change one domain. Reads do not take it."""

    def __init__(self, deadline: float = DEADLINE) -> None:
        self.deadline = deadline
        self._lock = asyncio.Lock()
        self.holder = ""
        self.since = 0.0

    @property
    def busy(self) -> bool:
        """Whether somebody has the turn."""
        return self._lock.locked()

    @property
    def age(self) -> float:
        """Seconds since the turn was taken; 0 when nobody has it."""
        return time.monotonic() - self.since if self.busy else 0.0

    @asynccontextmanager
    async def hold(self, what: str) -> AsyncIterator[None]:
        """Take the turn for a call named `what`. Raises Timeout, naming who has it, after `deadline` seconds."""
        try:
            async with asyncio.timeout(self.deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise Timeout(
                f"cannot acquire state change lock (held by monitor={self.holder})", domain=VIR_FROM_QEMU
            ) from None
        self.holder, self.since = what, time.monotonic()
        try:
            yield
        finally:
            self.holder, self.since = "", 0.0
            self._lock.release()
