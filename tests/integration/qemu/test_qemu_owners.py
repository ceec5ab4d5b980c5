"""A guest's files are its user's while it runs, and somebody else's again after it; with real QEMU processes."""

import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.owners import (
    ALICE,
    GID,
    HERS,
    MINE,
    UID,
    disk,
    driver,
    file,
    needs_notes,
    needs_root,
    notes,
    open_folder,
    run,
    runs_as,
    serving,
    who,
)  # fmt: skip
from support.qemu import PAUSED, alive, gone, needs_qemu, qemus, tiny

from splitvirt.api.errors import InternalError, OperationInvalid, SystemError_
from virtqemud.driver import QemuDriver

pytestmark = [needs_qemu, needs_root]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
async def hv(folder: Path) -> AsyncIterator[QemuDriver]:
    async with serving(folder) as made:
        yield made


@needs_notes
async def test_files_before_during_and_after(hv: QemuDriver, folder: Path) -> None:
    kept = {name: file(folder / name) for name in ("rw", "ro", "shared", "unlabelled", "linked", "fw.cfg")}
    os.truncate(kept["fw.cfg"], 100)
    kept["unlabelled"].chmod(0o666)
    (folder / "link").symlink_to(kept["linked"])
    devices = (
        disk(kept["rw"], "vda"), disk(kept["ro"], "vdb", "<readonly/>"), disk(kept["shared"], "vdc", "<shareable/>"),
        disk(kept["unlabelled"], "vdd", inside="<seclabel model='dac' relabel='no'/>"), disk(folder / "link", "vde"),
        f"<serial type='file'><source path='{folder}/serial.log'/></serial>",
        f"<serial type='pty'><log file='{folder}/pty.log'/></serial>",
        f"<serial type='unix'><source mode='bind' path='{folder}/serial.sock'/></serial>",
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        "<graphics type='vnc'><listen type='socket'/></graphics>",
    )  # fmt: skip
    info = f"<sysinfo type='fwcfg'><entry name='opt/org.example/x' file='{kept['fw.cfg']}'/></sysinfo>"
    guest = await hv.create(tiny("files", devices="".join(devices), extra=info), PAUSED)
    given = ["rw", "linked", "fw.cfg"]
    assert {name: who(path) for name, path in kept.items()} == dict.fromkeys(kept, MINE) | {"unlabelled": HERS}
    for name in given:
        assert notes(kept[name]) == {"dac": f"+{ALICE}:+{ALICE}", "ref_dac": "1"}
    assert [notes(kept[name]) for name in ("ro", "shared", "unlabelled")] == [{}, {}, {}]
    assert [who(folder / name) for name in ("serial.log", "pty.log", "serial.sock")] == [MINE] * 3
    places = guest.places
    assert [who(path) for path in (places.folder, places.channels)] == [(0, GID)] * 2
    assert (who(places.monitor), who(places.master_key), who(places.log)) == ((0, 0), MINE, (0, 0))
    assert [oct(path.stat().st_mode & 0o7777) for path in (places.folder, places.master_key)] == ["0o1770", "0o600"]
    await guest.destroy()
    assert {name: who(path) for name, path in kept.items()} == {
        name: MINE if name in ("ro", "shared") else HERS for name in kept
    }
    assert [notes(path) for path in kept.values()] == [{}] * len(kept)
    assert [who(folder / name) for name in ("serial.log", "pty.log")] == [(0, 0)] * 2
    assert not (folder / "serial.sock").exists()


async def test_images_below_are_its_users_too(hv: QemuDriver, folder: Path) -> None:
    if not shutil.which("qemu-img"):
        pytest.skip("needs qemu-img (Debian: qemu-utils)")
    for name, more in (("base", []), ("top", ["-b", "base", "-F", "qcow2"])):
        run(["qemu-img", "create", "-q", "-f", "qcow2", *more, name, "1M"], cwd=folder)
        os.chown(folder / name, ALICE, ALICE)
        (folder / name).chmod(0o600)
    guest = await hv.create(tiny("chain", devices=disk(folder / "top", kind="qcow2")), PAUSED)
    assert (who(folder / "base"), who(folder / "top")) == (MINE, MINE)
    await guest.destroy()
    assert (who(folder / "base"), who(folder / "top")) == (MINE, HERS)


async def test_a_failed_start_leaves_everything_as_it_was(hv: QemuDriver, folder: Path) -> None:
    first, second = file(folder / "first"), file(folder / "second")
    with pytest.raises(InternalError, match="process exited while connecting"):  # it is no qcow2
        await hv.create(tiny("fails", devices=disk(first) + disk(second, "vdb", kind="qcow2")))
    assert (who(first), who(second)) == (HERS, HERS)
    with pytest.raises(SystemError_, match="nothing"):
        await hv.create(tiny("fails", devices=disk(first) + disk(folder / "nothing", "vdb")))
    assert (who(first), list(hv.guests)) == (HERS, [])


async def test_what_two_guests_share_goes_back_with_the_last(hv: QemuDriver, folder: Path) -> None:
    blob = file(folder / "blob", 100)
    info = f"<sysinfo type='fwcfg'><entry name='opt/org.example/x' file='{blob}'/></sysinfo>"
    one, two = [await hv.create(tiny(name, extra=info), PAUSED) for name in ("one", "two")]
    other = "<seclabel type='static' model='dac' relabel='yes'><label>+65400:+65400</label></seclabel>"
    with pytest.raises(OperationInvalid, match=r"Setting different DAC user or group on .*blob which is already"):
        await hv.create(tiny("three", extra=info + other), PAUSED)
    await one.destroy()
    assert who(blob) == MINE
    await two.destroy()
    assert who(blob) == HERS


async def test_without_dynamic_ownership_nothing_changes(folder: Path) -> None:
    image = file(folder / "image")
    image.chmod(0o666)
    hv = driver(folder, dynamic_ownership=0)
    await hv.open()
    try:
        guest = await hv.create(tiny("static", devices=disk(image)), PAUSED)
        assert guest.process
        runs_as(guest.process.pid, UID, GID)
        assert who(image) == HERS
        await guest.destroy()
        assert who(image) == HERS
    finally:
        await hv.close()


USB = "<controller type='usb' model='qemu-xhci'/>"


def usb_disk(path: Path) -> str:
    return (
        f"<disk type='file'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='sda' bus='usb'/></disk>"
    )


async def test_devices_that_come_and_go(hv: QemuDriver, folder: Path) -> None:
    image, broken = file(folder / "image"), file(folder / "broken")
    guest = await hv.create(tiny("plug", devices=USB), PAUSED)
    await guest.attach_device(usb_disk(image))
    assert who(image) == MINE
    with pytest.raises(InternalError):
        await guest.attach_device(usb_disk(broken).replace("'raw'", "'qcow2'").replace("sda", "sdb"))
    assert (who(broken), who(image)) == (HERS, MINE)
    await guest.detach_device(usb_disk(image))
    assert (who(image), guest.given) == (HERS, [])


async def test_media_that_are_changed(hv: QemuDriver, folder: Path) -> None:
    floppy = "<disk type='file' device='floppy'><driver type='raw'/><source file='{}'/><target dev='fda'/></disk>"
    first, second = file(folder / "first", 1440 << 10), file(folder / "second", 1440 << 10)
    guest = await hv.create(tiny("media", devices=floppy.format(first)), PAUSED)
    assert who(first) == MINE
    await guest.update_device(floppy.format(second))
    assert (who(first), who(second)) == (HERS, MINE)
    with pytest.raises((InternalError, SystemError_)):
        await guest.update_device(floppy.format(folder / "nothing"))
    await guest.destroy()
    assert (who(first), who(second)) == (HERS, HERS)


async def test_a_guest_that_ended_while_nobody_looked(hv: QemuDriver, folder: Path) -> None:
    image = file(folder / "image")
    guest = await hv.create(tiny("alone", devices=disk(image)), PAUSED)
    assert guest.process
    pid = guest.process.pid
    await hv.close()
    assert (who(image), alive(pid)) == (MINE, True)
    successor = driver(folder)
    await successor.open()
    (adopted,) = list(successor.guests)
    assert adopted.process
    assert (adopted.process.pid, who(image)) == (pid, MINE)
    runs_as(pid, UID, GID)
    await successor.close()
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    last = driver(folder)
    await last.open()
    assert (who(image), list(last.guests)) == (HERS, [])
    await last.close()


DIES = """
import asyncio, os, sys
from pathlib import Path
from splitvirt.host.paths import Layout
from splitvirt.host.process import Launcher, User
from virtqemud.driver import QemuDriver
from virtqemud.security import dac
root, xml, step, user = sys.argv[1:]
left = [int(step)]
def counted(function):
    def call(*arguments):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
        return function(*arguments)
    return call
os.setxattr, os.chown = counted(os.setxattr), counted(os.chown)
async def main():
    hv = QemuDriver(Layout.under(root, "system"), {"user": user, "group": user})
    await hv.open()
    await hv.create(xml, 1)
asyncio.run(main())
"""


@needs_notes
@pytest.mark.parametrize("step", range(8))
async def test_a_daemon_that_dies_while_it_gives(folder: Path, step: int) -> None:
    """Each file takes three notes and a chown; wherever the daemon dies, its successor gives everything back."""
    images = [file(folder / name) for name in ("a", "b")]
    (folder / "root").mkdir(0o711)
    xml = tiny("dies", devices="".join(disk(image, f"vd{image.name}") for image in images))
    argv = [sys.executable, "-c", DIES, str(folder / "root"), xml, str(step), f"+{UID}"]
    done = run(argv)
    assert done.returncode == 9, done.stderr
    successor = driver(folder)
    await successor.open()
    assert [(who(image), notes(image)) for image in images] == [(HERS, {})] * 2
    assert qemus(folder) == []
    guest = await successor.create(xml, PAUSED)
    assert [who(image) for image in images] == [MINE] * 2
    await guest.destroy()
    assert [(who(image), notes(image)) for image in images] == [(HERS, {})] * 2
    await successor.close()
