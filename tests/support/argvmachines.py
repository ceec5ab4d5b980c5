"""Guests of many machines and processors."""

from collections.abc import Iterator
from pathlib import Path

from .argvguest import disk, guest


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
