"""What is kept: definitions, their changes, and what a crash between two steps of a change leaves."""

import asyncio
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.qemu import PAUSED, Heard, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import InvalidArg, NoMetadata, OperationInvalid, VirtError, XMLError
from splitvirt.host.paths import Layout

pytestmark = needs_qemu
CONFIG, LIVE = c.VIR_DOMAIN_AFFECT_CONFIG, c.VIR_DOMAIN_AFFECT_LIVE


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as driver:
        yield driver


async def test_a_definition_is_there_again_after_reopening(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path) as hv:
        vm = await hv.define(tiny("kept", extra="<description>a &amp; b -- c</description>"))
        uuid, xml = vm.uuid, await vm.xml()
        await vm.set_autostart(True)
    folder = tmp_path / "etc/libvirt/qemu"
    assert stat.S_IMODE((folder / "kept.xml").stat().st_mode) == 0o600
    assert (folder / "autostart/kept.xml").resolve() == folder / "kept.xml"
    async with splitvirt.embed(tmp_path) as hv:
        vm = await hv.domain_by_uuid(uuid)
        assert (vm.name, await vm.xml(), await vm.autostart()) == ("kept", xml, True)
        await vm.undefine()
        assert await hv.domains() == []
    assert [p.name for p in folder.rglob("*")] == ["autostart"]


async def test_redefining_changes_only_the_next_start(hv: Any) -> None:
    heard = Heard(hv)
    vm = await hv.define(tiny(uuid=(uuid := uuid4())))
    await vm.create(PAUSED)
    assert await hv.define(tiny(uuid=uuid, memory=48)) is vm
    assert heard.lifecycle()[-1] == (c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_UPDATED)
    assert ">32768<" in await vm.xml()
    assert ">49152<" in await vm.xml(c.VIR_DOMAIN_XML_INACTIVE)
    await vm.destroy()
    assert ">49152<" in await vm.xml()


async def test_a_transient_guest_becomes_persistent_and_back(hv: Any) -> None:
    vm = await hv.create(tiny(uuid=(uuid := uuid4())), PAUSED)
    assert not await vm.is_persistent()
    assert await hv.define(tiny(uuid=uuid)) is vm
    assert await vm.is_persistent()
    await vm.undefine()
    assert not await vm.is_persistent()
    await vm.destroy()
    assert await hv.domains() == []


async def test_rename(hv: Any, tmp_path: Path) -> None:
    vm, other = await hv.define(tiny("old")), await hv.define(tiny("other"))
    await vm.set_autostart(True)
    heard = Heard(hv)
    await vm.rename("new")
    assert [(name, subject, values) for name, subject, values in heard.all] == [
        ("lifecycle", "old", (c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED)),
        ("lifecycle", "new", (c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_RENAMED)),
    ]
    assert await hv.domain_by_name("new") is vm
    assert await vm.autostart()
    assert "<name>new</name>" in await vm.xml()
    for name, error in (("other", VirtError), ("a/b", XMLError), ("", InvalidArg)):
        with pytest.raises(error):
            await vm.rename(name)
    files = sorted(p.name for p in (tmp_path / "etc/libvirt/qemu").glob("*.xml"))
    assert files == ["new.xml", "other.xml"]
    assert other.name == "other"


async def test_title_description_and_metadata(hv: Any) -> None:
    vm = await hv.define(tiny())
    heard = Heard(hv)
    with pytest.raises(NoMetadata, match=r"^metadata not found: Requested metadata element is not present$"):
        await vm.metadata(c.VIR_DOMAIN_METADATA_TITLE)
    await vm.set_metadata(c.VIR_DOMAIN_METADATA_TITLE, "a title")
    await vm.set_metadata(c.VIR_DOMAIN_METADATA_DESCRIPTION, "two\nlines")
    await vm.set_metadata(c.VIR_DOMAIN_METADATA_ELEMENT, "<b>x</b>", "app", "http://example.org/")
    assert await vm.metadata(c.VIR_DOMAIN_METADATA_TITLE) == "a title"
    assert await vm.metadata(c.VIR_DOMAIN_METADATA_DESCRIPTION) == "two\nlines"
    assert await vm.metadata(c.VIR_DOMAIN_METADATA_ELEMENT, "http://example.org/") == "<b>x</b>"
    assert [values for name, _, values in heard.all if name == Domain.metadata_changed.name] == [
        (c.VIR_DOMAIN_METADATA_TITLE, None),
        (c.VIR_DOMAIN_METADATA_DESCRIPTION, None),
        (c.VIR_DOMAIN_METADATA_ELEMENT, "http://example.org/"),
    ]
    await vm.set_metadata(c.VIR_DOMAIN_METADATA_ELEMENT, None, None, "http://example.org/")
    with pytest.raises(NoMetadata):
        await vm.metadata(c.VIR_DOMAIN_METADATA_ELEMENT, "http://example.org/")
    with pytest.raises(InvalidArg, match="can't contain newlines"):
        await vm.set_metadata(c.VIR_DOMAIN_METADATA_TITLE, "two\nlines")


async def test_devices_of_the_next_start(hv: Any) -> None:
    vm = await hv.define(tiny())
    disk = "<disk type='file' device='disk'><source file='/tmp/x.img'/><target dev='vda' bus='virtio'/></disk>"
    await vm.attach_device(disk, CONFIG)
    assert "/tmp/x.img" in await vm.xml()
    with pytest.raises(VirtError):
        await vm.attach_device(disk, CONFIG)
    await vm.update_device(disk.replace("x.img", "y.img"), CONFIG)
    assert "/tmp/y.img" in await vm.xml()
    await vm.detach_device("<disk type='file'><target dev='vda'/></disk>", CONFIG)
    assert "vda" not in await vm.xml()
    with pytest.raises(VirtError):
        await vm.detach_device(disk, CONFIG)


async def test_memory_and_processors_of_the_next_start(hv: Any) -> None:
    vm = await hv.define(tiny())
    await vm.set_memory(65536, CONFIG | c.VIR_DOMAIN_MEM_MAXIMUM)
    await vm.set_memory(16384, CONFIG)
    assert (await vm.max_memory(), (await vm.info()).memory) == (65536, 16384)
    with pytest.raises(InvalidArg, match="cannot set memory higher than max memory"):
        await vm.set_memory(99999999, CONFIG)
    await vm.set_vcpus(4, CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM)
    await vm.set_vcpus(3, CONFIG)
    assert await vm.vcpu_count(CONFIG) == 3
    assert await vm.vcpu_count(CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM) == 4
    with pytest.raises(OperationInvalid, match="domain is not running"):
        await vm.set_memory(1024, LIVE)


async def test_what_is_refused_leaves_nothing(hv: Any, tmp_path: Path) -> None:
    for xml in ("", "<domain", "<network/>", tiny("a/b"), tiny("").replace("<name></name>", ""),
                "<!DOCTYPE x [<!ENTITY a 'b'>]>" + tiny(), tiny().replace("type='qemu'", "type='none'")):  # fmt: skip
        with pytest.raises(VirtError):
            await hv.define(xml)
    assert await hv.domains() == []
    assert list((tmp_path / "etc/libvirt/qemu").iterdir()) == []


async def test_an_unreadable_definition_does_not_hide_the_others(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path) as hv:
        await hv.define(tiny("good"))
    folder = tmp_path / "etc/libvirt/qemu"
    (folder / "bad.xml").write_text("<domain>")
    (folder / "wrong.xml").write_text(tiny("name"))
    async with splitvirt.embed(tmp_path) as hv:
        assert [vm.name for vm in await hv.domains()] == ["good"]
    assert (folder / "bad.xml").exists()


async def test_autostart_when_a_daemon_opens(tmp_path: Path) -> None:
    from virtqemud.driver import QemuDriver

    layout = Layout.under(tmp_path, "session")
    driver = QemuDriver(layout, lifetime="app")
    await driver.open()
    await (await driver.define(tiny("auto"))).set_autostart(True)
    await driver.define(tiny("manual"))
    await driver.close()
    driver = QemuDriver(layout, lifetime="app")
    heard = Heard(driver)
    await driver.open()
    try:
        await heard.until(c.VIR_DOMAIN_EVENT_STARTED)
        assert [vm.name for vm in await driver.domains(c.VIR_CONNECT_LIST_DOMAINS_ACTIVE)] == ["auto"]
        assert driver.busy
    finally:
        await driver.close()


VICTIM = """
import asyncio, os, signal, sys, splitvirt
root, steps, what, xml, other = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
STEPS = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "subprocess.Popen", "socket.connect"}
left = steps
def audit(event, arguments):
    global left
    if armed and (event in STEPS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT)):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
armed = False
sys.addaudithook(audit)
async def main():
    global armed
    hv = await splitvirt.embed(root, lifetime="keep").open()
    vm = await hv.domain_by_name("kept")
    armed = True
    if what == "define": await hv.define(other)
    if what == "redefine": await hv.define(xml)
    if what == "undefine": await vm.undefine()
    if what == "rename": await vm.rename("renamed")
    if what == "start": await vm.create(1)
    armed = False
    print("done", left)
    os._exit(0)
asyncio.run(main())
"""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["define", "redefine", "undefine", "rename", "start"])
async def test_killed_between_any_two_steps(tmp_path: Path, what: str) -> None:
    """Whatever a change was doing when it was killed: every guest is there, whole, and none runs unknown to us."""
    kept, changed = tiny("kept", uuid=(uuid := uuid4())), tiny("kept", uuid=uuid, memory=40)
    for steps in range(1, 200):
        root = tmp_path / str(steps)
        async with splitvirt.embed(root) as hv:
            before = await (vm := await hv.define(kept)).xml()
            await vm.set_autostart(what == "rename")
        argv = [sys.executable, "-c", VICTIM, str(root), str(steps), what, changed, tiny("other")]
        victim = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=60, check=False)
        done = victim.returncode == 0
        assert done or victim.returncode == -signal.SIGKILL, victim.stderr
        async with splitvirt.embed(root, lifetime="keep") as hv:
            found = {vm.name: vm for vm in await hv.domains()}
            assert found.keys() <= {"kept", "other", "renamed"}
            if what == "undefine":
                assert not (done and found)
            else:
                guest = found.get("kept") or found["renamed"]
                assert guest.uuid == uuid
                xml = await guest.xml(c.VIR_DOMAIN_XML_INACTIVE)
                assert xml.replace("renamed", "kept") == before or "40960" in xml
            if what == "rename":
                assert len(found) == 1
                assert await guest.autostart()
                kept_files = {path.name for path in (root / "etc/libvirt/qemu").rglob("*") if not path.is_dir()}
                assert kept_files == {f"{guest.name}.xml"}
            running = [vm for vm in found.values() if vm.active]
            known = {vm.process.pid for vm in running}
            assert set(qemus(root)) <= known
            for vm in running:
                await vm.destroy()
        assert not list(root.rglob(".*.new"))
        assert not list((root / "lib/libvirt/qemu").glob("domain-*"))
        assert qemus(root) == []
        if done:
            assert steps > 2
            return
    raise AssertionError("it never came to its end")
