"""Guests and their helpers run as a user of their own, and reach nothing else by it; with real QEMU processes."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.owners import (
    GID,
    HERS,
    MINE,
    UID,
    disk,
    driver,
    file,
    needs_root,
    open_folder,
    run,
    runs_as,
    serving,
    status,
    who,
)  # fmt: skip
from support.qemu import PAUSED, gone, needs_qemu, tiny

import splitvirt
from splitvirt.api.errors import InvalidArg, SystemError_
from splitvirt.host.process import Launcher, User
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
