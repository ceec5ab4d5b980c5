"""Guests with many disks, controllers and folders."""

from collections.abc import Iterator
from pathlib import Path

from .argvguest import disk, guest


def disks(folder: Path) -> Iterator[tuple[str, str]]:
    """Drives, formats, sources."""
    yield "virtio-disk", guest(disk(folder, "virtio", "vda", more=" cache='none' io='threads' discard='unmap'"))
    yield "qcow2-chain", guest(disk(folder, "virtio", "vda", kind="qcow2", more=" cache='writeback'"))
    yield "ide", guest(disk(folder, "ide", "hda") + disk(folder, "ide", "hdc", device="cdrom", inner="<readonly/>"))
    yield "empty-cdrom", guest("<disk type='file' device='cdrom'><target dev='hda' bus='ide'/><readonly/></disk>")
    yield "sata", guest(disk(folder, "sata", "sda", inner="<serial>a b</serial>"), machine="q35")
    yield "sata-on-pc", guest("<controller type='sata' index='0'/>" + disk(folder, "sata", "sda"))
    yield (
        "scsi-virtio",
        guest(
            "<controller type='scsi' index='0' model='virtio-scsi'><driver queues='2' cmd_per_lun='8'/></controller>"
            + disk(folder, "scsi", "sda", inner="<wwn>5000c50015ea71ad</wwn><vendor>ME</vendor><product>X</product>")
        ),
    )
    yield "scsi-lsi", guest("<controller type='scsi' index='0' model='lsilogic'/>" + disk(folder, "scsi", "sda"))
    yield "usb-disk", guest(disk(folder, "usb", "sda"))
    yield "floppy", guest(disk(folder, "fdc", "fda", device="floppy"))
    yield "floppy-q35", guest(disk(folder, "fdc", "fda", device="floppy"), machine="q35")
    yield (
        "folder-as-disk",
        guest(
            f"<disk type='dir' device='floppy'><driver name='qemu' type='fat'/><source dir='{folder}/share'/>"
            "<target dev='fda' bus='fdc'/><readonly/></disk>"
        ),
    )
    yield "copy-on-read", guest(disk(folder, "virtio", "vda", more=" copy_on_read='on' detect_zeroes='unmap'"))
    yield (
        "slice",
        guest(
            f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{folder}/raw.img'><slices>"
            "<slice type='storage' offset='4096' size='65536'/></slices></source>"
            "<target dev='vda' bus='virtio'/></disk>"
        ),
    )
    yield "policies", guest(
        disk(folder, "virtio", "vda", more=" error_policy='stop' rerror_policy='report' queues='2' iothread='1'")
        .replace("<target", "<blockio logical_block_size='512' physical_block_size='4096'/><target"),
        top="<iothreads>1</iothreads>",
    )  # fmt: skip
    yield (
        "nbd-later",
        guest(
            f"<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>"
            f"<source file='{folder}/top.qcow2'/><backingStore type='file'><format type='raw'/>"
            f"<source file='{folder}/raw.img'/><backingStore/></backingStore><target dev='vda' bus='virtio'/></disk>"
        ),
    )


def buses(folder: Path) -> Iterator[tuple[str, str]]:
    """Controllers and topologies."""
    yield "usb2", guest("<controller type='usb' index='0' model='ich9-ehci1'/><input type='tablet' bus='usb'/>")
    yield "xhci", guest("<controller type='usb' index='0' model='qemu-xhci' ports='8'/><hub type='usb'/>")
    yield "no-usb", guest("<controller type='usb' index='0' model='none'/>")
    yield (
        "bridge",
        guest(
            "<controller type='pci' index='1' model='pci-bridge'/><interface type='user'><model type='e1000'/>"
            "<address type='pci' domain='0' bus='1' slot='3' function='0'/></interface>"
        ),
    )
    yield (
        "pcie",
        guest(
            "<controller type='pci' index='1' model='pcie-root-port'/>"
            "<controller type='pci' index='2' model='pcie-to-pci-bridge'/>"
            "<controller type='pci' index='3' model='pcie-root-port'/>"
            "<controller type='pci' index='4' model='pcie-switch-upstream-port'/>"
            "<controller type='pci' index='5' model='pcie-switch-downstream-port'/>"
            "<interface type='user'><model type='virtio'/></interface>",
            machine="q35",
        ),
    )
    yield (
        "hole64",
        guest("<controller type='pci' index='0' model='pci-root'><pcihole64 unit='GiB'>4</pcihole64></controller>"),
    )
    yield (
        "iommu",
        guest(
            "<iommu model='intel'><driver intremap='on' caching_mode='on' iotlb='on' aw_bits='48'/></iommu>",
            machine="q35",
            features="<acpi/><ioapic driver='qemu'/>",
        ),
    )
    yield "virtio-iommu", guest("<iommu model='virtio'/>", machine="q35")
    yield (
        "9p",
        guest(
            f"<filesystem type='mount' accessmode='mapped' fmode='640' dmode='750'><source dir='{folder}/share'/>"
            "<target dir='tag'/></filesystem>"
        ),
    )
    yield (
        "9p-read-only",
        guest(
            f"<filesystem type='mount' accessmode='squash'><source dir='{folder}/share'/><target dir='a'/><readonly/>"
            "</filesystem>"
        ),
    )
