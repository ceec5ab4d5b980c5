"""sd_notify and what systemd passes."""

import os
import socket
from pathlib import Path

import pytest

from splitvirt.daemon.config import Config
from splitvirt.daemon.keys import DAEMON
from splitvirt.daemon.notify import Notifier, passed_fds, watchdog_interval
from splitvirt.daemon.sockets import Kind, Listening, adopt, close, kind_of, make, remove, store
from splitvirt.host.paths import Layout


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


def test_what_systemd_passes_is_told_from_what_it_stored() -> None:
    ours, theirs = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    other, _ = os.pipe()
    listeners, stored = adopt([("rw", theirs.detach()), ("own-ro", ours.detach()), ("else", other)], "virtqemud")
    assert [one.kind for one in listeners] == ["rw"]
    assert list(stored) == ["ro"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(other)
    os.close(_)
    listeners[0].socket.close()
    stored["ro"].close()


def opened(root: Path, stored: dict[Kind, socket.socket]) -> list[Listening]:
    """A daemon's own sockets below a root."""
    return make(Layout.under(root, "system"), "virtqemud", Config.load(DAEMON, []), None, stored)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def test_own_sockets_are_used_again_while_they_are_the_ones(tmp_path: Path) -> None:
    first = opened(tmp_path, {})
    again = opened(tmp_path, {one.kind: one.socket for one in first})
    assert [one.socket for one in again] == [one.socket for one in first]
    again[0].path.unlink()  # type: ignore[union-attr]
    third = opened(tmp_path, {one.kind: one.socket for one in first})
    assert [a.socket is b.socket for a, b in zip(third, first, strict=True)] == [False, True, True]
    assert answers(third[0].path)  # type: ignore[arg-type]
    first[0].socket.close()
    close(third)
    remove(third)


def test_what_is_kept_and_of_no_use_is_dropped(tmp_path: Path) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(60)
    first, second = opened(tmp_path / "a", {}), opened(tmp_path / "b", {})
    store(second, {one.kind: one.socket for one in first}, Notifier(str(tmp_path / "notify")))
    said = [socket.recv_fds(manager, 1000, 4) for _ in range(6)]
    assert [text for text, _, _, _ in said] == [
        *(f"FDSTOREREMOVE=1\nFDNAME=own-{kind}".encode() for kind in ("rw", "ro", "admin")),
        *(f"FDSTORE=1\nFDNAME=own-{kind}".encode() for kind in ("rw", "ro", "admin")),
    ]
    assert not any(one.path.exists() for one in first if one.path)
    for _, fds, _, _ in said:
        for fd in fds:
            os.close(fd)
    close(second)
    remove(second)
    manager.close()


def test_a_watchdog_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert watchdog_interval() == 60
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval() == 0
