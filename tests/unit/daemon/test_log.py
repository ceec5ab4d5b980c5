"""libvirt's log filters and outputs, changed at run time; journald's own protocol."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitvirt.api.errors import InvalidArg
from splitvirt.daemon.log import JournalHandler, Log, read_filters, read_outputs


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    root = logging.getLogger()
    level = root.level
    made = Log("test", lambda: {"client": "client 7"})
    yield made
    made.close()
    root.setLevel(level)


@pytest.mark.parametrize("text", ["5:x", "x:y", "1", "1:", "0:qemu"])
def test_wrong_filters(text: str) -> None:
    with pytest.raises(InvalidArg, match=text):
        read_filters(text)


@pytest.mark.parametrize(
    "text", ["1:nowhere", "1:file", "1:file:relative", "1:stderr:x", "9:stderr", "syslog", "1:syslog"]
)
def test_wrong_outputs(text: str) -> None:
    with pytest.raises(InvalidArg, match=text):
        read_outputs(text)


def test_filters_and_levels_decide_what_is_written(log: Log, tmp_path: Path) -> None:
    target = tmp_path / "out.log"
    log.configure(3, "1:split*rpc 4:virtqemud", f"1:file:{target}")
    for name in ("splitvirt.rpc.peer", "virtqemud.driver", "splitvirt.daemon"):
        for level in (logging.DEBUG, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "%s says %d", name, level, extra={"domain": "demo"})
    written = [line.split(None, 2)[2] for line in target.read_text().splitlines()]
    about = "[domain=demo client=client 7]"
    assert written == [
        f"DEBUG splitvirt.rpc.peer: splitvirt.rpc.peer says 10 {about}",
        f"WARNING splitvirt.rpc.peer: splitvirt.rpc.peer says 30 {about}",
        f"ERROR splitvirt.rpc.peer: splitvirt.rpc.peer says 40 {about}",
        f"ERROR virtqemud.driver: virtqemud.driver says 40 {about}",
        f"WARNING splitvirt.daemon: splitvirt.daemon says 30 {about}",
        f"ERROR splitvirt.daemon: splitvirt.daemon says 40 {about}",
    ]
    assert (log.filters, log.outputs) == ("1:*split*rpc* 4:*virtqemud*", f"1:file:{target}")


def test_a_change_at_run_time_takes_hold_at_once_and_a_wrong_one_not_at_all(log: Log, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    log.configure(4, "", f"1:file:{first}")
    logging.getLogger("one").info("not yet")
    log.set_filters("2:one")
    logging.getLogger("one").info("now")
    with pytest.raises(InvalidArg):
        log.set_outputs("1:file:/nonexistent\0/x")
    with pytest.raises(InvalidArg):
        log.set_filters("nonsense")
    logging.getLogger("one").info("still")
    log.set_outputs(f"2:file:{second}")
    logging.getLogger("one").info("there")
    assert [line.split(" ")[-3] for line in first.read_text().splitlines()] == ["now", "still"]
    assert "there" in second.read_text()


def test_the_journal_s_protocol(tmp_path: Path) -> None:
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(tmp_path / "journal"))
    journal.settimeout(60)
    handler = JournalHandler("virtqemud", str(tmp_path / "journal"))
    record = logging.LogRecord("virtqemud", logging.WARNING, "/x.py", 3, "two\nlines", (), None, "do")
    record.domain, record.uuid = "demo", "0-1"
    handler.emit(record)
    data = journal.recv(10000)
    assert b"MESSAGE\n" + (9).to_bytes(8, "little") + b"two\nlines\n" in data
    for line in (b"PRIORITY=4", b"SYSLOG_IDENTIFIER=virtqemud", b"SPLITVIRT_DOMAIN=demo", b"SPLITVIRT_UUID=0-1"):
        assert line + b"\n" in data
    record.msg = "x" * 1_000_000
    handler.emit(record)
    _, fds, _, _ = socket.recv_fds(journal, 100, 1)
    with open(fds[0], "rb") as passed:
        passed.seek(0)
        assert b"MESSAGE=" + b"x" * 1_000_000 in passed.read()
    handler.close()
    journal.close()
