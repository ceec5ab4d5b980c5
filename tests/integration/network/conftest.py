"""Every test here is on a host of its own: a new network namespace, and a driver below a temporary directory."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.nethost import Space, host

from splitvirt.host.paths import Layout
from virtnetworkd.driver import NetworkDriver


@pytest.fixture(name="box")
def _box() -> Iterator[Space]:
    """The host's namespace; the test is in it."""
    with host() as space:
        yield space


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """Where the host's daemon keeps everything."""
    tmp_path.chmod(0o755)
    return tmp_path


@pytest_asyncio.fixture(name="driver")
async def _driver(box: Space, root: Path) -> AsyncIterator[NetworkDriver]:
    """The host's network driver, open; its networks are gone after the test."""
    made = NetworkDriver(Layout.under(root, "system"))
    await made.open()
    yield made
    with contextlib.suppress(Exception):
        for net in await made.networks(2):
            await net.destroy()
    await made.close()
