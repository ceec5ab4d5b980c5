"""Names of devices towards QEMU: those that users chose stay, all others are made from kind and number."""

from collections.abc import Iterable
from typing import Any

from splitvirt.xml.devices.device import USER_ALIAS
from splitvirt.xml.domain import Domain

NUMBERED = {
    "interfaces": "net", "filesystems": "fs", "sounds": "sound", "hostdevs": "hostdev", "redirdevs": "redir",
    "videos": "video", "consoles": "console", "serials": "serial", "parallels": "parallel", "channels": "channel",
    "inputs": "input", "hubs": "hub", "watchdogs": "watchdog", "rngs": "rng", "shmems": "shmem", "tpms": "tpm",
    "smartcards": "smartcard", "panics": "panic", "cryptos": "crypto",
}  # fmt: skip
MEMORY = {"dimm": "dimm", "nvdimm": "nvdimm", "virtio-pmem": "virtiopmem", "virtio-mem": "virtiomem", "sgx-epc": "epc"}


def assign(domain: Domain) -> None:
    """Name every device that has no name from its user."""
    devices = domain.devices
    for kind, prefix in NUMBERED.items():
        for i, dev in enumerate(getattr(devices, kind)):
            name(dev, f"{prefix}{i}")
    passed = [card for card in devices.interfaces if card.type == "hostdev"]
    for i, dev in enumerate((*passed, *devices.hostdevs)):
        name(dev, f"hostdev{i}")
    for console in devices.consoles:
        if console.target_type == "serial" and devices.serials:
            console.alias = devices.serials[0].alias  # the same device, seen as a console
    for disk in devices.disks:
        name(disk, disk_alias(disk, devices.controllers))
    for controller in devices.controllers:
        name(controller, controller_alias(controller, domain))
    for i, memory in enumerate(devices.memories):
        slot = getattr(memory.address, "slot", None) if memory.model in ("dimm", "nvdimm") else None
        before = sum(m.model == memory.model for m in devices.memories[:i])
        name(memory, f"{MEMORY[memory.model]}{before if slot is None else slot}")
    for dev, alias in ((devices.memballoon, "balloon0"), (devices.iommu, "iommu0"), (devices.vsock, "vsock0")):
        if dev is not None:
            name(dev, alias)


def name(dev: Any, alias: str) -> None:
    """Unless its user chose one."""
    if not (dev.alias or "").startswith(USER_ALIAS):
        dev.alias = alias


def disk_alias(disk: Any, controllers: Iterable[Any]) -> str:
    """By its place on a bus with drives, else by its target's number."""
    at = disk.address
    if disk.bus in ("ide", "sata", "scsi", "fdc") and at is not None:
        models = {c.index: c.model for c in controllers if c.type == "scsi"}
        if disk.bus == "scsi" and models.get(at.controller) != "lsilogic":
            return f"scsi{at.controller}-{at.bus}-{at.target}-{at.unit}"
        return f"{disk.bus}{at.controller}-{at.bus}-{at.unit}"
    return f"{disk.bus}-disk{target_number(disk.target or '')}"


def target_number(target: str) -> int:
    """vda is 0, vdb 1, vdaa 26; a partition's number after the letters does not count."""
    letters = target.rstrip("0123456789")
    for prefix in ("fd", "hd", "vd", "sd", "xvd", "ubd"):
        if letters.startswith(prefix):
            number = 0
            for letter in letters[len(prefix) :]:
                number = number * 26 + ord(letter) - ord("a") + 1
            return number - 1
    return 0


def controller_alias(dev: Any, domain: Domain) -> str:
    """Of the board's own controllers as QEMU calls them, of others by kind and number."""
    machine = (domain.os and domain.os.machine) or ""
    if dev.type == "pci":
        return f"pcie.{dev.index}" if dev.model == "pcie-root" else f"pci.{dev.index}"
    if dev.index == 0:
        if dev.type == "usb":
            return "usb"
        if dev.type == "ide" and not machine.startswith("pc-q35"):
            return "ide"
        if dev.type == "sata" and machine.startswith("pc-q35"):
            return "ide"
    return f"{dev.type}{dev.index}"
