"""A server that is killed, and clients that are: nobody waits for ever, and nothing is left."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from support import serve
from support.rpc_house import until

from splitvirt.api.domain import Domain
from splitvirt.api.errors import SystemError_
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.stream import pipe
from splitvirt.rpc.client import connect_rpc


async def test_a_killed_server_fails_everything_that_waits(tmp_path: Path) -> None:
    with serve.serving(f"{tmp_path}/sock") as pid:
        root: Any = await connect_rpc(Hypervisor, tmp_path / "sock", reconnect=True)
        (domain,) = await root.domains()
        near, far = pipe()
        await domain.open_console(None, 0, far)
        assert await near.read() == b"welcome\r\n"
        root.events.subscribe(lambda *told: None, Domain.lifecycle)
        await root.events.ready()
        calls = [asyncio.ensure_future(domain.monitor_command("wait")) for _ in range(5)]
        await until((tmp_path / "sock.waiting").exists)
        os.kill(pid, signal.SIGKILL)
        done, _ = await asyncio.wait(calls, timeout=60)
        assert len(done) == 5
        assert all(isinstance(call.exception(), SystemError_) for call in done)
        with pytest.raises(Exception, match="closed"):
            await asyncio.wait_for(near.read(), 60)
        with pytest.raises(SystemError_, match=r"Connection refused|End of file"):  # its last moment or later
            await root.hostname()
    with serve.serving(f"{tmp_path}/sock"):  # the stale socket is replaced, and the stand-ins go on
        assert await root.hostname() == "memory.example"
        await root.close()


async def test_virsh_hears_of_a_killed_server(tmp_path: Path) -> None:
    with serve.serving(f"{tmp_path}/sock") as pid:
        process = await asyncio.create_subprocess_exec(
            "virsh", "-c", f"qemu+unix:///system?socket={tmp_path}/sock",
            "qemu-monitor-command", "one", "--hmp", "wait",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        await until((tmp_path / "sock.waiting").exists)
        os.kill(pid, signal.SIGKILL)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert b"End of file while reading data" in out or b"reset by peer" in out


async def test_killed_clients_leave_nothing(host: Any) -> None:
    watchers = [await host.spawn("virsh", "-c", host.uri, "event", "--all", "--loop") for _ in range(5)]
    callers = [
        await host.spawn("virsh", "-c", host.uri, "qemu-monitor-command", "two", "--hmp", "wait") for _ in range(5)
    ]
    await until(lambda: len(host.driver.events.subscriptions) == 5 * 27 and host.server.running == 5)
    fds = len(os.listdir("/proc/self/fd"))
    for process in [*watchers, *callers]:
        process.kill()
    await until(lambda: not host.server.peers)
    await until(lambda: not host.driver.events.subscriptions and len(os.listdir("/proc/self/fd")) <= fds - 10)
    host.driver.let_go.set()
    await until(lambda: host.server.running == 0)
    assert "two" in await host.virsh("list")
