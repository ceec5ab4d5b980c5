"""The screen and the doctor, against a root of their own."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

import pytest

from splitvirt.cli.__main__ import main
from splitvirt.cli.status import Daemon, duration, holder, is_listening, read_metrics, screen
from splitvirt.host.paths import Layout

SOCKETS = ("virtqemud-sock", "virtqemud-sock-ro", "virtqemud-admin-sock")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1m 01s"), (3600, "1h 00m"), (5 * 3600 + 360, "5h 06m"), (90000, "1d 01h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_figures_are_read_from_metrics() -> None:
    found = Daemon("virtqemud")
    read_metrics(
        found,
        """# TYPE splitvirt_up_seconds gauge
splitvirt_up_seconds 5.5
splitvirt_clients{server="virtqemud"} 3
splitvirt_clients{server="admin"} 1
splitvirt_objects{kind="domain",state="active"} 2
splitvirt_objects{kind="storage_pool",state="there"} 1
splitvirt_call_seconds_count{front="rpc",call="a"} 3
splitvirt_call_seconds_count{front="dbus",call="b"} 1
splitvirt_call_seconds_sum{front="rpc",call="a"} 0.04
splitvirt_call_errors_total{front="rpc",call="a"} 1
splitvirt_memory_bytes{of="pss"} 1048576
""",
    )
    assert (found.up, found.clients, found.calls, found.errors, found.mean) == (5.5, 3, 4, 1, 0.01)
    assert found.objects == {"domain active": 2, "storage_pool there": 1}


def test_the_screen_fits_the_terminal() -> None:
    busy = Daemon("virtqemud", "running", 1, True, 72, 1, 0, 0, 41, 0, 0.0036, 26_100_000, {"domain active": 1})
    told = Daemon("virtnetworkd", "running (figures are for root)", 2)
    wide = screen([busy, Daemon("virtnetworkd", "on demand")], Layout.system(), 120).splitlines()[2:]
    assert wide == [
        "DAEMON        STATE      UP      CLIENTS  CALLS  ERRORS  MEAN    QUEUE  MEMORY    OBJECTS",
        "virtqemud     running    1m 12s  1        41     0       3.6 ms  0      24.9 MiB  1 domain active",
        "virtnetworkd  on demand",
    ]
    narrow = screen([busy, Daemon("virtnetworkd", "on demand")], Layout.system(), 80).splitlines()[2:]
    assert narrow == [
        "DAEMON        STATE      UP      CLIENTS  CALLS  ERRORS  MEAN    QUEUE  MEMORY",
        "virtqemud     running    1m 12s  1        41     0       3.6 ms  0      24.9 MiB",
        "  1 domain active",
        "virtnetworkd  on demand",
    ]
    assert screen([told], Layout.system(), 80).splitlines()[-1] == "virtnetworkd running (figures are for root)"


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon"])
def test_watching_takes_a_time(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["status", f"--watch={given}"])
    assert ended.value.code == 2
    assert "--watch" in capsys.readouterr().err


def test_who_holds_a_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    assert holder(path) == 0
    path.write_text("99999\n")
    assert holder(path) == 0, "a file that nobody has locked is from a daemon that is gone"
    child = os.fork()
    if child == 0:
        with path.open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            (tmp_path / "locked").touch()
            time.sleep(60)
        os._exit(0)
    try:
        while not (tmp_path / "locked").exists():
            time.sleep(0.01)
        assert holder(path) == child
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_the_doctor_finds_a_socket_that_nobody_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run/libvirt"
    run.mkdir(parents=True)
    held = []
    for name in SOCKETS:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(run / name))
        if name != "virtqemud-sock-ro":
            sock.listen()
            held.append(sock)
        else:
            sock.close()
    assert is_listening(run / "virtqemud-sock")
    assert not is_listening(run / "virtqemud-sock-ro")
    assert main(["doctor", "--root", str(tmp_path), "--json"]) == 1
    found = {one["about"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["virtqemud, socket for calls"]["level"] == "ok"
    dead = found["virtqemud, socket for read-only calls"]
    assert (dead["level"], dead["mend"]) == ("problem", f"rm {run}/virtqemud-sock-ro")
    assert found["virtnetworkd, socket for calls"]["mend"] == f"virtnetworkd --root {tmp_path}"
    for sock in held:
        sock.close()


def test_status_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", str(tmp_path)]) == 3
    shown = capsys.readouterr().out
    assert "virtqemud     not set up\n" in shown
    assert f"Nothing is running or waiting there: virtqemud --root {tmp_path} starts one." in shown
    assert "virtlxcd" not in shown
    assert main(["status", "--root", str(tmp_path), "--json"]) == 3
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["virtqemud", "virtnetworkd"]
