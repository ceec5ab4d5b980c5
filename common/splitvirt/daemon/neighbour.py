"""A sibling daemon, connected to when it is first needed: that starts it where systemd holds its socket."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from splitvirt.api.errors import VirtError


class Neighbour:
    """A sibling's contract. Calls connect first, and again after the sibling has gone; SystemError_ when it cannot."""

    def __init__(self, driver: str, socket: Path, uri: str):
        self._driver, self._socket, self._uri = driver, socket, uri
        self._connection: Any = None
        self._opening = asyncio.Lock()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)

        async def call(*values: Any, **named: Any) -> Any:
            return await getattr(await self._connected(), name)(*values, **named)

        return call

    async def _connected(self) -> Any:
        async with self._opening:
            if self._connection is None:
                from splitvirt.connect import contract_of
                from splitvirt.rpc.client import connect_rpc

                contract = contract_of(self._driver)
                self._connection = await connect_rpc(contract, self._socket, self._uri, reconnect=True)
            return self._connection

    async def close(self) -> None:
        """Leave it."""
        if self._connection is not None:
            with contextlib.suppress(VirtError, OSError):
                await self._connection.close()
            self._connection = None
