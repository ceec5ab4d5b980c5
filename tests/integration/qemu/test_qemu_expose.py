"""An embedded instance seen by the real virsh."""

import asyncio
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, alive, needs_qemu, tiny

import splitvirt

pytestmark = [needs_qemu, pytest.mark.skipif(not shutil.which("virsh"), reason="needs virsh (libvirt-clients)")]


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as driver:
        yield driver


async def virsh(uri: str, *command: str) -> subprocess.CompletedProcess[str]:
    argv = ["virsh", "-q", "-c", uri, *command]
    return await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=60, check=False)


async def test_virsh_looks_inside_and_may_change_nothing(hv: Any) -> None:
    await hv.create(tiny("seen"), PAUSED)
    uri = await hv.expose()
    path = Path(uri.partition("socket=")[2])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await virsh(uri, "list", "--name")).stdout.split() == ["seen"]
    assert "paused" in (await virsh(uri, "dominfo", "seen")).stdout
    assert "<name>seen</name>" in (await virsh(uri, "dumpxml", "seen")).stdout
    for command in (["destroy", "seen"], ["resume", "seen"], ["qemu-monitor-command", "seen", "--hmp", "info status"]):
        done = await virsh(uri, *command)
        assert done.returncode
        assert "not allowed" in done.stderr or "forbidden" in done.stderr or "denied" in done.stderr, done.stderr
    assert [vm.name for vm in await hv.domains()] == ["seen"]


async def test_virsh_may_do_everything_when_it_is_let(hv: Any) -> None:
    await hv.create(tiny("ours"), PAUSED)
    uri = await hv.expose(read_only=False)
    assert (await virsh(uri, "qemu-monitor-command", "ours", "--hmp", "info status")).stdout.startswith(
        "VM status: paused"
    )
    assert (await virsh(uri, "destroy", "ours")).returncode == 0
    assert await hv.domains() == []


async def test_nothing_is_open_unless_asked_and_nothing_is_left(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "socket"
    async with splitvirt.embed(root) as hv:
        vm = await hv.create(tiny(), PAUSED)
        pid = vm.process.pid
        assert [p for p in root.rglob("*") if p.is_socket() and p.name != "monitor.sock"] == []
        before = set(os.listdir("/proc/self/fd"))
        uri = await hv.expose(elsewhere)
        assert (await virsh(uri, "list", "--name")).stdout.split() == ["tiny"]
        assert len(before) < len(os.listdir("/proc/self/fd"))
    assert not alive(pid)
    assert not elsewhere.exists()
    left = sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())
    assert left == ["log/libvirt/qemu/tiny.log", "run/libvirt/qemu/driver.lock"]


async def test_descriptors_and_threads_are_given_back(tmp_path: Path) -> None:
    import threading

    async def once() -> tuple[int, int]:
        async with splitvirt.embed(tmp_path) as hv:
            await hv.create(tiny(devices="<serial type='pty'/>"), PAUSED)
            uri = await hv.expose()
            await virsh(uri, "list")
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    await once()
    assert await once() == await once()


async def test_where_a_socket_may_be(hv: Any) -> None:
    with pytest.raises(splitvirt.VirtError, match="must be absolute"):
        await hv.expose("relative")
    with pytest.raises(splitvirt.VirtError, match="longer than a socket's path may be"):
        await hv.expose("/" + "d" * 120)


async def test_virsh_console_connects_and_leaves(hv: Any) -> None:
    await hv.create(tiny("talks", devices="<serial type='pty'/>"), PAUSED)
    uri = await hv.expose(read_only=False)

    def session() -> tuple[int, bytes]:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp("virsh", ["virsh", "-q", "-c", uri, "console", "talks"])
        heard, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.3)[0]:
                try:
                    heard += os.read(terminal, 4096)
                except OSError:
                    break
            else:  # again until it takes it: what was typed before it reads keys may be dropped
                os.write(terminal, b"\x1d")
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        return os.waitpid(pid, 0)[1], heard

    status, heard = await asyncio.to_thread(session)
    assert status == 0, heard
    assert (await virsh(uri, "list", "--name")).stdout.split() == ["talks"]
