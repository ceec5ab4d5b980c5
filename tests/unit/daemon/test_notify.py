"""sd_notify and what systemd passes."""

import os
import socket
from pathlib import Path

import pytest

from splitvirt.daemon.notify import Notifier, passed_fds, watchdog_interval
from splitvirt.daemon.sockets import adopt, kind_of


def test_messages_and_stored_descriptors(tmp_path: Path) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.ready("serving")
    assert manager.recv(1000) == b"READY=1\nSTATUS=serving"
    reading, writing = os.pipe()
    notifier.store("lease", reading)
    data, fds, _, _ = socket.recv_fds(manager, 1000, 4)
    assert data == b"FDSTORE=1\nFDNAME=lease"
    os.write(writing, b"x")
    assert os.read(fds[0], 1) == b"x"
    for fd in (reading, writing, *fds):
        os.close(fd)
    manager.close()
    notifier.ready("nobody listens any more")


async def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier(None)
    notifier.ready("x")
    await notifier.watchdog()


def test_passed_descriptors_are_taken_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "2")
    assert passed_fds() == []
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize(
    ("name", "kind"),
    [("virtqemud.socket", "rw"), ("virtqemud-ro.socket", "ro"), ("virtqemud-admin.socket", "admin"), ("ro", "ro"),
     ("virtnetworkd.socket", None), ("lease", None)],
)  # fmt: skip
def test_what_a_passed_socket_is_for(name: str, kind: str | None) -> None:
    assert kind_of(name, "virtqemud") == kind


def test_what_is_no_listener_is_left_over() -> None:
    sock = socket.socket(socket.AF_UNIX)
    listeners, rest = adopt([("rw", sock.detach()), ("lease", 99)], "virtqemud")
    assert [one.kind for one in listeners] == ["rw"]
    assert rest == [("lease", 99)]
    listeners[0].socket.close()


def test_a_watchdog_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert watchdog_interval() == 60
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval() == 0
