"""`<memory>` devices: DIMMs, NVDIMMs, virtio-pmem, virtio-mem and SGX's enclave pages. Sizes in KiB."""

from typing import Literal, Self

from splitvirt.api.errors import XMLError
from splitvirt.xml.devices.device import Device
from splitvirt.xml.element import LIVE, Bitmap, Element, Node, Unsigned, YesNo, attr, child, present, text
from splitvirt.xml.element import size as scaled

LEAST_LABEL = 128


class MemorySource(Element, tag="source", hide_empty=True):
    """What of the host is behind it."""

    path: str | None = text()
    alignsize: int | None = scaled()
    pmem: bool = present()
    nodemask: Bitmap | None = text()
    pagesize: int | None = scaled()


class MemoryDevice(Device, tag="memory"):
    """A piece of memory that can be plugged in."""

    model: Literal["dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc"] = attr()
    access: Literal["shared", "private"] | None = attr()
    discard: YesNo | None = attr()
    uuid: str | None = text()
    source: MemorySource | None = child()
    size: int = scaled("target/size", missing=lambda: XMLError("missing element or attribute './size'"))
    node: Unsigned | None = text("target/node")
    label_size: int | None = scaled("target/label/size")
    block: int | None = scaled("target/block")
    requested: int | None = scaled("target/requested")
    current: int | None = scaled("target/current", mode=LIVE)
    readonly: bool = present("target/readonly")

    @classmethod
    def parse(cls, node: Node, lost: list[tuple[Node, str]] | None = None) -> Self:
        if node.find("target") is None and node.get("model"):
            raise XMLError("missing <target> element for <memory> device")
        return super().parse(node, lost)

    def check(self, node: Node) -> None:
        if self.model == "nvdimm":
            if self.label_size is not None and self.label_size < LEAST_LABEL:
                raise XMLError("nvdimm label must be at least 128KiB")
            if (self.label_size or 0) >= self.size:
                raise XMLError("label size must be smaller than NVDIMM size")
