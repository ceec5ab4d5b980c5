"""Unmodified virsh against our server."""

import asyncio
import contextlib
import os
import pty
import re
import signal
from pathlib import Path
from typing import Any

from support.rpc_house import until

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain


async def test_everyday_commands(host: Any) -> None:
    listed = await host.virsh("list", "--all")
    assert re.search(r"-\s+one\s+shut off", listed)
    assert re.search(r"1\s+two\s+running", listed)
    assert (await host.virsh("hostname")).strip() == "memory.example"
    assert "Running hypervisor: QEMU 7.2.9" in await host.virsh("version")
    assert "CPU(s):              4" in await host.virsh("nodeinfo")
    assert (await host.virsh("uri")).strip() == host.uri
    assert (await host.virsh("capabilities")).startswith("<capabilities>")
    assert "Persistent:     yes" in await host.virsh("dominfo", "one")
    assert (await host.virsh("dumpxml", "one")).startswith("<domain type='qemu'>")


async def test_start_and_destroy(host: Any) -> None:
    await host.virsh("start", "one")
    assert (await host.virsh("domid", "one")).strip() == "2"
    assert "already" in await host.virsh("start", "one", status=1)
    await host.virsh("destroy", "one")
    assert (await host.virsh("domstate", "one")).strip() == "shut off"
    await host.virsh("autostart", "one")
    assert "Autostart:      enable" in await host.virsh("dominfo", "one")


async def test_define_and_undefine(host: Any, tmp_path: Path) -> None:
    xml = tmp_path / "three.xml"
    xml.write_text("<domain type='qemu'><name>three</name></domain>")
    await host.virsh("define", str(xml))
    assert {domain.name for domain in host.driver.all} == {"one", "two", "three"}
    await host.virsh("undefine", "three")
    assert "failed to get domain 'three'" in await host.virsh("domstate", "three", status=1)


async def test_read_only(host: Any) -> None:
    assert "two" in await host.virsh("list", readonly=True)
    told = await host.virsh("destroy", "two", readonly=True, status=1)
    assert "operation forbidden" in told
    assert "read only access prevents" in told
    assert (await host.virsh("domstate", "two")).strip() == "running"


async def test_what_is_not_there(host: Any) -> None:
    assert "not supported" in await host.virsh("net-list", status=1)
    assert "not supported" in await host.virsh("pool-list", status=1)
    assert "not supported" in await host.virsh("nwfilter-list", status=1)
    assert "not supported" in await host.virsh("managedsave", "two", status=1)


async def test_qemu_program(host: Any) -> None:
    assert (await host.virsh("qemu-monitor-command", "two", "--hmp", "info")).strip() == "you said info"


async def test_screenshot_stream(host: Any, tmp_path: Path) -> None:
    await host.virsh("screenshot", "two", str(tmp_path / "shot"))
    assert (tmp_path / "shot").read_bytes() == b"P6 640 480 255\n" + bytes(640 * 480 * 3)


async def test_files_to_a_domain(host: Any, tmp_path: Path) -> None:
    (tmp_path / "first").write_text("alpha")
    (tmp_path / "second").write_text("beta")
    fds = [os.open(tmp_path / name, os.O_RDONLY) for name in ("first", "second")]
    before = len(os.listdir("/proc/self/fd"))
    process = await host.spawn(
        "virsh", "-c", host.uri, "start", "--pass-fds", ",".join(map(str, fds)), "one", pass_fds=fds
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out
    assert host.driver.all[0].files == [b"alpha", b"beta"]
    await until(lambda: not host.server.peers)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    for fd in fds:
        os.close(fd)


async def test_events(host: Any) -> None:
    process = await host.spawn("virsh", "-c", host.uri, "event", "--all", "--loop", "--timeout", "20")
    assert process.stdout is not None
    await until(lambda: len(host.driver.events.subscriptions) >= 27)
    await host.virsh("start", "one")
    await host.virsh("reboot", "one")
    host.driver.events.emit(Domain.pm_suspended, host.driver.all[0], 0)
    host.driver.events.emit(Domain.balloon_changed, host.driver.all[0], 4711)
    await host.virsh("destroy", "one")
    expected = [
        "event 'lifecycle' for domain 'one': Started Booted",
        "event 'reboot' for domain 'one'",
        "event 'pm-suspend' for domain 'one'",
        "event 'balloon-change' for domain 'one': 4711KiB",
        "event 'lifecycle' for domain 'one': Stopped Destroyed",
    ]
    for line in expected:
        told = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        assert told == line
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    await until(lambda: not host.driver.events.subscriptions)


async def test_monitor_events(host: Any) -> None:
    process = await host.spawn(
        "virsh",
        "-c",
        host.uri,
        "qemu-monitor-event",
        "--event",
        "sto",
        "--regex",
        "--no-case",
        "--loop",
        "--timeout",
        "20",
    )
    assert process.stdout is not None
    await until(lambda: host.driver.events.subscriptions)
    first = asyncio.ensure_future(process.stdout.readline())
    while not first.done():  # what comes on the heels of the answer to its registration, libvirt may drop
        host.driver.events.emit(Domain.monitor_event, host.driver.all[1], "RESTORE", 1, 2, None)
        await asyncio.wait([first], timeout=0.2)
    host.driver.events.emit(Domain.monitor_event, host.driver.all[1], "RESUME", 1, 2, None)
    host.driver.events.emit(Domain.monitor_event, host.driver.all[1], "STOP", 1, 2, '{"a":1}')
    told = (await first).decode().strip()
    while told.startswith("event RESTORE "):
        told = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    assert told == "event STOP at 1.000002 for domain 'two': {\"a\":1}"
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)


class Terminal:
    """virsh on a terminal of its own."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(argv[0], argv)
        os.set_blocking(self.fd, False)
        self.text = b""

    async def expect(self, words: bytes, seconds: float = 60) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while words not in self.text:
            assert asyncio.get_running_loop().time() < deadline, self.text
            with contextlib.suppress(BlockingIOError, OSError):
                self.text += os.read(self.fd, 4096)
            await asyncio.sleep(0.01)

    def _reap(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)

    async def end(self, seconds: float = 60) -> int:
        """The exit status."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if (status := self._reap()) is not None:
                return status
            if asyncio.get_running_loop().time() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(BlockingIOError, OSError):
                self.text += os.read(self.fd, 4096)
            await asyncio.sleep(0.01)


async def test_console(host: Any) -> None:
    terminal = Terminal(["virsh", "-c", host.uri, "console", "two"])
    await terminal.expect(b"welcome")
    os.write(terminal.fd, b"hello")
    await terminal.expect(b"HELLO")
    os.write(terminal.fd, b"\x1d")  # Ctrl-]
    assert await terminal.end() == 0
    await until(lambda: not host.driver.all[1].consoles)


async def test_console_ended_by_the_guest(host: Any) -> None:
    terminal = Terminal(["virsh", "-c", host.uri, "console", "two"])
    await terminal.expect(b"welcome")
    os.write(terminal.fd, b"q")
    assert await terminal.end() == 0
    await until(lambda: not host.server.peers)


async def test_connection_closed_in_a_call(host: Any) -> None:
    process = await host.spawn("virsh", "-c", host.uri, "qemu-monitor-command", "two", "--hmp", "wait")
    await asyncio.wait_for(host.driver.waiting.wait(), 60)
    for peer in list(host.server.peers.values()):
        peer.disconnect("the test says so")
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"End of file while reading data" in out or b"Connection reset" in out


async def test_client_killed_in_a_call(host: Any) -> None:
    process = await host.spawn("virsh", "-c", host.uri, "qemu-monitor-command", "two", "--hmp", "wait")
    await asyncio.wait_for(host.driver.waiting.wait(), 60)
    process.kill()
    await process.wait()
    await until(lambda: not host.server.peers)
    assert host.server.running == 1  # the call goes on
    host.driver.let_go.set()
    await until(lambda: host.server.running == 0)
    assert "two" in await host.virsh("list")


async def test_keepalive_of_virsh(host: Any) -> None:
    process = await host.spawn(
        "virsh", "-k", "1", "-K", "3", "-c", host.uri, "qemu-monitor-command", "two", "--hmp", "wait"
    )
    await asyncio.wait_for(host.driver.waiting.wait(), 60)
    await asyncio.sleep(5.2)  # more silent intervals than it waits for: it lives by our answers to its pings
    host.driver.let_go.set()
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out
    assert b"you said wait" in out


async def test_keepalive_of_the_server(host: Any) -> None:
    host.server.set_limits(keepalive_interval=0.1, keepalive_count=20)
    process = await host.spawn("virsh", "-c", host.uri, "event", "--all", "--loop", "--timeout", "20")
    await until(lambda: len(host.driver.events.subscriptions) == 27)
    await asyncio.sleep(2.5)  # many silent intervals: virsh lives by its answers to our pings
    assert len(host.driver.events.subscriptions) == 27
    process.send_signal(signal.SIGSTOP)
    await until(lambda: not host.driver.events.subscriptions)  # and is dropped when it gives none
    process.send_signal(signal.SIGCONT)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert b"Disconnected" in out or b"interrupted" in out or process.returncode


async def test_a_batch_of_commands_on_one_connection(host: Any) -> None:
    told = await host.virsh("list; start one; domstate one; destroy one; list --all")
    assert "running" in told
    assert told.count("two") == 2
    assert c.VIR_DOMAIN_RUNNING == 1
