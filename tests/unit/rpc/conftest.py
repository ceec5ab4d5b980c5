"""A server of the small contract on a socket below a temporary directory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.rpc_house import House, serving


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A server with default limits."""
    async with serving(tmp_path) as made:
        yield made
