"""Guests of many kinds, for command lines: what each needs of the host is made in a folder, nothing else is opened."""

import socket
from collections.abc import Iterator
from pathlib import Path

HEAD = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>5e0f4c4d-4c4f-4b1c-9d51-0a4f8a3c1c11</uuid>
  <memory unit='MiB'>{memory}</memory>
  {top}
  <vcpu{vcpus}</vcpu>
  <os>{os}</os>
  <features>{features}</features>
  {cpu}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {devices}
  </devices>
</domain>
"""


def guest(
    devices: str = "", *, machine: str = "pc", features: str = "<acpi/>", top: str = "", cpu: str = "", name: str = "t",
    memory: int = 64, vcpus: str = ">1", os: str = "",
) -> str:  # fmt: skip
    """A guest's XML."""
    return HEAD.format(
        name=name, memory=memory, top=top, vcpus=vcpus, features=features, cpu=cpu, devices=devices,
        os=os or f"<type arch='x86_64' machine='{machine}'>hvm</type>",
    )  # fmt: skip


DISK = "<disk type='file' device='{device}'><driver name='qemu' type='{kind}'{more}/><source file='{path}'/>"
HARD = DISK + "<target dev='{target}' bus='{bus}'/>{inner}</disk>"


def free_port(kind: socket.SocketKind, low: int = 0) -> int:
    """A port of this machine that nobody has just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        for port in range(low, low + 500) if low else (0,):
            try:
                probe.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        return int(probe.getsockname()[1])


def disk(
    folder: Path, bus: str, target: str, *, device: str = "disk", kind: str = "raw", more: str = "", inner: str = ""
) -> str:
    """A disk on an image in the folder: `raw.img`, `top.qcow2` or `cd.img`"""
    path = folder / ("cd.img" if device == "cdrom" else "raw.img" if kind == "raw" else "top.qcow2")
    return HARD.format(device=device, kind=kind, more=more, path=path, target=target, bus=bus, inner=inner)


def runnable(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, XML) of guests that the installed QEMU can start; images and folders are in `folder`."""
    yield from machines(folder)
    yield from processors()
    yield from disks(folder)
    yield from buses(folder)
    yield from wires(folder)
    yield from screens(folder)
    yield from small(folder)


def machines(folder: Path) -> Iterator[tuple[str, str]]:
    """Boards, firmware, boot order, memory."""
    yield "pc", guest()
    yield "q35", guest(machine="q35")
    yield (
        "microvm",
        guest(
            "<controller type='usb' model='none'/>"
            + disk(folder, "virtio", "vda")
            + "<interface type='user'><model type='virtio'/></interface><serial type='pty'/><memballoon model='none'/>"
            "<rng model='virtio'><backend model='builtin'/></rng>",
            machine="microvm",
        ),
    )
    yield "old-pc", guest(machine="pc-i440fx-2.9")
    yield "no-acpi", guest(features="")
    yield "smm", guest(machine="q35", features="<acpi/><smm state='on'><tseg unit='MiB'>16</tseg></smm>")
    yield "vmport", guest(features="<acpi/><vmport state='off'/><vmcoreinfo state='on'/>")
    yield (
        "bootmenu",
        guest(
            os="<type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/><boot dev='network'/>"
            "<bootmenu enable='yes' timeout='1000'/><bios rebootTimeout='100'/>",
            devices=disk(folder, "virtio", "vda") + "<interface type='user'><model type='virtio'/></interface>",
        ),
    )
    yield (
        "kernel",
        guest(
            os=f"<type arch='x86_64' machine='pc'>hvm</type><kernel>{folder}/kernel</kernel>"
            f"<initrd>{folder}/raw.img</initrd><cmdline>console=ttyS0, quiet</cmdline>"
        ),
    )
    yield (
        "smbios",
        guest(
            top="<sysinfo type='smbios'><bios><entry name='vendor'>Me, Inc.</entry></bios><system>"
            "<entry name='manufacturer'>x</entry><entry name='serial'>1</entry></system><oemStrings><entry>a,b</entry>"
            "</oemStrings></sysinfo>",
            os="<type arch='x86_64' machine='pc'>hvm</type><smbios mode='sysinfo'/>",
        ),
    )
    yield "fwcfg", guest(top="<sysinfo type='fwcfg'><entry name='opt/org.x/y'>v,w</entry></sysinfo>")
    yield "genid", guest(top="<genid>e9392370-2917-565e-692b-d057f46512d6</genid>")
    yield "pm", guest(cpu="<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='yes'/></pm>")
    yield (
        "clock",
        guest(
            cpu="<clock offset='variable' adjustment='3600'><timer name='rtc' tickpolicy='catchup' track='guest'/>"
            "<timer name='hpet' present='no'/></clock>"
        ),
    )
    yield "memory-file", guest(top="<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>")
    yield "memfd", guest(top="<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>")
    yield (
        "dimms",
        guest(
            top="<maxMemory slots='4' unit='MiB'>512</maxMemory>",
            cpu="<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>",
            memory=192,
            devices="<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>",
        ),
    )


def processors() -> Iterator[tuple[str, str]]:
    """CPUs, topology, NUMA."""
    yield "topology", guest(vcpus=">8", cpu="<cpu><topology sockets='2' dies='1' cores='2' threads='2'/></cpu>")
    yield "hotplug-cpus", guest(vcpus=" current='1'>4")
    yield (
        "cpu-model",
        guest(
            cpu="<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>Haswell</model>"
            "<feature policy='disable' name='hle'/><feature policy='require' name='pdpe1gb'/></cpu>"
        ),
    )
    yield "cpu-max", guest(cpu="<cpu mode='maximum' check='none'/>")
    yield "cpu-host-model", guest(cpu="<cpu mode='host-model' check='partial'/>")
    yield (
        "numa",
        guest(
            vcpus=">4",
            memory=128,
            cpu="<cpu><numa><cell id='0' cpus='0-1' memory='64' unit='MiB'><distances><sibling id='0' value='10'/>"
            "<sibling id='1' value='21'/></distances></cell>"
            "<cell id='1' cpus='2-3' memory='64' unit='MiB'/></numa></cpu>",
        ),
    )
    yield (
        "hmat",
        guest(
            vcpus=">2",
            memory=128,
            machine="q35",
            cpu="<cpu><numa><cell id='0' cpus='0-1' memory='64' unit='MiB'><cache level='1' associativity='direct' "
            "policy='writeback'><size value='10' unit='KiB'/><line value='8' unit='B'/></cache></cell>"
            "<cell id='1' memory='64' unit='MiB'/><interconnects><latency initiator='0' target='0' type='access' "
            "value='5'/><latency initiator='0' target='0' cache='1' type='access' value='10'/>"
            "<bandwidth initiator='0' target='0' type='access' value='204800' unit='KiB'/>"
            "<bandwidth initiator='0' target='0' cache='1' type='access' value='208896' unit='KiB'/>"
            "</interconnects></numa></cpu>",
        ),
    )
    yield (
        "hyperv",
        guest(
            features="<acpi/><hyperv mode='custom'><relaxed state='on'/><vapic state='on'/>"
            "<spinlocks state='on' retries='4096'/></hyperv><kvm><hidden state='on'/></kvm>"
        ),
    )
    yield (
        "iothreads",
        guest(
            top="<iothreads>2</iothreads><iothreadids><iothread id='3' thread_pool_min='1' thread_pool_max='4'/>"
            "</iothreadids>"
        ),
    )
    yield "locked-apart", guest(top="<memoryBacking><nosharepages/></memoryBacking>")


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


def wires(folder: Path) -> Iterator[tuple[str, str]]:
    """Networks and character devices."""
    yield "user-net", guest("<interface type='user'><model type='virtio'/><driver queues='1'/></interface>")
    yield (
        "user-net-range",
        guest(
            "<interface type='user'><ip address='172.17.2.0' family='ipv4' prefix='24'/>"
            "<model type='rtl8139'/></interface>"
        ),
    )
    yield "mcast", guest("<interface type='mcast'><source address='230.0.0.1' port='5558'/></interface>")
    yield (
        "udp-net",
        guest(
            "<interface type='udp'><source address='127.0.0.1' port='15555'>"
            f"<local address='127.0.0.1' port='{free_port(socket.SOCK_DGRAM)}'/>"
            "</source><model type='e1000e'/></interface>"
        ),
    )
    yield (
        "offloads",
        guest(
            "<interface type='user'><model type='virtio'/><driver txmode='iothread' ioeventfd='on' event_idx='off' "
            "rx_queue_size='512'><host csum='off' gso='off' tso4='off'/><guest csum='off' ufo='off'/>"
            "</driver></interface>"
        ),
    )
    yield (
        "transitional",
        guest(
            "<interface type='user'><model type='virtio-transitional'/></interface>"
            "<rng model='virtio-non-transitional'><backend model='builtin'/></rng>",
            machine="q35",
        ),
    )
    yield "rom", guest("<interface type='user'><model type='virtio'/><rom enabled='no'/></interface>")
    yield (
        "serial",
        guest(f"<serial type='file'><source path='{folder}/serial, x' append='on'/></serial><serial type='null'/>"),
    )
    yield (
        "serial-kinds",
        guest(
            "<serial type='pty'><target type='pci-serial'/></serial><serial type='pty'><target type='usb-serial'/>"
            "</serial><serial type='null'><target type='isa-debug'/></serial>"
        ),
    )
    yield (
        "serial-socket",
        guest(
            f"<serial type='unix'><source mode='bind' path='{folder}/s'/></serial>"
            "<serial type='udp'><source mode='connect' host='127.0.0.1' service='15557'/></serial>"
            f"<parallel type='file'><source path='{folder}/p'/></parallel>"
        ),
    )
    yield "log", guest(f"<serial type='pty'><log file='{folder}/log' append='on'/></serial>")
    yield "console", guest("<console type='pty'><target type='virtio'/></console>")
    yield (
        "agent",
        guest(
            "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
            "<channel type='pty'><target type='virtio'/></channel>"
        ),
    )
    yield (
        "vdagent",
        guest(
            "<channel type='qemu-vdagent'><source><clipboard copypaste='yes'/><mouse mode='client'/></source>"
            "<target type='virtio' name='com.redhat.spice.0'/></channel>"
        ),
    )
    yield (
        "guestfwd",
        guest(
            f"<channel type='file'><source path='{folder}/fwd'/>"
            "<target type='guestfwd' address='10.0.2.1' port='4600'/>"
            "</channel>"
        ),
    )


def screens(folder: Path) -> Iterator[tuple[str, str]]:
    """Displays, cards, sound."""
    yield (
        "vnc",
        guest(
            f"<graphics type='vnc' port='{free_port(socket.SOCK_STREAM, 25901)}'/><video><model type='vga'/></video>"
        ),
    )
    yield (
        "vnc-socket",
        guest(f"<graphics type='vnc' socket='{folder}/vnc' sharePolicy='ignore' powerControl='yes' keymap='en-us'/>"),
    )
    yield "vnc-none", guest("<graphics type='vnc'><listen type='none'/></graphics>")
    yield "cirrus", guest("<video><model type='cirrus'/></video>")
    yield "vmvga", guest("<video><model type='vmvga'/></video>")
    yield (
        "virtio-gpu",
        guest("<video><model type='virtio' heads='2'><resolution x='800' y='600'/></model></video>", machine="q35"),
    )
    yield "bochs", guest("<video><model type='bochs'/></video>")
    yield "ramfb", guest("<video><model type='ramfb'/></video>")
    yield "no-video", guest("<video><model type='none'/></video>")
    yield "sound-hda", guest("<sound model='ich6'><codec type='output'/><codec type='micro'/></sound>")
    yield "sound-old", guest("<sound model='sb16'/><sound model='es1370'/><sound model='ac97'/><sound model='pcspk'/>")
    yield "sound-usb", guest("<sound model='usb'/><sound model='ich9'/>")
    yield (
        "audio-file",
        guest(
            f"<sound model='ac97'/><audio id='1' type='file' path='{folder}/a.wav'><output mixingEngine='yes' "
            "fixedSettings='yes' voices='2'><settings frequency='44100' channels='2' format='s16'/></output></audio>"
        ),
    )


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
