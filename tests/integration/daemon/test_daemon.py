"""A daemon from start to end, driven by the real virsh and virt-admin, below a root of its own."""

import asyncio
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bus import private_bus

from splitvirt.access.rules import Access
from splitvirt.api.errors import OperationInvalid
from splitvirt.api.event import Hub
from splitvirt.api.lease import LentPort, NetworkPorts
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.export import Export

MODULE = "virtqemud"
XML = "<domain type='qemu'><name>{}</name><memory>1024</memory><os><type arch='x86_64'>hvm</type></os></domain>"


class Running:
    """A daemon that runs below a root."""

    def __init__(self, root: Path, process: subprocess.Popen[str], log: Path):
        self.root, self.process, self.log = root, process, log

    def socket(self, name: str) -> Path:
        return self.root / "run/libvirt" / f"{MODULE}-{name}"

    def virsh(self, *words: str) -> str:
        return self._tool("virsh", "-c", f"qemu:///system?socket={self.socket('sock')}", *words)

    def admin(self, *words: str) -> str:
        return self._tool("virt-admin", "-c", f"virtqemud:///system?socket={self.socket('admin-sock')}", *words)

    @staticmethod
    def _tool(*command: str) -> str:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed (libvirt-clients)")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def daemon(root: Path, *options: str, bus: str = "none") -> Iterator[Running]:
    log = root.with_suffix(".log")
    command = [sys.executable, "-m", MODULE, "--root", str(root), "--bus", bus, *options]
    with log.open("w") as out:
        process = subprocess.Popen(command, stderr=out, text=True, stdin=subprocess.DEVNULL)
    running = Running(root, process, log)
    try:
        wait(lambda: "is ready" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def wait(happened: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with daemon(tmp_path / "root") as made:
        yield made


def test_it_serves_and_leaves_nothing_behind(running: Running) -> None:
    assert running.virsh("list", "--all", "--name").strip() == ""
    for name, mode in (("sock", 0o700), ("sock-ro", 0o777), ("admin-sock", 0o700)):
        assert running.socket(name).stat().st_mode & 0o777 == mode
    assert (running.root / "run/libvirt/virtqemud.pid").read_text() == f"{running.process.pid}\n"
    assert running.end() == 0
    assert not list((running.root / "run/libvirt").glob("*sock*"))


def test_a_second_one_is_told_who_has_the_root(running: Running) -> None:
    command = [sys.executable, "-m", MODULE, "--root", str(running.root), "--bus", "none"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"is held by process {running.process.pid}" in second.stderr
    assert running.virsh("list") is not None


def test_virt_admin(running: Running) -> None:
    assert re.findall(r"\d +(\w+)", running.admin("srv-list")) == ["virtqemud", "admin"]
    running.admin("srv-threadpool-set", "virtqemud", "--max-workers", "33", "--min-workers", "7")
    pool = dict(line.split(":") for line in re.sub(" +", "", running.admin("srv-threadpool-info", "virtqemud")).split())
    assert (pool["minWorkers"], pool["maxWorkers"], pool["jobQueueDepth"]) == ("7", "33", "0")
    running.admin("srv-clients-set", "virtqemud", "--max-clients", "77")
    assert "nclients_max        : 77" in running.admin("srv-clients-info", "virtqemud")
    running.admin("daemon-log-filters", "--filters", "1:splitvirt.rpc 3:virtqemud")
    assert "1:*splitvirt.rpc* 3:*virtqemud*" in running.admin("daemon-log-filters")
    running.admin("daemon-log-outputs", "--outputs", f"2:file:{running.root}/x.log")
    assert f"2:file:{running.root}/x.log" in running.admin("daemon-log-outputs")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("srv-threadpool-info nosuch", "Server not found: No server named 'nosuch'"),
        ("srv-threadpool-set virtqemud --min-workers 30", "minWorkers cannot be larger than maxWorkers"),
        ("client-info virtqemud 9999", "Client not found: No client with matching ID '9999'"),
        ("server-update-tls virtqemud", "internal error: no tls service found, unable to update tls files"),
        ("daemon-log-filters --filters 5:qemu", "Invalid priority '5' for filter '5:qemu'"),
        ("daemon-log-filters --filters qemu", "Malformed format for filter 'qemu'"),
        ("daemon-log-outputs --outputs 1:nosuch", "Invalid log destination 'nosuch' for log output '1:nosuch'"),
        ("daemon-log-outputs --outputs 1:file:/nosuch/folder/x", "No such file or directory"),
    ],
)
def test_virt_admin_is_refused_in_libvirtd_s_words(running: Running, command: str, said: str) -> None:
    uri = f"virtqemud:///system?socket={running.socket('admin-sock')}"
    done = subprocess.run(
        ["virt-admin", "-c", uri, *command.split()], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert said in done.stderr


def test_virt_admin_sees_and_ends_clients(running: Running) -> None:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(running.socket("sock")))
    wait(lambda: "unix" in running.admin("client-list", "virtqemud"))
    found = re.search(r"(\d+) +unix", running.admin("client-list", "virtqemud"))
    assert found
    told = running.admin("client-info", "virtqemud", found[1])
    assert f"unix_process_id: {os.getpid()}" in re.sub(" +:", ":", told)
    running.admin("client-disconnect", "virtqemud", found[1])
    client.settimeout(60)
    assert client.recv(1) == b""
    client.close()


def test_it_leaves_when_it_has_been_idle(running: Running) -> None:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(running.socket("sock")))
    running.admin("daemon-timeout", "--timeout", "1")
    time.sleep(1.5)
    assert running.process.poll() is None, "it left while a client was there"
    client.close()
    assert running.process.wait(60) == 0
    assert "idle for 1 s" in running.log.read_text()


def test_metrics_are_what_a_real_parser_reads(running: Running) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    running.virsh("list", "--all")
    scrape = socket.socket(socket.AF_UNIX)
    scrape.settimeout(60)
    scrape.connect(str(running.socket("metrics-sock")))
    scrape.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    with scrape.makefile("rb") as answer:
        head, _, body = answer.read().partition(b"\r\n\r\n")
    scrape.close()
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text")
    families = {family.name: family for family in parser.text_string_to_metric_families(body.decode())}
    assert {"splitvirt_up_seconds", "splitvirt_clients", "splitvirt_calls_queued", "splitvirt_memory_bytes"} <= set(
        families
    )
    counted = {
        sample.labels["call"]: sample.value
        for sample in families["splitvirt_call_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counted["domains"] == 1


@pytest.mark.parametrize(
    ("asked", "status"), [("GET /nothing", "404"), ("POST /metrics", "405"), ("HEAD /metrics", "200"), ("what", "405")]
)
def test_what_is_no_scrape_is_told_so(running: Running, asked: str, status: str) -> None:
    with socket.socket(socket.AF_UNIX) as scrape:
        scrape.settimeout(60)
        scrape.connect(str(running.socket("metrics-sock")))
        scrape.sendall(f"{asked} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with scrape.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert body == b""


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed")
def test_what_failed_is_part_of_a_guest_s_story(running: Running) -> None:
    disk = "<devices><disk><source file='/nowhere.img'/><target dev='hda'/></disk></devices>"
    (running.root / "one.xml").write_text(XML.format("one").replace("</domain>", f"{disk}</domain>"))
    running.virsh("define", str(running.root / "one.xml"))
    with pytest.raises(AssertionError, match="nowhere"):
        running.virsh("start", "one")
    told = next(line for line in running.log.read_text().splitlines() if "failed" in line)
    assert re.search(r"domain one: virDomainCreate\w* failed: .*/nowhere.img.* \[domain=one .*user=\w+", told)


def test_a_reload_takes_in_what_it_can_and_says_what_it_cannot(running: Running) -> None:
    conf = running.root / "etc/libvirt/virtqemud.conf"
    conf.write_text('max_clients = 11\nunix_sock_ro_perms = "0700"\nwhat = 1\n')
    with conf.open("a") as more:
        more.write("max_user_anonymous_clients = 4\n")
    running.process.send_signal(signal.SIGHUP)
    wait(lambda: "configuration reloaded" in running.log.read_text())
    assert "unix_sock_ro_perms has changed, which only a restart takes in" in running.log.read_text()
    assert f"{conf}:3: what: unknown key" in running.log.read_text()
    shown = dict(line.replace(" ", "").split(":") for line in running.admin("srv-clients-info", "virtqemud").split("\n")
                 if line.strip())  # fmt: skip
    assert (shown["nclients_max"], shown["nclients_user_max"], shown["nclients_unauth_user_max"]) == ("11", "3", "4")
    conf.write_text("max_clients = 0\n")
    running.process.send_signal(signal.SIGHUP)
    wait(lambda: "configuration not reloaded" in running.log.read_text())
    assert "nclients_max        : 11" in running.admin("srv-clients-info", "virtqemud")


def test_configuration_is_checked_with_file_and_line(tmp_path: Path) -> None:
    etc = tmp_path / "etc/libvirt"
    etc.mkdir(parents=True)
    (etc / "virtqemud.conf").write_text('\nmax_clients = "many"\nlog_filters = "9:x"\n')
    (etc / "qemu.conf").write_text('vnc_lissen = "::"\n')
    command = [sys.executable, "-m", MODULE, "--root", str(tmp_path), "--check-config"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 6
    assert f"{etc}/virtqemud.conf:2: max_clients: 'many': must be a number" in checked.stdout
    assert f"{etc}/virtqemud.conf:3: log_filters: " in checked.stdout
    assert f"{etc}/qemu.conf:1: vnc_lissen: unknown key; did you mean vnc_listen?" in checked.stdout
    refused = subprocess.run(command[:-1], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 6


@pytest.mark.parametrize(
    ("wrong", "status", "why"),
    [
        ("log_level = 9", 6, "its configuration is wrong"),
        ('log_outputs = "1:file:/proc/nothing/x"', 1, "something that it needs is missing"),
    ],
)
def test_who_waits_for_one_that_cannot_start_is_told(tmp_path: Path, wrong: str, status: int, why: str) -> None:
    (tmp_path / "etc/libvirt").mkdir(parents=True)
    (tmp_path / "etc/libvirt/virtqemud.conf").write_text(f"{wrong}\n")
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listening:  # as systemd does: the call starts the daemon
        listening.bind(str(path))
        listening.listen()
        uri = f"qemu:///system?socket={path}"
        virsh = subprocess.Popen(["virsh", "-c", uri, "list"], stderr=subprocess.PIPE, text=True)
        assert select.select([listening], [], [], 60)[0]
        shell = f'exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={MODULE}.socket exec "$@"'
        command = [sys.executable, "-m", MODULE, "--root", str(tmp_path), "--bus", "none"]
        started = subprocess.run(
            ["sh", "-c", shell, "sh", *command], stdin=listening.fileno(), stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert started.returncode == status, started.stderr
        assert f"virtqemud cannot start: {why}" in virsh.communicate(timeout=60)[1]
        assert virsh.returncode == 1


def test_calls_that_run_are_finished_before_it_goes(tmp_path: Path) -> None:
    """A client in the middle of its session is served to its end."""
    with daemon(tmp_path / "root") as running:
        clients = [
            subprocess.Popen(
                ["virsh", "-q", "-c", f"qemu:///system?socket={running.socket('sock')}", "list", "--all"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
            for _ in range(5)
        ]  # fmt: skip
        wait(lambda: "unix" in running.admin("client-list", "virtqemud") or all(c.poll() is not None for c in clients))
        assert running.end() == 0
        told = [client.communicate(timeout=60)[1] for client in clients]
        refused = b"Failed to connect socket"  # of its own sockets, a new connection finds none: that is no lost call
        assert all(client.returncode == 0 or refused in said for client, said in zip(clients, told, strict=True)), told


def test_a_bus_that_comes_again_is_joined_again(tmp_path: Path) -> None:
    def ask(address: str) -> str:
        command = ["busctl", f"--address={address}", "get-property", "org.splitvirt.virtqemud", "/org/libvirt/QEMU"]
        return subprocess.check_output([*command, "org.splitvirt.Daemon1", "State"], text=True, timeout=60)

    if shutil.which("busctl") is None:
        pytest.skip("busctl is not installed (systemd)")
    with private_bus(tmp_path) as address, daemon(tmp_path / "root", bus=address.partition(",")[0]) as running:
        assert ask(address) == 's "running"\n'
        os.kill(int((tmp_path / "bus.pid").read_text()), signal.SIGTERM)
        wait(lambda: "the message bus is gone" in running.log.read_text())
        assert running.virsh("list") is not None
        with private_bus(tmp_path) as again:
            wait(lambda: "on the message bus again" in running.log.read_text())
            assert ask(again) == 's "running"\n'
            assert running.end() == 0


class NoPortToday(NetworkPorts):
    """Who plays virtnetworkd on a bus, and has no port to lend."""

    def __init__(self) -> None:
        self.events = Hub()

    async def take(self, network: str, xml: str = "", queues: int = 1, flags: int = 0) -> LentPort:
        raise OperationInvalid(f"no port on '{network}' today")


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed")
async def test_ports_are_asked_for_on_the_daemon_s_own_bus(tmp_path: Path) -> None:
    card = "<devices><interface type='network'><source network='elsewhere'/></interface></devices>"
    (tmp_path / "one.xml").write_text(XML.format("one").replace("</domain>", f"{card}</domain>"))
    with private_bus(tmp_path) as address:
        bus = await Bus.connect(address)
        export = Export(bus, "/org/libvirt/Network", Access("network"))
        export.offer(NetworkPorts, NoPortToday())
        await export.start(lambda: None)
        await bus.request_name("org.splitvirt.virtnetworkd")
        with daemon(tmp_path / "root", bus=address) as running:
            uri = f"qemu:///system?socket={running.socket('sock')}"
            virsh = await asyncio.create_subprocess_exec(
                "virsh", "-c", uri, "create", str(tmp_path / "one.xml"), stdout=-1, stderr=-1
            )
            _, said = await asyncio.wait_for(virsh.communicate(), 60)
        bus.close()
        await bus.closed()
    assert "no port on 'elsewhere' today" in said.decode()
