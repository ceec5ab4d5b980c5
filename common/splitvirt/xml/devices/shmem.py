"""`<shmem>`: memory shared between guests or with host programs."""

from typing import Literal

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import Node, OnOff, Unsigned, attr, present, size


class Shmem(Device, tag="shmem"):
    """A shared memory device; `size` in bytes, a power of two; with a server it also carries interrupts."""

    name: str = attr(missing=lambda: XMLError("shmem element must contain 'name' attribute"))
    role: Literal["master", "peer"] | None = attr()
    model: Literal["ivshmem", "ivshmem-plain", "ivshmem-doorbell"] | None = attr("model/@type")
    size: int | None = size(unit="bytes", pretty="M")
    server: bool = present("server")
    server_path: str | None = attr("server/@path")
    msi: bool = present("msi")
    msi_vectors: Unsigned | None = attr("msi/@vectors")
    msi_ioeventfd: OnOff | None = attr("msi/@ioeventfd")

    def check(self, node: Node) -> None:
        if self.msi and not self.server:
            raise XMLError("msi option is only supported with a server")
