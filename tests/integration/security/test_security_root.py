"""Roots that somebody else could have prepared, and what lies below one of our own."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api.errors import SystemError_, VirtError

pytestmark = needs_qemu
PASSWORD = "s3cr3tvn"


@pytest.mark.parametrize("mode", [0o777, 0o1777])
async def test_a_root_that_all_may_write_to(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(SystemError_, match="everybody may write"):
        await splitvirt.embed(tmp_path).open()
    assert list(tmp_path.iterdir()) == []


async def test_a_root_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner may have made a link of `etc/libvirt/qemu`: our guests' secrets would go where it leads."""
    tmp_path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 54321)
    with pytest.raises(SystemError_, match="belongs to user"):
        await splitvirt.embed(tmp_path).open()
    assert list(tmp_path.iterdir()) == []


async def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    log = tmp_path / "root/log/libvirt/qemu"
    log.mkdir(parents=True)
    (log / "g.log").symlink_to(tmp_path / "victim")
    async with splitvirt.embed(tmp_path / "root") as hv:
        with pytest.raises(Exception, match=r"symbolic links|g\.log"):
            await hv.create(tiny("g"), PAUSED)
    assert not (tmp_path / "victim").exists()


@pytest.fixture
def screen(tmp_path: Path) -> str:
    return f"<graphics type='vnc' socket='{tmp_path}/vnc' passwd='{PASSWORD}'/>"


async def test_secrets_are_in_private_files_and_nowhere_else(tmp_path: Path, screen: str) -> None:
    """Of a running guest: not in arguments, logs or anything that others may read."""
    root = tmp_path / "root"
    async with splitvirt.embed(root) as hv:
        vm = await hv.define(tiny("g", devices=screen))
        await vm.create(PAUSED)
        for pid in qemus(root):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        holders = {path.name for path in root.rglob("*") if path.is_file() and PASSWORD in path.read_text("latin-1")}
        assert holders == {"g.xml", "g.status"}
        assert (root / "lib/libvirt/qemu/domain-1-g/master-key.aes").exists()
        for path in (each for each in root.rglob("*") if not each.is_dir()):
            assert not stat.S_IMODE(path.lstat().st_mode) & 0o077 or behind_a_private_folder(path, root), path
        assert PASSWORD not in await vm.xml()
        await vm.destroy()
        assert PASSWORD not in (root / "log/libvirt/qemu/g.log").read_text()


def behind_a_private_folder(path: Path, root: Path) -> bool:
    """Whether a folder between a file and the root (itself aside) lets nobody else in."""
    return any(not stat.S_IMODE(one.stat().st_mode) & 0o077 for one in path.parents if root in one.parents)


async def test_a_guest_has_no_descriptors_of_ours(tmp_path: Path) -> None:
    """Not even those that the application had marked as to be inherited."""
    mine = (tmp_path / "mine").open("wb")
    os.set_inheritable(mine.fileno(), True)
    try:
        async with splitvirt.embed(tmp_path / "root") as hv:
            await hv.expose(read_only=False)
            await hv.create(tiny("g"), PAUSED)
            (pid,) = qemus(tmp_path / "root")
            opened = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    finally:
        mine.close()
    files = {name for name in opened if name.startswith("/") and not name.startswith(("/memfd:", "/dev/zero"))}
    assert files == {"/dev/null", str(tmp_path / "root/log/libvirt/qemu/g.log")}


async def test_a_record_cannot_point_at_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pid in a status record that has come to mean another process is left alone: number and start time count."""
    import json
    import subprocess

    stranger = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220 (it is only there)
    try:
        await asyncio.sleep(0.03)  # QEMU begins in a later tick of the clock that start times are told in
        async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
            await hv.create(tiny("g"), PAUSED)
            record = tmp_path / "run/libvirt/qemu/g.status"
            kept: dict[str, Any] = json.loads(record.read_text())
        os.kill(kept["pid"], 9)
        kept |= {"pid": stranger.pid, "helpers": [[stranger.pid, 12345]]}
        record.write_text(json.dumps(kept))
        async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
            assert await hv.domains() == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_template_without_end_is_not_read(tmp_path: Path) -> None:
    """The driver itself copies firmware variables: from a device it would do so until its memory is used up."""
    loader = tmp_path / "code.fd"
    loader.write_bytes(bytes(1 << 20))
    os_xml = (
        f"<os><type arch='x86_64' machine='pc'>hvm</type><loader readonly='yes' type='pflash'>{loader}</loader>"
        f"<nvram template='/dev/zero'>{tmp_path}/vars.fd</nvram></os>"
    )
    document = tiny("g").replace("<os><type arch='x86_64' machine='pc'>hvm</type></os>", os_xml)
    async with splitvirt.embed(tmp_path / "root") as hv:
        with pytest.raises(VirtError, match="/dev/zero is not a file of firmware variables"):
            await hv.create(document, PAUSED)
    assert not (tmp_path / "vars.fd").exists()
