"""Guests of many kinds, for command lines: what each needs of the host is made in a folder, nothing else is opened."""

from collections.abc import Iterator
from pathlib import Path

from .argvdisks import buses, disks
from .argvguest import guest
from .argvmachines import machines, processors
from .argvwires import screens, wires

NAMESPACED = (
    guest("<rng model='virtio'><backend model='builtin'/><alias name='ua-r'/></rng>")
    .replace("<domain type='qemu'>", "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>")
    .replace(
        "</devices>",
        "</devices><qemu:commandline><qemu:arg value='-global'/><qemu:arg value='isa-debugcon.iobase=0x402'/>"
        "<qemu:env name='X' value='y z'/></qemu:commandline><qemu:override><qemu:device alias='ua-r'><qemu:frontend>"
        "<qemu:property name='max-bytes' type='unsigned' value='1024'/></qemu:frontend></qemu:device></qemu:override>",
    )
)


def runnable(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, XML) of guests that the installed QEMU can start; images and folders are in `folder`."""
    yield from machines(folder)
    yield from processors()
    yield from disks(folder)
    yield from buses(folder)
    yield from wires(folder)
    yield from screens(folder)
    yield from small(folder)


def small(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything else."""
    yield (
        "inputs",
        guest(
            "<input type='tablet' bus='usb'/><input type='keyboard' bus='virtio'/><input type='mouse' bus='virtio'>"
            "<driver packed='on'/></input>",
            machine="q35",
        ),
    )
    yield (
        "rng",
        guest(
            "<rng model='virtio'><rate bytes='1024' period='500'/><backend model='random'>/dev/urandom</backend></rng>"
        ),
    )
    yield (
        "rng-egd",
        guest(
            f"<rng model='virtio'><backend model='egd' type='unix'><source mode='bind' path='{folder}/egd'/>"
            "</backend></rng>"
        ),
    )
    yield "watchdog", guest("<watchdog model='i6300esb' action='dump'/>")
    yield "watchdog-isa", guest("<watchdog model='ib700' action='inject-nmi'/>")
    yield (
        "balloon",
        guest("<memballoon model='virtio' autodeflate='on' freePageReporting='on'><stats period='5'/></memballoon>"),
    )
    yield "no-balloon", guest("<memballoon model='none'/>")
    yield "panic", guest("<panic model='isa'><address type='isa' iobase='0x506'/></panic>")
    yield "crypto", guest("<crypto model='virtio' type='qemu'><backend model='builtin' queues='1'/></crypto>")
    yield "shmem", guest("<shmem name='splitvirt-argv'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>")
    yield (
        "smartcard",
        guest(f"<smartcard mode='passthrough' type='unix'><source mode='bind' path='{folder}/card'/></smartcard>"),
    )
    yield (
        "redirdev",
        guest(
            f"<redirdev bus='usb' type='unix'><source mode='bind' path='{folder}/redir'/></redirdev><redirfilter>"
            "<usbdev class='0x08' vendor='0x15E1' product='0x2007' version='1.10' allow='yes'/><usbdev allow='no'/>"
            "</redirfilter>"
        ),
    )
    yield "override", NAMESPACED
