"""Owners, notes, labels and answers, side by side with Debian's libvirtd run with the same user."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.libvirtd import available, private_libvirtd
from support.owners import ALICE, CONF_FILE, disk, file, needs_notes, open_folder
from support.qemu import needs_qemu
from support.virtqemud import running

pytestmark = [
    needs_qemu,
    needs_notes,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not available(), reason="needs Debian's libvirtd, as root, to compare with"),
    pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img (Debian: qemu-utils)"),
]

NAMES = ("rw", "ro", "shared", "unlabelled", "other", "linked", "fw.cfg", "nvdimm", "floppy", "base", "top")
GUEST = """<domain type='qemu'><name>both</name><uuid>5c6b1b0c-8a39-4b9c-8f5e-1d4f2b6a7c01</uuid>
<maxMemory slots='2' unit='MiB'>256</maxMemory><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>
<sysinfo type='fwcfg'><entry name='opt/org.example/x' file='{f}/fw.cfg'/></sysinfo>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>{label}<devices>
{disks}
<disk type='file' device='floppy'><driver name='qemu' type='raw'/><source file='{f}/floppy'/><target dev='fda'/></disk>
<memory model='nvdimm'><source><path>{f}/nvdimm</path></source><target><size unit='MiB'>2</size><node>0</node>
<label><size unit='KiB'>128</size></label></target></memory>
<serial type='file'><source path='{f}/serial.log'/></serial>
<serial type='unix'><source mode='bind' path='{f}/serial.sock'/></serial>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
</devices></domain>"""
LABEL = re.compile("^ *<seclabel[^>]*/>|^ *<seclabel.*?</seclabel>", re.DOTALL | re.MULTILINE)
ASK = """
import json, libvirt, sys
c = libvirt.open(sys.argv[1])
d = c.lookupByName("both")
print(json.dumps([d.securityLabel(), d.securityLabelList(), c.getSecurityModel()]))
"""


def guest(folder: Path, label: str) -> str:
    """A guest of all that is to be compared; its files are Alice's."""
    for name in NAMES[:-2]:
        file(folder / name, {"fw.cfg": 100, "nvdimm": 2 << 20, "floppy": 1440 << 10}.get(name, 1 << 20))
    for name, more in (("base", []), ("top", ["-b", str(folder / "base"), "-F", "qcow2"])):
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", *more, str(folder / name), "1M"]
        subprocess.run(argv, check=True)
        os.chown(folder / name, ALICE, ALICE)
    (folder / "unlabelled").chmod(0o666)
    (folder / "other").chmod(0o666)
    (folder / "link").symlink_to(folder / "linked")
    disks = [
        disk(folder / "rw", "vda"), disk(folder / "ro", "vdb", "<readonly/>"),
        disk(folder / "shared", "vdc", "<shareable/>"),
        disk(folder / "unlabelled", "vdd", inside="<seclabel model='dac' relabel='no'/>"),
        disk(folder / "link", "vde"), disk(folder / "top", "vdf", kind="qcow2"),
        disk(folder / "other", "vdg", inside="<seclabel model='dac'><label>+65300:+65300</label></seclabel>"),
    ]  # fmt: skip
    return GUEST.format(f=folder, label=label, disks="\n".join(disks))


def owners(folder: Path) -> dict[str, Any]:
    """Of every file: owner, mode, and what is noted at it."""
    found = {}
    for path in sorted(folder.iterdir()):
        about = path.stat()
        noted = {name: os.getxattr(path, name).decode() for name in os.listxattr(path) if name.startswith("trusted.")}
        stamp = noted.pop("trusted.libvirt.security.timestamp_dac", None)
        kind = oct(about.st_mode & 0o777) if path.suffix != ".sock" else "socket"
        found[path.name] = (about.st_uid, about.st_gid, kind, noted, stamp is not None)
    return found


def virsh(uri: str, *words: str, check: bool = True) -> str:
    done = subprocess.run(["virsh", "-q", "-c", uri, *words], capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def course(uri: str, folder: Path, label: str) -> dict[str, Any]:
    """All that is to be seen of one guest's run."""
    with open_folder() as apart:
        (apart / "guest.xml").write_text(guest(folder, label))
        before = owners(folder)
        virsh(uri, "create", str(apart / "guest.xml"), "--paused")
        during = owners(folder)
        asked: dict[str, list[str]] = {"live": [], "inactive": ["--inactive"], "migratable": ["--migratable"]}
        shown = {name: LABEL.findall(virsh(uri, "dumpxml", "both", *more)) for name, more in asked.items()}
        answers = subprocess.run(
            ["/usr/bin/python3", "-c", ASK, uri], capture_output=True, text=True, check=True
        ).stdout
        info = [line for line in virsh(uri, "dominfo", "both").splitlines() if line.startswith("Security")]
        virsh(uri, "destroy", "both")
        return {
            "before": before, "during": during, "after": owners(folder), "labels": shown,
            "answers": json.loads(answers), "info": info,
        }  # fmt: skip


@contextlib.contextmanager
def both(qemu_conf: str) -> Iterator[tuple[str, str]]:
    """The URIs of libvirtd and of virtqemud, with the same qemu.conf."""
    with open_folder() as root, private_libvirtd(qemu_conf=qemu_conf) as socket:
        (root / "etc/libvirt").mkdir(parents=True)
        (root / "etc/libvirt/qemu.conf").write_text(qemu_conf)
        with running(root) as ours:
            yield f"qemu:///system?socket={socket}", ours


def compare(uris: tuple[str, str], label: str) -> None:
    """See that both do the same with a guest, and say the same of it."""
    seen: list[dict[str, Any]] = []
    for uri in uris:
        with open_folder() as folder:
            seen.append(json.loads(json.dumps(course(uri, folder, label)).replace(str(folder), "/F")))
    theirs, ours = seen
    for what, value in theirs.items():
        assert ours[what] == value, (label, what)


NAMED = "<seclabel type='static' model='dac' relabel='yes'><label>nobody:nogroup</label></seclabel>"


def test_as_libvirtd() -> None:
    with both(CONF_FILE) as uris:
        for label in ("", NAMED):
            compare(uris, label)
        refusals(*uris)


def test_as_libvirtd_that_forgets_owners() -> None:
    with both(CONF_FILE + "remember_owner = 0\n") as uris:
        compare(uris, "")


def refusals(libvirtd: str, virtqemud: str) -> None:
    """See that both refuse the same labels in the same words."""
    static = "<seclabel type='static' model='{}' relabel='no'><label>{}</label></seclabel>"
    labels = [static.format("dac", "no-such-user:root"), static.format("dac", "nobody"), static.format("selinux", "x")]
    with open_folder() as folder:
        xml = folder / "guest.xml"
        for label in labels:
            head = "<domain type='qemu'><name>no</name><memory>65536</memory><os><type>hvm</type></os>"
            xml.write_text(f"{head}{label}</domain>")
            theirs, ours = [virsh(uri, "create", str(xml), check=False) for uri in (libvirtd, virtqemud)]
            assert "error:" in ours
            assert ours == theirs
