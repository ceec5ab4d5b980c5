"""Guests prepared as QEMU 7.2 with the usual devices would have them: for tests of addresses, defaults and refusals."""

from typing import Any

from splitvirt.api.errors import VirtError
from splitvirt.xml.address import Address
from splitvirt.xml.domain import Domain
from support.argvcaps import FACTS
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.prepare import prepare
from virtqemud.prepare.addresses import every

DEVICES = [
    *FACTS["devices"], "rtl8139", "e1000", "e1000e", "lsi53c895a", "pcie-pci-bridge", "cirrus-vga", "qxl", "qxl-vga",
    "virtio-iommu-pci", "virtio-mem-pci", "virtio-pmem-pci", "vhost-user-fs-pci", "usb-hub", "i6300esb", "ib700",
    "bochs-display", "ramfb", "virtio-vga", "virtio-gpu-pci", "vmware-svga", "pc-dimm", "nvdimm", "vfio-pci",
    "ivshmem-plain", "ivshmem-doorbell", "isa-debugcon", "virtio-9p-pci", "vhost-vsock-pci", "intel-iommu",
]  # fmt: skip
MACHINES = [{"name": "isapc"}, {"name": "none"}]
GUEST = (
    "<domain type='{virt}'><name>t</name><memory>1048576</memory><vcpu>2</vcpu>"
    "<os><type arch='x86_64' machine='{machine}'>hvm</type></os>{extra}"
    "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}</devices></domain>"
)


def capabilities() -> Capabilities:
    """Of that emulator; nothing is asked or started."""
    return Capabilities(FACTS | {"devices": DEVICES, "machines": [*FACTS["machines"], *MACHINES]})


def guest(machine: str, devices: str, extra: str = "") -> Domain:
    """A guest with these devices, as written."""
    return Domain.from_xml(GUEST.format(virt="qemu", machine=machine, devices=devices, extra=extra))


def prepared(machine: str, devices: str, extra: str = "") -> Domain:
    """A guest with these devices, prepared."""
    domain = guest(machine, devices, extra)
    prepare(domain, capabilities())
    return domain


def refusal(machine: str, devices: str, extra: str = "") -> list[Any] | None:
    """Code and message with which a guest is refused; None when it is not."""
    try:
        prepared(machine, devices, extra)
    except VirtError as error:
        return [error.code, error.message]
    return None


def places(domain: Domain) -> list[str]:
    """Every device and where it is, one line each: "pci 1 pcie-root-port @ pci 0 0 2 0 on"."""
    lines = []
    for device in every(domain.devices):
        words = [getattr(device, name, None) for name in ("type", "index", "model", "target", "bus")]
        kind = " ".join(str(w) for w in (device.TAG, *words) if w is not None)
        lines.append(f"{kind} @ {place(device.address)}" if device.address is not None else kind)
    return lines


def place(address: Address) -> str:
    """An address in words."""
    return " ".join(str(v) for name in address.FIELDS if (v := getattr(address, name)) is not None)
