"""Guests run as a user of their own, and their files are that user's while they run; with real QEMU processes."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.owners import (
    ALICE,
    CONFIG,
    GID,
    HERS,
    MINE,
    UID,
    disk,
    file,
    needs_notes,
    needs_root,
    notes,
    open_folder,
    who,
)  # fmt: skip
from support.qemu import PAUSED, alive, gone, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api.errors import InternalError, InvalidArg, OperationInvalid, SystemError_
from splitvirt.host.paths import Layout
from splitvirt.host.process import Launcher, User
from virtqemud.driver import QemuDriver

pytestmark = [needs_qemu, needs_root]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def driver(folder: Path, **config: Any) -> QemuDriver:
    """The system daemon's driver, below a root that other users get through."""
    (folder / "root").mkdir(0o711, exist_ok=True)
    return QemuDriver(Layout.under(folder / "root", "system"), CONFIG | config)


@pytest.fixture
async def hv(folder: Path) -> AsyncIterator[QemuDriver]:
    made = driver(folder)
    await made.open()
    yield made
    for guest in list(made.guests):
        if guest.active:
            await guest.destroy()
    await made.close()


def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **more)


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def runs_as(pid: int, uid: int, gid: int) -> None:
    """See that a process is somebody's, with no way back and no capability."""
    about = status(pid)
    assert (about["Uid"].split(), about["Gid"].split()) == ([str(uid)] * 4, [str(gid)] * 4)
    assert {about[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}


async def test_qemu_runs_as_the_configured_user(hv: QemuDriver) -> None:
    guest = await hv.create(tiny("one"), PAUSED)
    assert guest.process
    runs_as(guest.process.pid, UID, GID)
    assert status(guest.process.pid)["Groups"] == str(GID)
    environment = Path(f"/proc/{guest.process.pid}/environ").read_text().split("\0")
    assert f"HOME={guest.places.folder}" in environment
    assert not any(word.startswith(("PYTEST", "NOTIFY_SOCKET", "LOGNAME")) for word in environment)
    label = f"<seclabel type='dynamic' model='dac' relabel='yes'>\n    <label>+{UID}:+{GID}</label>\n"
    assert label + f"    <imagelabel>+{UID}:+{GID}</imagelabel>\n" in await guest.xml()
    assert [each.label for each in await guest.security_labels()] == ["", f"+{UID}:+{GID}"]
    assert await guest.messages() == []
    assert f"<baselabel type='qemu'>+{UID}:+{GID}</baselabel>" in await hv.capabilities()


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


async def test_a_guests_own_label(hv: QemuDriver, folder: Path) -> None:
    image = file(folder / "image")
    label = "<seclabel type='static' model='dac' relabel='{}'><label>+65400:+65401</label></seclabel>"
    guest = await hv.create(tiny("own", devices=disk(image), extra=label.format("yes")), PAUSED)
    assert guest.process
    runs_as(guest.process.pid, 65400, 65401)
    assert who(image) == (65400, 65401)
    await guest.destroy()
    assert who(image) == HERS
    image.chmod(0o666)
    guest = await hv.create(tiny("own", devices=disk(image), extra=label.format("no")), PAUSED)
    assert guest.process
    runs_as(guest.process.pid, 65400, 65401)
    assert who(image) == HERS
    with pytest.raises(InvalidArg, match="Failed to parse user 'no-such-user'"):
        await hv.create(tiny("bad", extra=label.format("no").replace("+65400", "no-such-user")))


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


async def test_root_without_its_powers(folder: Path) -> None:
    image = file(folder / "image")
    image.chmod(0o600)
    hv = driver(folder, user="root", group="root")
    await hv.open()
    try:
        guest = await hv.create(tiny("root", devices=disk(image)), PAUSED)
        assert guest.process
        runs_as(guest.process.pid, 0, 0)
        assert set(status(guest.process.pid)["CapBnd"]) == {"0"}
        assert await guest.messages() == ["tainted: running with undesirable elevated privileges"]
        await guest.destroy()
        assert (who(image), status(os.getpid())["CapBnd"] != "0" * 16) == (HERS, True)
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


async def test_helpers_have_users_of_their_own(folder: Path) -> None:
    if not shutil.which("swtpm"):
        pytest.skip("needs swtpm")
    hv = driver(folder, swtpm_user="+65500", swtpm_group="+65501")
    await hv.open()
    try:
        tpm = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
        for _ in range(2):  # the second time over the state of the first
            guest = await hv.create(tiny("tpm", devices=tpm), PAUSED)
            (helper,) = guest.helpers
            runs_as(helper.pid, 65500, 65501)
            assert who(guest.places.swtpm_socket) == MINE
            await guest.destroy()
    finally:
        await hv.close()


async def test_passt_is_the_guests_user(hv: QemuDriver) -> None:
    if not shutil.which("passt"):
        pytest.skip("needs passt")
    guest = await hv.create(tiny("net", devices="<interface type='user'><backend type='passt'/></interface>"), PAUSED)
    (helper,) = guest.helpers
    assert status(helper.pid)["Uid"].split() == [str(UID)] * 4


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


async def test_embedded_guests_run_as_their_application(folder: Path) -> None:
    image = file(folder / "image")
    async with splitvirt.embed(folder / "root") as hv:
        guest = await hv.create(tiny("plain", devices=disk(image)), PAUSED)
        assert guest.process
        assert status(guest.process.pid)["Uid"].split()[0] == "0"
        assert (who(image), "<seclabel" in await guest.xml()) == (HERS, False)


APPLICATION = """
import asyncio, sys, splitvirt
async def main():
    hv = await splitvirt.embed(sys.argv[1]).open()
    vm = await hv.create(sys.argv[2], 1)
    print(vm.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_an_embedded_guest_may_ask_for_another_user_and_still_ends_with_its_application(folder: Path) -> None:
    image = file(folder / "image")
    (folder / "root").mkdir(0o711)
    label = f"<seclabel type='static' model='dac' relabel='yes'><label>+{UID}:+{GID}</label></seclabel>"
    xml = tiny("label", devices=disk(image), extra=label)
    argv = [sys.executable, "-c", APPLICATION, str(folder / "root"), xml]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        pid = int(program.stdout.readline() or 0)
        try:
            runs_as(pid, UID, GID)
            assert who(image) == MINE
        finally:
            program.kill()
    assert gone(pid)

    async def again() -> None:
        async with splitvirt.embed(folder / "root"):
            assert who(image) == HERS

    asyncio.run(again())


def test_a_user_that_is_not_there_is_told_with_its_line(folder: Path) -> None:
    config = folder / "root/etc/libvirt/qemu.conf"
    config.parent.mkdir(parents=True)
    config.write_text('# whom to run as\nuser = "no-such-user"\ngroup = "+7"\n')
    argv = [sys.executable, "-m", "virtqemud", "--root", str(folder / "root"), "--check-config"]
    done = run(argv)
    assert (done.returncode, done.stdout) == (6, f"{config}:2: user: 'no-such-user': there is no such user\n")


async def test_a_screen_is_seen_whatever_its_qemu_puts_in_the_way(hv: QemuDriver, folder: Path) -> None:
    devices = "<graphics type='vnc'><listen type='socket'/></graphics><video><model type='vga'/></video>"
    guest = await hv.create(tiny("screen", devices=devices), PAUSED)
    (guest.places.folder / "screenshot.tmp").symlink_to("/etc/shadow")
    seen: list[bytes] = []

    class Taken:
        def __init__(self) -> None:
            self.done = asyncio.Event()

        async def write(self, data: bytes) -> None:
            seen.append(data)

        async def finish(self) -> None:
            self.done.set()

    stream: Any = Taken()
    kind = await guest.screenshot(0, 0, stream)
    async with asyncio.timeout(60):
        await stream.done.wait()
    assert (kind, b"".join(seen)[:4]) in (("image/png", b"\x89PNG"), ("image/x-portable-pixmap", b"P6\n7"))


async def test_a_console_leads_to_the_guests_own_terminal_alone(hv: QemuDriver, folder: Path) -> None:
    guest = await hv.create(tiny("console", devices="<serial type='pty'/>"), PAUSED)
    assert guest.live
    ports = [*guest.live.devices.serials, *guest.live.devices.consoles]
    stream: Any = None
    ours, theirs = os.openpty()
    try:
        for path in (str(file(folder / "file")), os.ttyname(theirs), "/dev/null"):
            for port in ports:
                port.source.path = path
            with pytest.raises(SystemError_, match=f"Failed to open {path}: it is no terminal of the guest's"):
                await guest.open_console(None, 0, stream)
    finally:
        os.close(ours)
        os.close(theirs)


async def test_an_emulator_is_asked_as_that_user(folder: Path) -> None:
    told = folder / "told"
    told.mkdir(0o1777)
    told.chmod(0o1777)
    emulator = folder / "emulator"
    emulator.write_text(f'#!/bin/sh\nid -u > {told}/uid\nexec /usr/bin/qemu-system-x86_64 "$@"\n')
    emulator.chmod(0o755)
    hv = driver(folder)
    await hv.open()
    try:
        guest = await hv.define(tiny("asked", devices=f"<emulator>{emulator}</emulator>"))
        assert (told / "uid").read_text() == f"{UID}\n"
        await guest.undefine()
    finally:
        await hv.close()


@pytest.mark.skipif(not int(status(os.getpid())["CapEff"], 16) & 1 << 24, reason="needs CAP_SYS_RESOURCE")
async def test_memory_that_is_to_be_locked(hv: QemuDriver) -> None:
    guest = await hv.create(tiny("locked", extra="<memoryBacking><locked/></memoryBacking>"), PAUSED)
    assert guest.process
    assert int(status(guest.process.pid)["VmLck"].split()[0]) >= 32 << 10


async def test_the_limit_of_locked_memory() -> None:
    def limit(pid: int) -> list[str]:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        return next(line for line in lines if line.startswith("Max locked memory")).split()[3:5]

    before, launcher = limit(os.getpid()), Launcher("keep")
    held = await launcher.spawn(["sleep", "60"], user=User(UID, GID, (GID,), locked=4 << 20))
    try:
        assert (limit(held.pid), limit(os.getpid())) == ([str(4 << 20), before[1]], before)
    finally:
        await held.stop(0)
        held.close()
        launcher.close()
