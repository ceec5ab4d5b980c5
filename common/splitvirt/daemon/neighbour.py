"""A sibling daemon, connected to when it is first needed: that starts it where systemd holds its socket or bus name."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from splitvirt.api.errors import VirtError

Connect = Callable[[], Awaitable[Any]]


class Neighbour:
    """A contract whose calls connect first, and again after the sibling has gone; SystemError_ when they cannot."""

    def __init__(self, contract: type, connect: Connect, **parts: Any):
        self._contract, self._connect = contract, connect
        self._connection: Any = None
        self._opening = asyncio.Lock()
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_") or not hasattr(self._contract, name):
            raise AttributeError(f"{self._contract.__name__} has no {name}")

        async def call(*values: Any, **named: Any) -> Any:
            return await getattr(await self._connected(), name)(*values, **named)

        return call

    async def _connected(self) -> Any:
        async with self._opening:
            if self._connection is None or not getattr(self._connection, "connected", True):
                self._connection = await self._connect()
            return self._connection

    async def close(self) -> None:
        """Leave it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(VirtError, OSError):
                await connection.close()


def network_daemon(socket: Path, mode: str, bus: str) -> Any:
    """virtnetworkd: its networks over RPC, and as `leases` the ports that it lends, which are on the bus alone.

    `bus` is "system", "session" or an address.
    """
    from splitvirt.api.lease import NetworkPorts
    from splitvirt.api.network import Networks

    async def over_rpc() -> Any:
        from splitvirt.rpc.client import connect_rpc

        return await connect_rpc(Networks, socket, f"network:///{mode}", reconnect=True)

    async def over_bus() -> Any:
        from splitvirt.dbus.proxy import connect_bus

        return await connect_bus(NetworkPorts, bus, "org.splitvirt.virtnetworkd", "/org/libvirt/Network")

    return Neighbour(Networks, over_rpc, leases=Neighbour(NetworkPorts, over_bus))
