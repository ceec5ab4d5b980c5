"""virtqemud as a daemon, driven by the real virsh: guests outlive it, also when it is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.qemu import alive, gone, needs_qemu, qemus, tiny
from support.watcher import watching

pytestmark = [needs_qemu, pytest.mark.skipif(not shutil.which("virsh"), reason="needs virsh (libvirt-clients)")]


class Daemon:
    """virtqemud below a root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket = root / "run/libvirt/virtqemud-sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "virtqemud", "--root", str(self.root), "--bus", "none"]
        with (self.root / "words").open("ab") as words:
            self.process = subprocess.Popen(argv, stdout=words, stderr=words)
        deadline = time.monotonic() + 60
        while self.virsh("version", check=False).returncode:
            assert time.monotonic() < deadline, (self.root / "words").read_text()
            time.sleep(0.05)

    def virsh(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = ["virsh", "-q", "-c", f"qemu:///system?socket={self.socket}", *command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    def end(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)
        self.process.wait(60)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    made.start()
    yield made
    if made.process and made.process.poll() is None:
        made.end(signal.SIGTERM)
    for pid in qemus(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_guests_outlive_the_daemon(daemon: Daemon, how: int) -> None:
    xml = daemon.root / "guest.xml"
    xml.write_text(tiny("kept"))
    daemon.virsh("define", str(xml))
    daemon.virsh("start", "kept")
    xml.write_text(tiny("passing"))
    daemon.virsh("create", str(xml), "--paused")
    pids = qemus(daemon.root / "lib")
    assert len(pids) == 2
    daemon.end(how)
    assert all(map(alive, pids))
    daemon.start()
    assert daemon.virsh("domstate", "kept").stdout.strip() == "running"
    assert daemon.virsh("domstate", "passing").stdout.strip() == "paused"
    assert daemon.virsh("domid", "passing").stdout.strip() == "2"
    assert daemon.virsh("list", "--transient", "--name").stdout.split() == ["passing"]
    daemon.virsh("resume", "passing")
    daemon.virsh("destroy", "passing")
    daemon.virsh("destroy", "kept")
    assert all(map(gone, pids))
    assert daemon.virsh("list", "--all", "--name").stdout.split() == ["kept"]


def test_a_guest_that_died_meanwhile(daemon: Daemon) -> None:
    xml = daemon.root / "guest.xml"
    xml.write_text(tiny("kept"))
    daemon.virsh("define", str(xml))
    daemon.virsh("start", "kept")
    (pid,) = qemus(daemon.root / "lib")
    daemon.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    daemon.start()
    assert daemon.virsh("domstate", "kept", "--reason").stdout.strip() == "shut off (crashed)"
    daemon.virsh("start", "kept")


def test_autodestroy_follows_the_client(daemon: Daemon) -> None:
    xml = daemon.root / "guest.xml"
    xml.write_text(tiny("bound"))
    script = f"create {xml} --autodestroy; domstate bound"
    assert "running" in daemon.virsh(script).stdout
    deadline = time.monotonic() + 60
    while qemus(daemon.root / "lib"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert daemon.virsh("list", "--all", "--name").stdout.split() == []


def test_events_reach_virsh_in_order(daemon: Daemon) -> None:
    xml = daemon.root / "guest.xml"
    xml.write_text(tiny("seen"))
    uri = f"qemu:///system?socket={daemon.socket}"
    with watching(uri, ["event", "--all", "--loop"], daemon.root, tiny) as watcher:
        for command in (["define", str(xml)], ["start", "seen", "--paused"], ["resume", "seen"], ["suspend", "seen"],
                        ["reset", "seen"], ["destroy", "seen"], ["undefine", "seen"]):  # fmt: skip
            daemon.virsh(*command)
        lines = watcher.heard().splitlines()
    happened = [line.partition("for domain 'seen'")[2].lstrip(": ") or "reboot" for line in lines]
    steps = [line for line in happened if line != "reboot"]
    assert steps == [
        "Defined Added", "Started Booted", "Suspended Paused", "Resumed Unpaused", "Suspended Paused",
        "Shutdown Finished after host request", "Stopped Destroyed", "Undefined Removed",
    ]  # fmt: skip
    assert "reboot" in happened


@pytest.mark.long
def test_a_thousand_definitions_are_loaded_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "etc/libvirt/qemu"
    folder.mkdir(parents=True)
    for number in range(1000):
        (folder / f"g{number}.xml").write_text(tiny(f"g{number}", devices="<serial type='pty'/>"))
    daemon = Daemon(tmp_path)
    daemon.start()
    assert daemon.process
    try:
        assert len(daemon.virsh("list", "--all", "--name").stdout.split()) == 1000
        used = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    finally:
        daemon.end(signal.SIGTERM)
    assert sum(map(int, used)) / os.sysconf("SC_CLK_TCK") < 3  # of the processor: others may use this machine too
