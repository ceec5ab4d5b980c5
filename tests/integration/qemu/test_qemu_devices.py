"""Guests with what people give guests: QEMU takes the command line, and what serves it is there and goes with it."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, gone, linux, needs_qemu, qemus, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import VirtError
from splitvirt.api.stream import pipe

pytestmark = needs_qemu


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as driver:
        yield driver


def needs(program: str, package: str) -> pytest.MarkDecorator:
    found = shutil.which(program) or os.access(program, os.X_OK)
    return pytest.mark.skipif(not found, reason=f"needs {program} (Debian: {package})")


async def test_user_network(hv: Any) -> None:
    vm = await hv.create(tiny(devices="<interface type='user'><model type='virtio'/></interface>"), PAUSED)
    assert "user" in await vm.monitor_command("info network", 1)


@needs("passt", "passt")
async def test_passt_serves_a_guest_and_goes_with_it(hv: Any, tmp_path: Path) -> None:
    card = "<interface type='user'><backend type='passt'/><model type='virtio'/></interface>"
    vm = await hv.create(tiny(devices=card), PAUSED)
    (helper,) = vm.guest.helpers
    assert not helper.ended
    assert "net0" in await vm.xml()
    await vm.destroy()
    assert await asyncio.to_thread(gone, helper.pid)
    assert qemus(tmp_path) == []


@needs("passt", "passt")
@pytest.mark.parametrize("length", [98, 99, 107, 108])
async def test_passt_at_the_end_of_a_path(length: int) -> None:
    card = "<interface type='user'><backend type='passt'/><model type='virtio'/></interface>"
    with tempfile.TemporaryDirectory(prefix="p") as short:
        below = "/lib/libvirt/qemu/domain-1-tiny/net0-passt.sock"
        root = Path(short) / ("r" * (length - len(short) - 1 - len(below)))
        async with splitvirt.embed(root) as hypervisor:
            vm = await hypervisor.create(tiny(devices=card), PAUSED)
            assert await asyncio.to_thread((root / below[1:]).exists)
            await vm.destroy()


@needs("swtpm", "swtpm")
async def test_a_tpm_of_ones_own(hv: Any, tmp_path: Path) -> None:
    tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    vm = await hv.define(tiny(devices=tpm))
    await vm.create(PAUSED)
    (helper,) = vm.guest.helpers
    assert "tpm-crb" in await vm.monitor_command("info tpm", 1)
    state = tmp_path / "lib/libvirt/swtpm" / str(vm.uuid)
    assert state.is_dir()
    assert state.stat().st_mode & 0o077 == 0
    await vm.destroy()
    assert await asyncio.to_thread(gone, helper.pid)
    await vm.create(PAUSED)
    await vm.destroy()


@pytest.mark.skipif(not Path("/usr/share/OVMF/OVMF_CODE_4M.fd").exists(), reason="needs OVMF (Debian: ovmf)")
async def test_uefi_with_variables_of_ones_own(hv: Any, tmp_path: Path) -> None:
    xml = tiny(memory=128).replace("<os>", "<os firmware='efi'>").replace("machine='pc'", "machine='q35'")
    vm = await hv.define(xml)
    await vm.create(PAUSED)
    (variables,) = (tmp_path / "lib/libvirt/qemu/nvram").iterdir()
    assert variables.name == "tiny_VARS.fd"
    assert variables.stat().st_mode & 0o077 == 0
    assert str(variables) in await vm.xml()
    await vm.destroy()
    with pytest.raises(VirtError, match="cannot undefine domain with nvram"):
        await vm.undefine()
    await vm.undefine(c.VIR_DOMAIN_UNDEFINE_NVRAM)
    assert not variables.exists()


@needs("/usr/lib/qemu/virtiofsd", "qemu-system-common")
async def test_virtiofs(hv: Any, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    extra = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
    folder = (
        f"<filesystem type='mount'><driver type='virtiofs'/><source dir='{shared}'/><target dir='tag'/></filesystem>"
    )
    vm = await hv.create(tiny(devices=folder, extra=extra), PAUSED)
    (helper,) = vm.guest.helpers
    await vm.destroy()
    assert await asyncio.to_thread(gone, helper.pid)


async def test_screens_choose_their_ports_and_give_pictures(hv: Any) -> None:
    devices = "<graphics type='vnc' autoport='yes'/><video><model type='vga'/></video>"
    one = await hv.create(tiny("one", devices=devices))
    other = await hv.create(tiny("other", devices=devices))
    ports = {xml.partition("type='vnc' port='")[2].partition("'")[0] for xml in (await one.xml(), await other.xml())}
    assert len(ports) == 2
    assert all(int(port) >= 5900 for port in ports)
    ours, theirs = pipe()
    mime = await one.screenshot(0, 0, theirs)
    picture = b""
    while data := await ours.read():
        picture += data
    assert (mime, picture[:4]) in (
        ("image/png", b"\x89PNG"),
        ("image/x-portable-pixmap", b"P6\n6"),
        ("image/x-portable-pixmap", b"P6\n7"),
    )
    with pytest.raises(VirtError, match="no such screen"):
        await one.screenshot(7, 0, theirs)


async def test_disks_and_their_figures(hv: Any, tmp_path: Path) -> None:
    raw, overlay = tmp_path / "raw.img", tmp_path / "overlay.qcow2"
    raw.write_bytes(bytes(1 << 20))
    done = await asyncio.create_subprocess_exec(
        *("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(raw), "-F", "raw", str(overlay))
    )
    assert await done.wait() == 0
    devices = f"""<disk type='file'><driver name='qemu' type='qcow2'/><source file='{overlay}'/>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>"""
    vm = await hv.define(tiny(devices=devices))
    assert (await vm.block_info("vda")).capacity == 1 << 20
    await vm.create()
    assert (await vm.block_info("vda")).capacity == 1 << 20
    stats = await vm.block_stats("vda")
    assert stats.read_requests >= 0
    assert (await vm.block_stats(str(overlay))).read_requests >= 0
    await vm.block_resize("vda", 2 << 20, c.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    assert (await vm.block_info("vda")).capacity == 2 << 20
    (told,) = await hv.stats()
    values = {p.name: p.value for p in told.params}
    assert (values["block.count"], values["block.0.name"], values["block.0.path"]) == (2, "vda", str(overlay))
    assert values["block.0.capacity"] == 2 << 20
    assert "block.1.path" not in values
    with pytest.raises(VirtError, match="invalid path: vdz"):
        await vm.block_stats("vdz")


@pytest.mark.parametrize(
    ("machine", "word"),
    # Debian's kernel loses its timer on an emulated microvm now and then: its first words must do.
    [("pc", b"Hello from the guest"), ("q35", b"Hello from the guest"), ("microvm", b"Linux version")],
)
async def test_boards_boot(hv: Any, machine: str, word: bytes) -> None:
    xml = linux(machine=machine, cmdline="earlyprintk=serial,ttyS0")
    vm = await hv.create(xml.replace(" quiet", "") if machine == "microvm" else xml, PAUSED)
    ours, theirs = pipe()
    await vm.open_console(None, 0, theirs)
    await vm.resume()
    heard = b""
    async with asyncio.timeout(60):
        while word not in heard:
            data = await ours.read()
            assert data, heard.decode(errors="replace")
            heard += data


async def test_processors_are_plugged(hv: Any) -> None:
    vm = await hv.create(tiny().replace("<vcpu>1</vcpu>", "<vcpu current='1'>3</vcpu>"))
    assert (len(await vm.vcpus()), await vm.vcpu_count()) == (1, 1)
    await vm.set_vcpus(3)
    assert (len(await vm.vcpus()), await vm.vcpu_count()) == (3, 3)
    with pytest.raises(VirtError):
        await vm.set_vcpus(4)
    await vm.pin_vcpu(0, [True], c.VIR_DOMAIN_AFFECT_LIVE)
    assert (await vm.vcpus())[0].cpumap[:2] == [True, False]
    assert (await vm.vcpu_pins())[0][0]


async def test_memory_by_balloon(hv: Any) -> None:
    vm = await hv.create(tiny())
    stats = await vm.memory_stats()
    assert stats[c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON] == 32768
    assert stats[c.VIR_DOMAIN_MEMORY_STAT_RSS] > 1000
    await vm.set_memory(16384)
    with pytest.raises(VirtError, match="cannot set memory higher than max memory"):
        await vm.set_memory(1 << 40)
    await vm.set_memory_stats_period(2, c.VIR_DOMAIN_AFFECT_LIVE)
    assert "<stats period='2'/>" in await vm.xml()


async def test_keys_and_monitor(hv: Any) -> None:
    vm = await hv.create(tiny())
    await vm.send_key(c.VIR_KEYCODE_SET_LINUX, 10, [29, 56, 111])
    with pytest.raises(VirtError, match="cannot translate keycode"):
        await vm.send_key(c.VIR_KEYCODE_SET_LINUX, 0, [700])
    assert '"status":"running"' in await vm.monitor_command('{"execute":"query-status"}')
    assert "CommandNotFound" in await vm.monitor_command("bla")
    assert await vm.monitor_command("blafoo", 1) == "unknown command: 'blafoo'\r\n"
    with pytest.raises(VirtError, match="guest is not in suspended state"):
        await vm.pm_wakeup()
    for call in (vm.agent_command("{}", -1), vm.hostname(), vm.shutdown(c.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)):
        with pytest.raises(VirtError, match="argument unsupported: QEMU guest agent is not configured"):
            await call


async def to_the_end(stream: Any) -> None:
    while await stream.read():
        pass


async def test_consoles_are_for_one_at_a_time(hv: Any) -> None:
    vm = await hv.create(linux())
    first, end = pipe()
    await vm.open_console(None, 0, end)
    second, other = pipe()
    with pytest.raises(VirtError, match="Active console session exists for this domain"):
        await vm.open_console(None, 0, other)
    await vm.open_console("serial0", c.VIR_DOMAIN_CONSOLE_FORCE, other)
    with pytest.raises(VirtError):
        await to_the_end(first)
    async with asyncio.timeout(60):
        assert await second.read()
    with pytest.raises(VirtError, match="cannot find character device nope"):
        await vm.open_console("nope", 0, pipe()[1])
    await vm.destroy()
    async with asyncio.timeout(60):
        with contextlib.suppress(VirtError, OSError):
            await to_the_end(second)


@pytest.mark.parametrize("deep", [False, True])
async def test_sockets_have_their_places(tmp_path: Path, deep: bool) -> None:
    root = tmp_path / ("d" * 60) / ("e" * 60) if deep else tmp_path
    devices = f"""<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='unix'><source mode='bind' path='{root}/serial'/></serial>
    <graphics type='vnc'><listen type='socket'/></graphics><video><model type='vga'/></video>"""
    async with splitvirt.embed(root) as hv:
        vm = await hv.create(tiny(devices=devices), PAUSED)
        made = {p.name: p for p in root.rglob("*") if p.is_socket()}
        assert made.keys() == {"serial", "vnc.sock", "monitor.sock", "org.qemu.guest_agent.0"}
        xml = await vm.xml()
        assert all(str(made[name]) in xml for name in ("serial", "vnc.sock", "org.qemu.guest_agent.0"))
        with pytest.raises(VirtError, match="domain is not running"):  # it is paused: libvirtd's words
            await vm.hostname()
        reader, end = pipe()
        await vm.open_console("serial0", 0, end)
        await vm.destroy()
        async with asyncio.timeout(60):
            with contextlib.suppress(VirtError, OSError):
                await to_the_end(reader)
    assert [p for p in root.rglob("*") if p.is_socket() and p.name != "serial"] == []
