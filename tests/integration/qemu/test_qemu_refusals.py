"""What the host refuses is told with the path that it is about, and with what mends it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, Heard, needs_qemu, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import ConfigUnsupported, SystemError_, VirtError
from splitvirt.host.paths import Layout
from virtqemud.driver import QemuDriver

pytestmark = needs_qemu
NOBODY = 65534
as_nobody = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


def disk(path: Path, policy: str = "mandatory") -> str:
    return (
        f"""<disk type='file'><source file='{path}' startupPolicy='{policy}'/><target dev='vda' bus='virtio'/></disk>"""
    )


def cdrom(path: Path, policy: str) -> str:
    source = f"<source file='{path}' startupPolicy='{policy}'/>"
    return f"<disk type='file' device='cdrom'>{source}<target dev='hda' bus='ide'/><readonly/></disk>"


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path / "root") as driver:
        yield driver


async def test_a_missing_disk_is_named(hv: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemError_) as told:
        await hv.create(tiny(devices=disk(tmp_path / "gone")))
    assert str(told.value) == f"Cannot access storage file '{tmp_path}/gone': No such file or directory"
    assert (told.value.code, told.value.domain) == (c.VIR_ERR_SYSTEM_ERROR, c.VIR_FROM_STORAGE)
    assert await hv.domains() == []


@pytest.mark.parametrize("element", ["kernel", "initrd", "loader type='rom'"])
async def test_a_missing_file_to_boot_is_named(hv: Any, tmp_path: Path, element: str) -> None:
    kernel = "" if "loader" in element or element == "kernel" else "<kernel>/dev/null</kernel>"
    boot = f"hvm</type>{kernel}<{element}>{tmp_path}/gone</{element.split()[0]}>"
    with pytest.raises(SystemError_, match=f"unable to stat: {tmp_path}/gone: No such file or directory"):
        await hv.create(tiny().replace("hvm</type>", boot))


async def test_a_medium_that_may_be_missing_is_left_out(hv: Any, tmp_path: Path) -> None:
    heard = Heard(hv)
    both = cdrom(tmp_path / "gone.iso", "optional") + disk(tmp_path / "gone", "optional")
    vm = await hv.define(tiny(devices=both))
    await vm.create(PAUSED)
    shown = await vm.xml()
    assert "gone" not in shown
    assert shown.count("<disk") == 1
    assert [values for event, _, values in heard.all if event == Domain.disk_changed.name] == [
        (f"{tmp_path}/gone.iso", None, "ide0-0-0", c.VIR_DOMAIN_EVENT_DISK_CHANGE_MISSING_ON_START),
        (f"{tmp_path}/gone", None, "virtio-disk0", c.VIR_DOMAIN_EVENT_DISK_DROP_MISSING_ON_START),
    ]
    assert (await vm.xml(c.VIR_DOMAIN_XML_INACTIVE)).count("gone") == 2
    await vm.destroy()


@pytest.mark.parametrize("policy", ["mandatory", "requisite"])
async def test_a_medium_that_must_be_there_is_asked_for(hv: Any, tmp_path: Path, policy: str) -> None:
    with pytest.raises(SystemError_, match="Cannot access storage file"):
        await hv.create(tiny(devices=cdrom(tmp_path / "gone.iso", policy)))


async def test_an_emulator_that_is_none_is_told_as_such(hv: Any, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    for emulator, words in (
        (tmp_path / "gone", "Cannot check QEMU binary {}: No such file or directory"),
        (tmp_path, "QEMU binary {} is not executable: Is a directory"),
        (tmp_path / "plain", "QEMU binary {} is not executable: Permission denied"),
    ):
        with pytest.raises(SystemError_) as told:
            await hv.define(tiny(devices=f"<emulator>{emulator}</emulator>"))
        assert str(told.value) == words.format(emulator)
    with pytest.raises(VirtError, match="Failed to probe QEMU binary /bin/true: it ended without a word"):
        await hv.define(tiny(devices="<emulator>/bin/true</emulator>"))


async def test_a_vnc_port_below_the_first_is_refused(hv: Any) -> None:
    with pytest.raises(ConfigUnsupported, match=r"vnc port must be in range \[5900,65535\]"):
        await hv.create(tiny(devices="<graphics type='vnc' port='22'/>"))


async def test_a_network_that_nobody_serves_is_named(hv: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    card = "<interface type='network'><source network='green'/><model type='virtio'/></interface>"
    with pytest.raises(SystemError_) as told:
        await hv.create(tiny(devices=card))
    assert str(told.value).startswith("cannot use network 'green': cannot connect to the message bus at unix:path=")
    assert "No such file or directory; it takes a message bus and virtnetworkd" in str(told.value)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of an ordinary user's, that this user can reach."""
    with tempfile.TemporaryDirectory(prefix="sv-home-") as made:
        os.chown(made, NOBODY, NOBODY)
        yield Path(made)


@as_nobody
async def test_a_folder_closed_to_the_guests_user_is_named(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir()
    (closed / "image").write_bytes(bytes(1 << 20))
    home.chmod(0o755)
    driver = QemuDriver(Layout.under(home / "root", "system"), {"user": "nobody", "group": "nogroup"})
    await driver.open()
    try:
        vm = await driver.create(tiny(devices=disk(closed / "image")), PAUSED)
        await vm.destroy()
        closed.chmod(0o700)
        with pytest.raises(VirtError) as told:
            await driver.create(tiny(devices=disk(closed / "image")), PAUSED)
    finally:
        await driver.close()
    assert str(told.value).startswith("internal error: process exited while connecting to monitor: ")
    assert str(told.value).endswith(f"(user nobody may not enter {closed}: setfacl -m u:nobody:x {closed})")


CALLS = """
import asyncio, splitvirt, sys
from splitvirt.api.errors import VirtError
root, xml, *breaking = sys.argv[1:]
async def main():
    async with splitvirt.embed(root) as hv:
        vm = await hv.define(xml) if breaking != ["define"] else None
        if breaking and breaking != ["define"]:
            await asyncio.to_thread(__import__("os").chmod, breaking[0], 0o500)
        try:
            await (vm.create(1) if vm else hv.define(xml))
            print("ok")
        except VirtError as error:
            print(error.code, error)
try:
    asyncio.run(main())
except VirtError as error:
    print(error.code, error)
"""


def tell(root: Path, xml: str, *breaking: str, user: int | None = NOBODY) -> str:
    env = {**os.environ, "HOME": str(root.parent), "XDG_CACHE_HOME": str(root.parent / "cache")}
    argv = [sys.executable, "-c", CALLS, str(root), xml, *breaking]
    done = subprocess.run(argv, capture_output=True, text=True, env=env, user=user, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@as_nobody
def test_a_folder_that_an_ordinary_user_may_not_write_to_is_named(home: Path) -> None:
    root = home / "root"
    os.chmod(home, 0o555)
    told = tell(root, tiny())
    assert told == f"38 cannot use the root {root}: Permission denied (user nobody may not write to {home})"
    os.chmod(home, 0o755)
    assert tell(root, tiny()) == "ok"
    for folder, what in ((root / "log/libvirt/qemu", "log"), (root / "lib/libvirt/qemu", "domain-1-tiny")):
        told = tell(root, tiny(f"other-{what}"), str(folder))
        os.chmod(folder, 0o700)
        assert told.startswith("38 cannot use ")
        assert told.endswith(f"Permission denied (user nobody may not write to {folder})")
    etc = root / "etc/libvirt/qemu"
    os.chmod(etc, 0o500)
    told = tell(root, tiny("third"), "define")
    os.chmod(etc, 0o700)
    assert told == f"38 cannot write {etc}/third.xml: Permission denied (user nobody may not write to {etc})"


@as_nobody
def test_an_image_that_an_ordinary_user_may_not_open_is_named(home: Path) -> None:
    image = home / "image"
    image.write_bytes(b"")
    image.chmod(0o600)
    told = tell(home / "root", tiny(devices=disk(image)))
    who = f"(as uid:{NOBODY}, gid:{os.getgid()})"
    assert told == f"38 Cannot access storage file '{image}' {who}: Permission denied (user nobody may not read it)"
    image.chmod(0o644)
    assert "user nobody may not write it" in tell(home / "root", tiny("b", devices=disk(image)))
    folder = home / "closed"
    folder.mkdir(mode=0o700)
    assert f"user nobody may not enter {folder}" in tell(home / "root", tiny("c", devices=disk(folder / "x")))


FILLING = """
import asyncio, contextlib, splitvirt, sys
async def main():
    async with splitvirt.embed(sys.argv[1]) as hv:
        vm, other = await hv.define(sys.argv[2]), await hv.define(sys.argv[3])
        await vm.create(1)
        with contextlib.suppress(OSError), open(sys.argv[1] + "/ballast", "wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        await vm.resume()
        await vm.suspend()
        print(await vm.state())
        try:
            await other.create(1)
        except splitvirt.VirtError as error:
            print(error)
        await vm.destroy()
        print(await vm.state())
asyncio.run(main())
"""
FULL = """
mount -t tmpfs -o size=$1 tmpfs "$2" || exit 77
dd if=/dev/zero of="$2/ballast" bs=1k count=$3 2>/dev/null
shift 3
exec "$@"
"""


def on_a_small_disk(disk: Path, size: str, filled: int, script: str, *words: str) -> str:
    """What a program says whose root is on a file system of so many bytes, `filled` KiB of which are taken."""
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("needs a mount namespace")
    disk.mkdir()
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", FULL, "sh", size, str(disk), str(filled)]
    argv += [sys.executable, "-c", script, str(disk / "root"), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@as_nobody
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path / "disk", "64k", 1000, CALLS, tiny())
    assert f"No space left on device (make room on the file system at {tmp_path}/disk)" in said


@as_nobody
def test_a_disk_that_fills_ends_no_guest(tmp_path: Path) -> None:
    said = on_a_small_disk(tmp_path / "disk", "600k", 0, FILLING, tiny(), tiny("other"))
    paused, refusal, off = said.splitlines()
    assert (paused, off) == ("DomainState(state=3, reason=1)", "DomainState(state=5, reason=2)")
    assert refusal.startswith(
        f"cannot write {tmp_path}/disk/root/run/libvirt/qemu/other.status: No space left on device"
    )
