"""The network daemon: `python -m virtnetworkd`."""

import splitvirt.daemon.lean  # noqa: F401, I001 (before anything loads asyncio)
import sys
from collections.abc import Sequence

from splitvirt.api.network import Networks
from splitvirt.daemon.config import Config
from splitvirt.daemon.main import Driver, Service
from splitvirt.daemon.main import main as run
from splitvirt.host.paths import Layout


async def open_driver(layout: Layout, config: Config, bus: str) -> Driver:
    """The driver. It has no neighbours."""
    from virtnetworkd.driver import NetworkDriver

    driver = NetworkDriver(layout, config)
    await driver.open()
    return driver


SERVICE = Service(
    name="virtnetworkd",
    contract=Networks,
    open=open_driver,
    bus_path="/org/libvirt/Network",
    uri_scheme="network",
    driver="network",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    return run(SERVICE, argv)


if __name__ == "__main__":
    sys.exit(main())
