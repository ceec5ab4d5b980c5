"""What is known of running networks and their ports between two lives of the daemon: files under run/libvirt/network.

They are libvirt's own (`networkstatus`), with two attributes more: a network whose start or stop is under way says so,
and is cleared away by the next daemon if this one dies in between; a form that earlier versions must not read has a
number.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from splitvirt.api.errors import VirtError
from splitvirt.host.paths import make_private
from splitvirt.store.files import remove_durable, sweep_temporary, write_volatile
from splitvirt.xml.element import Element, attr, child
from splitvirt.xml.forms import Bitmap
from splitvirt.xml.network import Network
from splitvirt.xml.networkport import NetworkPort

log = logging.getLogger(__name__)
Stage = Literal["starting", "running", "stopping"]
FORMAT = 1


class NetworkStatus(Element, tag="networkstatus"):
    """One running network."""

    format: int | None = attr(omit=FORMAT)
    stage: Stage | None = attr(omit="running")
    classes: Bitmap | None = attr("class_id/@bitmap")
    floor: int = attr("floor/@sum", default=0)
    network: Network = child()


class StatusFolder:
    """The records of running networks by name, and of ports by network and UUID."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unknown: set[str] = set()
        """Networks that may run, with records of a form that is not known here."""

    def open(self) -> None:
        """Make the folder where it is missing."""
        make_private(self.folder, 0o755)
        sweep_temporary(self.folder)

    def save(self, status: NetworkStatus) -> None:
        """Keep a network's record, whole or as it was."""
        text = status.to_xml(inactive=True, status=True)
        write_volatile(self.folder / f"{status.network.name}.xml", text)

    def forget(self, name: str) -> None:
        """Remove a network's record and those of its ports."""
        for path in self._ports(name).glob("*.xml"):
            remove_durable(path)
        for folder in (self._ports(name), self._ports(name).parent):
            if folder.is_dir():
                folder.rmdir()
        remove_durable(self.folder / f"{name}.xml")

    def load(self) -> Iterator[NetworkStatus]:
        """Every record. A broken one is logged and removed; one of an unknown form stays: its network is `unknown`."""
        for path in sorted(self.folder.glob("*.xml")):
            try:
                status = NetworkStatus.from_xml(path.read_text(), source=f"({path.name})")
                if status.format in (None, FORMAT):
                    yield status
                else:
                    log.error("the state of a network in %s is of a form that this version does not know", path)
                    self.unknown.add(path.stem)
            except (OSError, UnicodeDecodeError, VirtError) as error:
                log.error("cannot read the state of a network from %s: %s", path, error)
                remove_durable(path)

    def save_port(self, name: str, port: NetworkPort) -> None:
        """Keep a port's record."""
        make_private(self._ports(name).parent)
        make_private(self._ports(name))
        write_volatile(self._ports(name) / f"{port.uuid}.xml", port.to_xml(status=True))

    def forget_port(self, name: str, uuid: str) -> None:
        """Remove a port's record."""
        remove_durable(self._ports(name) / f"{uuid}.xml")

    def ports(self, name: str) -> Iterator[NetworkPort]:
        """A network's ports."""
        for path in sorted(self._ports(name).glob("*.xml")):
            try:
                yield NetworkPort.from_xml(path.read_text(), source=f"({path.name})")
            except (OSError, UnicodeDecodeError, VirtError) as error:
                log.error("cannot read the state of a port from %s: %s", path, error)
                remove_durable(path)

    def _ports(self, name: str) -> Path:
        # libvirt takes these names too; with a line break, which no name has, they are folders of their own
        return self.folder / (f"{name}\n" if name in (".", "..") else name) / "ports"
