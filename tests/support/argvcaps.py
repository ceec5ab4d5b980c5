"""An emulator's capabilities for command lines, without an emulator: two boards, a few devices, everything JSON."""

from typing import Any

from splitvirt.xml.domain import Domain
from virtqemud.argv.command import Command, build
from virtqemud.argv.context import Context
from virtqemud.emulator.capabilities import Capabilities
from virtqemud.prepare import prepare

FACTS: dict[str, Any] = {
    "emulator": "/usr/bin/qemu-system-x86_64",
    "arch": "x86_64",
    "version": [7, 2, 0],
    "package": "",
    "machines": [
        {"name": "pc-i440fx-7.2", "alias": "pc", "is-default": True, "cpu-max": 255, "default-ram-id": "pc.ram",
         "default-cpu-type": "qemu64-x86_64-cpu", "hotpluggable-cpus": True, "numa-mem-supported": False},
        {"name": "pc-q35-7.2", "alias": "q35", "cpu-max": 288, "default-ram-id": "pc.ram",
         "default-cpu-type": "qemu64-x86_64-cpu", "hotpluggable-cpus": True, "numa-mem-supported": False},
    ],
    "cpus": {"tcg": [{"name": "qemu64"}, {"name": "Icelake-Server"}, {"name": "Haswell"}]},
    "devices": [
        "virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci", "virtio-serial-pci", "virtio-scsi-pci", "qemu-xhci",
        "piix3-usb-uhci", "pcie-root-port", "virtio-balloon-pci", "tpm-tis", "tpm-crb", "VGA", "nec-usb-xhci",
        "ich9-usb-ehci1", "ich9-usb-uhci1", "ich9-usb-uhci2", "ich9-usb-uhci3",
    ],
    "objects": ["memory-backend-ram", "memory-backend-file", "memory-backend-memfd", "secret"],
    "properties": {},
    "options": {"sandbox": ["enable"], "machine": ["usb"]},
    "schema": [],
    "expansions": {"tcg": {"hle": True, "pdpe1gb": True, "intel-pt": True, "kvmclock": True}},
    "tpm-types": ["passthrough", "emulator"],
    "tpm-models": ["tpm-tis", "tpm-crb"],
}  # fmt: skip


def capabilities() -> Capabilities:
    """Of that emulator."""
    return Capabilities(FACTS)


def command(document: str, **more: Any) -> Command:
    """The command line of a guest's XML, with its interfaces as they are."""
    domain, caps = Domain.from_xml(document), capabilities()
    prepare(domain, caps, for_start=True)
    return build(domain, Context(domain, caps, "/lib", **({"native": True} | more)))


def values(made: Command, option: str) -> list[str]:
    """All values of an option."""
    return [b for a, b in zip(made.argv, made.argv[1:], strict=False) if a == option]
