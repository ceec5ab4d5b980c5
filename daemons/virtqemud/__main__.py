"""The QEMU daemon: `python -m virtqemud`."""

import splitvirt.daemon.lean  # noqa: F401, I001 (before anything loads asyncio)
import sys
from collections.abc import Sequence

from splitvirt.api.hypervisor import Hypervisor
from splitvirt.daemon.config import Config
from splitvirt.daemon.main import Driver, Service
from splitvirt.daemon.main import main as run
from splitvirt.daemon.neighbour import network_daemon
from splitvirt.host.paths import Layout


async def open_driver(layout: Layout, config: Config, bus: str) -> Driver:
    """The driver, with the neighbours that its guests use."""
    from .driver import QemuDriver

    networks = network_daemon(layout.socket("virtnetworkd"), layout.mode, bus)
    driver = QemuDriver(layout, config, networks=networks)
    await driver.open()
    return driver


SERVICE = Service(
    name="virtqemud",
    contract=Hypervisor,
    open=open_driver,
    bus_path="/org/libvirt/QEMU",
    uri_scheme="qemu",
    driver="QEMU",
    siblings=("virtnetworkd", "virtstoraged", "virtnodedevd", "virtsecretd", "virtinterfaced"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    return run(SERVICE, argv)


if __name__ == "__main__":
    sys.exit(main())
