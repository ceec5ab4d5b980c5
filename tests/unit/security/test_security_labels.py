"""Which files of the host a guest's user gets, by every kind of device."""

from pathlib import Path
from typing import Any

import pytest

from splitvirt.api.errors import ConfigUnsupported, InvalidArg
from splitvirt.xml.domain import Domain
from virtqemud.security.labels import File, files_of, unique
from virtqemud.security.locked import locked_memory
from virtqemud.security.model import Security
from virtqemud.security.process import Identity

ALL = """<domain type='qemu'><name>all</name><memory>65536</memory>
<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/fw/code.fd</loader>
  <nvram>/fw/vars.fd</nvram><kernel>/b/kernel</kernel><initrd>/b/initrd</initrd><dtb>/b/dtb</dtb>
  <acpi><table type='slic'>/b/slic</table></acpi></os>
<sysinfo type='fwcfg'><entry name='opt/x' file='/b/fw.cfg'/><entry name='opt/y'>text</entry></sysinfo>
<devices>
<disk type='file'><source file='/d/rw'/><target dev='vda'/></disk>
<disk type='block'><source dev='/d/block'/><target dev='vdb'/></disk>
<disk type='file'><source file='/d/ro'/><target dev='vdc'/><readonly/></disk>
<disk type='file'><source file='/d/shared'/><target dev='vdd'/><shareable/></disk>
<disk type='file'><source file='/d/kept'><seclabel model='dac' relabel='no'/></source><target dev='vde'/></disk>
<disk type='file'><source file='/d/other'><seclabel model='dac'><label>a:b</label></seclabel></source>
<target dev='vdf'/></disk>
<disk type='file'><driver type='qcow2'/><source file='/d/top'/><target dev='vdg'/>
  <backingStore type='file'><format type='qcow2'/><source file='/d/middle'/>
    <backingStore type='block'><format type='raw'/><source dev='/d/bottom'/></backingStore></backingStore></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
<disk type='file' device='cdrom'><source file='/d/iso' startupPolicy='optional'/><target dev='sdb' bus='sata'/>
<readonly/></disk>
<disk type='network'><source protocol='nbd' name='x'><host name='h'/></source><target dev='vdh'/></disk>
<disk type='dir'><source dir='/d/folder'/><target dev='vdi'/><readonly/></disk>
<filesystem type='mount'><source dir='/d/shared-folder'/><target dir='tag'/></filesystem>
<interface type='vhostuser'><source type='unix' path='/n/client' mode='client'/><model type='virtio'/></interface>
<interface type='vhostuser'><source type='unix' path='/n/server' mode='server'/><model type='virtio'/></interface>
<serial type='file'><source path='/c/file'/></serial>
<serial type='dev'><source path='/c/dev'/></serial>
<serial type='pipe'><source path='/c/pipe'/></serial>
<serial type='unix'><source mode='connect' path='/c/connect'/></serial>
<serial type='unix'><source mode='bind' path='/c/bind'/></serial>
<serial type='pty'><log file='/c/log'/></serial>
<serial type='dev'><source path='/c/kept'><seclabel model='dac' relabel='no'/></source></serial>
<console type='file'><source path='/c/file'/><target type='serial'/></console>
<channel type='unix'><target type='virtio' name='agent'/></channel>
<input type='evdev'><source dev='/i/evdev'/></input>
<input type='passthrough' bus='virtio'><source evdev='/i/passed'/></input>
<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm7'/></backend></tpm>
<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>
<rng model='virtio'><backend model='egd' type='unix'><source mode='connect' path='/c/egd'/></backend></rng>
<memory model='nvdimm'><source><path>/m/nvdimm</path></source><target><size>2048</size><node>0</node></target></memory>
<graphics type='spice'><gl enable='yes' rendernode='/g/render'/></graphics>
<hostdev mode='subsystem' type='usb'><source><address bus='3' device='14'/></source></hostdev>
<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789abcde0'/></hostdev>
<smartcard mode='passthrough' type='unix'><source mode='connect' path='/c/card'/></smartcard>
</devices></domain>"""


def test_every_kind_of_device() -> None:
    text = """/b/kernel /b/initrd /b/dtb /b/slic /b/fw.cfg /d/rw /d/block /d/top /n/client /c/dev /c/pipe /c/connect
        /i/evdev /i/passed /dev/tpm7 /c/egd /m/nvdimm /g/render /dev/bus/usb/003/014 /dev/vhost-scsi /c/card"""
    back = text.split()
    found = {file.path: file for file in files_of(Domain.from_xml(ALL))}
    images = ("/d/rw", "/d/block", "/d/top")
    expected = {path: File(path, image=path in images) for path in back}
    expected |= {path: File(path, back=False, image=True) for path in ("/d/ro", "/d/shared", "/d/middle", "/d/bottom")}
    expected |= {path: File(path, make=True) for path in ("/c/file", "/c/log")}
    expected["/d/other"] = File("/d/other", label="a:b", image=True)
    expected["/d/iso"] = File("/d/iso", back=False, may_lack=True, image=True)
    expected["/sys/class/tpm/tpm7/device/cancel"] = File("/sys/class/tpm/tpm7/device/cancel", may_lack=True)
    assert found == expected


def test_a_path_of_two_devices_is_one_file() -> None:
    assert unique([File("/a"), File("/a", back=False), File("/a")]) == [File("/a", back=False)]


def test_vfio_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    devices = """<hostdev mode='subsystem' type='pci'><source>
    <address domain='0' bus='1' slot='2' function='3'/></source></hostdev>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'><source>
    <address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>"""
    groups = {
        "/sys/bus/pci/devices/0000:01:02.3": "5",
        "/sys/bus/mdev/devices/c2177883-f1bb-47f0-914d-32a22e3a8804": "9",
    }
    monkeypatch.setattr("os.readlink", lambda path: f"/groups/{groups[path.removesuffix('/iommu_group')]}")
    found = files_of(Domain.from_xml(f"<domain type='qemu'><name>v</name><devices>{devices}</devices></domain>"))
    assert found == [File("/dev/vfio/5", may_lack=True), File("/dev/vfio/9", may_lack=True)]


def test_memory_that_may_be_locked() -> None:
    def limit(inside: str) -> int:
        return locked_memory(
            Domain.from_xml(f"<domain type='qemu'><name>m</name><memory>1024</memory>{inside}</domain>")
        )

    locked = "<memoryBacking><locked/></memoryBacking>"
    card = "<hostdev mode='subsystem' type='pci'><source><address bus='1' slot='0' function='0'/></source></hostdev>"
    assert limit("") == 0
    assert limit(locked) == -1
    assert limit(f"<memtune><hard_limit>4096</hard_limit></memtune>{locked}") == 4096 << 10
    assert limit(f"<devices>{card}</devices>") == (1024 << 10) + (1 << 30)


def _labelled(security: Security, label: str) -> tuple[str, Any, bool]:
    live = Domain.from_xml(f"<domain type='qemu'><name>l</name>{label}</domain>")
    security.assign(live)
    shown = live.to_xml(inactive=True).partition("<seclabel")
    return (shown[1] + shown[2]).removesuffix("</domain>\n"), security.identity(live), security.relabels(live)


def test_labels_are_completed_as_libvirt_completes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded from libvirtd 9.0 as it runs on Debian, with security_driver = "none"."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    security = Security(Identity(64055, 64055, (108, 64055)))
    usual, both = Identity(64055, 64055, (108, 64055)), "    <label>{0}</label>\n    <imagelabel>{0}</imagelabel>\n"
    dynamic = f"<seclabel type='dynamic' model='dac' relabel='yes'>\n{both.format('+64055:+64055')}  </seclabel>\n"
    assert _labelled(security, "") == (dynamic, usual, True)
    assert _labelled(security, "<seclabel type='dynamic' model='dac'/>") == (dynamic, usual, True)
    static = "<seclabel type='static' model='dac' relabel='{}'>{}</seclabel>"
    label = "<label>+65123:+65124</label>"
    assert _labelled(security, static.format("yes", label)) == (
        static.format("yes", "\n" + both.format("+65123:+65124") + "  ") + "\n", (65123, 65124, (65124,)), True
    )  # fmt: skip
    assert _labelled(security, static.format("no", label)) == (
        static.format("no", "\n    <label>+65123:+65124</label>\n  ") + "\n", (65123, 65124, (65124,)), False
    )  # fmt: skip
    none = "<seclabel type='none' model='dac'/>\n"
    assert _labelled(security, none) == (none, usual, False)
    assert _labelled(Security(usual, dynamic=False), "")[1:] == (usual, False)
    with pytest.raises(InvalidArg, match="Failed to parse user 'no-such'"):
        _labelled(security, static.format("no", "<label>no-such:root</label>"))
    with pytest.raises(ConfigUnsupported, match="Security driver model 'selinux' is not available"):
        _labelled(security, "<seclabel type='static' model='selinux'><label>x</label></seclabel>")


def test_without_a_user_of_their_own_guests_have_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getegid", lambda: 1000)
    assert _labelled(Security(), "") == ("", None, False)
    static = "<seclabel type='static' model='dac' relabel='no'><label>{0}</label></seclabel>"
    assert _labelled(Security(), static.format("+1000:+1000"))[1:] == (None, False)
    with pytest.raises(ConfigUnsupported, match="Security driver model 'dac' is not available"):
        _labelled(Security(), static.format("+1001:+1000"))
