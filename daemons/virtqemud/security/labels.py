"""Which files and devices of the host are a guest's own: what its QEMU opens by name, as libvirt's DAC driver has it.

Not among them are what everybody may read anyway (firmware's code, random numbers) and shared folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from splitvirt.api.errors import VirtError
from splitvirt.xml.devices.chardev import Chardev, ChardevSource
from splitvirt.xml.devices.disk import Disk
from splitvirt.xml.devices.graphics import Graphics
from splitvirt.xml.devices.hostdev import MdevHostdev, PciHostdev, ScsiHostdev, ScsiHostHostdev, UsbHostdev
from splitvirt.xml.devices.input import Input
from splitvirt.xml.devices.interface import Interface
from splitvirt.xml.devices.memory import MemoryDevice
from splitvirt.xml.devices.rng import EgdBackend, Rng
from splitvirt.xml.devices.source import BlockSource, FileSource, NvmeSource
from splitvirt.xml.devices.tpm import ExternalBackend, PassthroughBackend, Tpm
from splitvirt.xml.sysinfo import FwCfgInfo
from virtqemud import devicelist
from virtqemud.argv.devices.blockdev import chain_of, ends, layout

from .backing import below

if TYPE_CHECKING:
    from splitvirt.xml.domain import Domain
    from splitvirt.xml.element import Element


class File(NamedTuple):
    """One file, device or socket that is to belong to the guest's user."""

    path: str
    back: bool = True
    """Whether it goes back to who had it. Not what several guests may share, on other hosts too: it stays theirs."""
    label: str = ""
    """Its own "user:group", instead of the guest's."""
    make: bool = False
    """Whether QEMU would make it, so that it need not be there."""
    may_lack: bool = False
    """Whether the guest can start without it."""
    image: bool = False


def files_of(guest: Domain) -> list[File]:
    """Everything of a guest, each path once."""
    return unique([*_of_boot(guest), *(f for d in devicelist.every(guest) for f in of_device(d))])


def unique(files: Iterable[File]) -> list[File]:
    """Each path once; what one device shares is shared."""
    found: dict[str, File] = {}
    for file in files:
        old = found.get(file.path)
        found[file.path] = file if old is None or (old.back and not file.back) else old
    return list(found.values())


def present(device: Element) -> list[str]:
    """The paths of one device's files; none where the host does not know the device any more."""
    try:
        return [file.path for file in of_device(device)]
    except VirtError:
        return []


def of_device(device: Element) -> Iterator[File]:
    """Those of one device."""
    match device:
        case Disk():
            yield from _of_disk(device)
        case Chardev():
            yield from _of_chardev(device)
        case Rng(backend=EgdBackend() as backend):
            yield from _of_chardev(backend)
        case Tpm(backend=PassthroughBackend(path=path)):
            yield File(path or "/dev/tpm0")
            yield File(f"/sys/class/tpm/{os.path.basename(path or 'tpm0')}/device/cancel", may_lack=True)
        case Tpm(backend=ExternalBackend(source=source)):
            yield from _labelled(source, "unix", source.path)
        case Input():
            yield from (File(path) for path in (device.source_dev, device.source_evdev) if path)
        case MemoryDevice(source=source) if source is not None and source.path:
            yield File(source.path)
        case Graphics(rendernode=path) if path:
            yield File(path)
        case Interface():
            yield from _of_card(device)
        case _:
            yield from _of_hostdev(device)


def _of_boot(guest: Domain) -> Iterator[File]:
    os_ = guest.os
    if os_ is None:
        return
    yield from (File(path) for path in (os_.kernel, os_.initrd, os_.dtb) if path)
    yield from (File(table.path) for table in os_.acpi_tables if table.path)
    for info in guest.sysinfo:
        if isinstance(info, FwCfgInfo):
            yield from (File(entry.file) for entry in info.entries if entry.file)


def _of_disk(disk: Disk) -> Iterator[File]:
    images = chain_of(disk)
    for image in images:
        source = image.source
        if isinstance(source, NvmeSource):
            yield from _of_pci(str(source.address))
        path = local(source)
        if path:
            back = image is disk and not disk.readonly and not disk.shareable
            yield from _own(source.seclabels, File(path, back, may_lack=bool(source.startup_policy), image=True))
    last = images[-1]
    path = local(last.source)
    if path and not ends(disk):
        yield from (File(each, back=False, image=True) for each in below(path, layout(last)[0]))


def local(source: Any) -> str | None:
    """The file or block device of this host that a source is."""
    return source.file if isinstance(source, FileSource) else source.dev if isinstance(source, BlockSource) else None


def _own(labels: Iterable[Any], file: File) -> Iterator[File]:
    """A file by what its own `<seclabel model='dac'>` says of it."""
    label = next((each for each in labels if each.model in ("dac", None)), None)
    if label is None:
        yield file
    elif label.relabel is not False and not label.labelskip:
        yield file._replace(label=label.label or "")


def _of_chardev(dev: Chardev) -> Iterator[File]:
    source = dev.sources[0] if dev.sources else ChardevSource()
    yield from _labelled(source, dev.type or "", source.path)
    if dev.log_file:
        yield File(dev.log_file, make=True)


def _labelled(source: ChardevSource, kind: str, path: str | None) -> Iterator[File]:
    if not path:
        return
    match kind:
        case "dev":
            yield from _own(source.seclabels, File(path))
        case "file":
            yield from _own(source.seclabels, File(path, make=True))
        case "pipe":
            ends_ = [path + end for end in (".in", ".out") if os.path.exists(path + end)]
            yield from (file for each in ends_ or [path] for file in _own(source.seclabels, File(each)))
        case "unix" if source.mode != "bind":
            yield from _own(source.seclabels, File(path))


def _of_card(card: Interface) -> Iterator[File]:
    if card.type == "vhostuser" and card.path and card.socket_mode != "server":
        yield File(card.path)
    elif card.type == "vdpa" and card.source_dev:
        yield File(card.source_dev)
    elif card.type == "hostdev" and card.host_address is not None:
        yield from _of_pci(str(card.host_address))
    if card.backend_type == "passt" and card.log_file:
        yield File(card.log_file, make=True)


def _of_hostdev(device: Element) -> Iterator[File]:
    from virtqemud.argv.devices.hostdev import generic_device, usb_place

    match device:
        case UsbHostdev():
            bus, number = usb_place(device)
            yield File(f"/dev/bus/usb/{bus:03d}/{number:03d}")
        case PciHostdev() if device.host is not None:
            yield from _of_pci(str(device.host))
        case MdevHostdev():
            yield from _of_group(f"/sys/bus/mdev/devices/{device.uuid}")
        case ScsiHostdev() if device.protocol != "iscsi":
            yield File(generic_device(device), back=not (device.readonly or device.shareable))
        case ScsiHostHostdev():
            yield File("/dev/vhost-scsi")


def _of_pci(address: str) -> Iterator[File]:
    yield from _of_group(f"/sys/bus/pci/devices/{address}")


def _of_group(device: str) -> Iterator[File]:
    """VFIO's node of the group that a device is in."""
    try:
        group = os.path.basename(os.readlink(f"{device}/iommu_group"))
    except OSError:
        return  # QEMU will say what the device lacks
    yield File(f"/dev/vfio/{group}", may_lack=True)
