"""A server of the small contract with its sockets, for tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from splitvirt.access.rules import Access
from splitvirt.rpc.forward import Routes
from splitvirt.rpc.limits import Limits
from splitvirt.rpc.server import Server
from support.small import Small, SmallDriver


@dataclass
class House:
    """The server, its driver, where it listens."""

    server: Server
    driver: SmallDriver
    path: Path
    path_ro: Path


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *, access: Access | None = None, limits: Limits | None = None, routes: Routes | None = None
) -> AsyncIterator[House]:
    """A running server; at the end every waiting call is let go and the server closed."""
    driver = SmallDriver()
    server = Server(
        {Small: driver}, access=access or Access("SMALL"), limits=limits, routes=routes, uris=["small:///system"]
    )
    made = House(server, driver, folder / "sock", folder / "sock-ro")
    await server.listen(made.path)
    await server.listen(made.path_ro, readonly=True)
    try:
        yield made
    finally:
        driver.let_go(*range(200))
        await server.close(drain=2)


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something to become true; AssertionError when it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
