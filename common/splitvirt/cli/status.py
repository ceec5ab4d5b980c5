"""`splitvirt status`: the whole suite on one screen. Looking starts no daemon: it reads what running ones offer."""

import argparse
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from splitvirt.connect import DRIVERS
from splitvirt.host.paths import Layout

HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
"""What a terminal is told so that a new screen takes the place of the old one, without a flicker."""


@dataclass
class Daemon:
    """What there is to see of one daemon."""

    name: str
    state: str = "not set up"
    pid: int = 0
    known: bool = False  # whether the figures below are the daemon's
    up: float = 0.0
    clients: int = 0
    running: int = 0
    queued: int = 0
    calls: int = 0
    errors: int = 0
    mean: float = 0.0
    memory: int = 0
    objects: dict[str, int] = field(default_factory=dict)


EXITS = {0: "a daemon runs, or starts at the first call", 3: "no daemon is there at all"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the subcommand takes."""
    parser.add_argument("--root", metavar="DIR", help="the daemons that were started with --root DIR")
    parser.add_argument("--session", action="store_true", help="this user's own daemons")
    parser.add_argument(
        "-w", "--watch", nargs="?", type=_seconds, const=1.0, metavar="SECONDS", help="again and again, until Ctrl-C"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("must be from 0.1 to 86400")
    return seconds


def layout_of(options: argparse.Namespace) -> Layout:
    """Which daemons are meant."""
    if options.root:
        return Layout.under(options.root)
    return Layout.session() if options.session else Layout.system()


def run(options: argparse.Namespace) -> int:
    """Print the screen. 0 when something runs or could be started, 3 when no daemon is there at all."""
    layout = layout_of(options)
    while True:
        daemons = survey(layout)
        text = (
            json.dumps([asdict(one) for one in daemons], indent=2) if options.json else screen(daemons, layout, width())
        )
        if options.watch and not options.json and sys.stdout.isatty():
            text = HOME + text.replace("\n", f"{REST_OF_LINE}\n") + f"{REST_OF_LINE}\n{REST}"
        print(text, end="" if text.endswith(REST) else "\n", flush=True)
        if not options.watch:
            return 0 if any(one.state != "not set up" for one in daemons) else 3
        time.sleep(options.watch)


def width() -> int:
    """Columns that a line may have: the terminal's; any number where it is not one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def survey(layout: Layout) -> list[Daemon]:
    """The daemons that are here, and those that could be: of other names one may be libvirt's, and is shown then."""
    found = (look(layout, daemon) for daemon, _, _ in DRIVERS.values())
    return [one for one in found if one.state != "not set up" or find_spec(one.name)]


def look(layout: Layout, name: str) -> Daemon:
    """One daemon: running, waiting for a call, or not there."""
    found = Daemon(name, pid=holder(layout.run / f"{name}.pid"))
    if found.pid:
        found.state = "running"
        try:
            read_metrics(found, scrape(layout.run / f"{name}-metrics-sock"))
        except PermissionError:
            found.state = "running (figures are for root)"
        except OSError as error:
            found.state = f"running, silent: {error.strerror}"
    elif layout.socket(name).is_socket():
        found.state = "on demand" if is_listening(layout.socket(name)) else "dead socket"
    return found


def holder(path: Path) -> int:
    """The process that holds a pid file, 0 when nobody does; the lock counts, not what is written in it."""
    import fcntl
    import struct

    try:
        with path.open("rb") as file:
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, lock))
            if kind == fcntl.F_UNLCK:
                return 0
            return pid if pid > 0 else int(file.read().strip() or b"0")
    except (OSError, ValueError):
        return 0


def is_listening(path: Path) -> bool:
    """Whether some process (or systemd for it) listens at a socket, without connecting to it."""
    try:
        with open("/proc/net/unix") as table:
            real = os.path.realpath(path)
            return any(line.split(maxsplit=7)[7:] in ([f"{path}\n"], [f"{real}\n"]) for line in table)
    except OSError:
        return True


def scrape(path: Path) -> str:
    """A daemon's metrics as text; OSError when they cannot be had."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with sock.makefile("rb") as answer:
            return answer.read().decode().partition("\r\n\r\n")[2]


def read_metrics(found: Daemon, text: str) -> None:
    """Fill in the figures."""
    found.known, seconds = True, 0.0
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        name, _, labels = name.partition("{")
        match name:
            case "splitvirt_up_seconds":
                found.up = float(value)
            case "splitvirt_clients" if 'server="admin"' not in labels:
                found.clients = int(value)
            case "splitvirt_calls_running" if 'server="admin"' not in labels:
                found.running = int(value)
            case "splitvirt_calls_queued":
                found.queued += int(value)
            case "splitvirt_call_seconds_count":
                found.calls += int(value)
            case "splitvirt_call_seconds_sum":
                seconds += float(value)
            case "splitvirt_call_errors_total":
                found.errors += int(value)
            case "splitvirt_memory_bytes" if "pss" in labels:
                found.memory = int(value)
            case "splitvirt_objects":
                said = dict(part.split("=") for part in labels.rstrip("}").replace('"', "").split(","))
                found.objects[f"{said['kind']} {said['state']}"] = int(value)
    found.mean = seconds / found.calls if found.calls else 0.0


COLUMNS = ("DAEMON", "STATE", "UP", "CLIENTS", "CALLS", "ERRORS", "MEAN", "QUEUE", "MEMORY", "OBJECTS")


def screen(daemons: list[Daemon], layout: Layout, columns: int) -> str:
    """The table, as narrow as `columns` need it: what daemons have goes below them where it does not fit beside."""
    where = f"below {layout.root}" if layout.root else layout.mode
    lines = [f"splitvirt on {socket.gethostname()} ({where}), {time.strftime('%Y-%m-%d %H:%M:%S')}", ""]
    rows = [COLUMNS, *(row(one) for one in daemons)]
    shown = next((made for gap in (2, 1) if _longest(made := table(rows, gap)) <= columns), None)
    if shown is None:
        shown = table([cells[:-1] for cells in rows], 2)
        if _longest(shown) > columns:
            shown = table([cells[:-1] for cells in rows], 1)
        below = zip(shown, ["", *(cells[-1] for cells in rows[1:])], strict=True)
        shown = [line for beside, objects in below for line in (beside, f"  {objects}" if objects else "") if line]
    lines += shown
    if all(one.state == "not set up" for one in daemons):
        start = f"{daemons[0].name} --root {layout.root} starts one" if layout.root else "make install sets them up"
        lines += ["", f"Nothing is running or waiting {'there' if layout.root else 'here'}: {start}."]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]], gap: int) -> list[str]:
    """Lines in which cells stand below each other."""
    widths = [max(len(cells[at]) for cells in rows) + gap for at in range(len(rows[0]))]
    return ["".join(f"{cell:{wide}}" for cell, wide in zip(cells, widths, strict=True)).rstrip() for cells in rows]


def _longest(lines: list[str]) -> int:
    return max(map(len, lines))


def row(one: Daemon) -> Sequence[str]:
    """One daemon's cells: its name and state alone where there is no more to say."""
    if not one.known:
        return (one.name, one.state, *[""] * (len(COLUMNS) - 2))
    return (
        one.name, one.state, duration(one.up), str(one.clients), str(one.calls), str(one.errors),
        f"{one.mean * 1000:.1f} ms", str(one.running + one.queued), f"{one.memory / 2**20:.1f} MiB",
        ", ".join(f"{count} {kind.removesuffix(' there').replace('_', ' ')}" for kind, count in one.objects.items()),
    )  # fmt: skip


def duration(seconds: float) -> str:
    """A time for a person: 12 s, 3m 04s, 5h 06m, 2d 03h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    for below, big, small, unit, name in ((3600, 60, 1, "m", "s"), (86400, 3600, 60, "h", "m")):
        if whole < below:
            return f"{whole // big}{unit} {whole % big // small:02}{name}"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"
