"""Daemons as services: from a cold socket to the first answer, and what an idle one holds, beside libvirtd."""

import compileall
import os
import statistics
import time

from support.container import TOP, Container, container

from .table import Row

_ROUNDS = 10
_LIBVIRTD = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
_VIRTLOGD = "virtlogd.socket virtlogd-admin.socket virtlockd.socket virtlockd-admin.socket"

_TIME = """
import subprocess, sys, time
daemon, uri = sys.argv[1:]
subprocess.run(["systemctl", "stop", daemon + ".service"], check=True)
began = time.perf_counter()
subprocess.run(["virsh", "-c", uri, "list"], check=True, stdout=subprocess.DEVNULL)
print((time.perf_counter() - began) * 1000)
"""


GUESTS = """
for n in 1 2 3; do cat > /etc/libvirt/qemu/bench$n.xml <<END
<domain type='qemu'><name>bench$n</name><uuid>8e3f4f62-6e34-4a44-9d0f-1d8d3a1d100$n</uuid>
<memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>
END
done
"""


def first_answer(host: Container, daemon: str, uri: str) -> float:
    """Milliseconds of `virsh list` that has to start the daemon."""
    return float(host.ok("python3", "/srv/time.py", daemon, uri))


def _pid(host: Container, daemon: str) -> str:
    return host.ok("systemctl", "show", "--value", "-p", "MainPID", f"{daemon}.service").strip()


def processor(host: Container, daemon: str) -> float:
    """Milliseconds of processor time that a daemon's threads have used: a busy machine does not lengthen it much."""
    told = host.shell(f"cat /proc/{_pid(host, daemon)}/task/*/schedstat")
    return sum(int(line.split()[0]) for line in told.splitlines()) / 1e6


def pss(host: Container, daemon: str) -> float:
    """MiB of a running daemon."""
    pid = _pid(host, daemon)
    rollup = host.ok("cat", f"/proc/{pid}/smaps_rollup")
    return next(int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def _round(host: Container, daemon: str, uri: str) -> tuple[float, float, float]:
    """One start: until the answer, processor time and memory half a second later; then both are off again."""
    sockets = [f"{daemon}.socket", f"{daemon}-ro.socket", f"{daemon}-admin.socket"]
    host.ok("systemctl", "start", *sockets)
    answered = first_answer(host, daemon, uri)
    time.sleep(0.5)
    made = answered, processor(host, daemon), pss(host, daemon)
    host.ok("systemctl", "stop", f"{daemon}.service", *sockets)
    return made


def measure() -> list[Row]:
    """Paired runs in one container, guests defined; both kinds of sockets are there, one kind of daemon at a time runs.

    The container sees this checkout read-only, so it is compiled here, as an installation is.
    """
    for folder in ("common", "daemons"):
        compileall.compile_dir(TOP / folder, quiet=1)
    with container(f"bench-{os.getpid()}", unmasked=f"{_LIBVIRTD} {_VIRTLOGD}") as host:
        host.write("/srv/time.py", _TIME)
        host.shell(GUESTS)
        ours, theirs = [], []
        for _ in range(_ROUNDS):
            ours.append(_round(host, "virtqemud", "qemu:///system"))
            theirs.append(_round(host, "libvirtd", "qemu:///system?mode=legacy"))
        host.ok("systemctl", "start", "virtnetworkd.socket")
        host.ok("virsh", "-c", "network:///system", "net-list")
        networkd = pss(host, "virtnetworkd")
    (answer, used, held), (their_answer, their_used, their_held) = zip(*ours, strict=True), zip(*theirs, strict=True)
    return [
        Row("`virsh list` on a cold socket, 3 guests defined", "ms", answer, their_answer, "libvirtd", "below 1"),
        Row("processor time of that and of getting idle", "ms", used, their_used, "libvirtd"),
        Row("virtqemud, idle (PSS)", "MiB", held, their_held, "libvirtd", "under 16 MiB"),
        Row("virtnetworkd, idle (PSS)", "MiB", [networkd], bar="under 16 MiB"),
    ]


if __name__ == "__main__":
    for row in measure():
        shown = f"{statistics.median(row.other):8.1f}" if row.other else ""
        print(f"{row.name:40} {statistics.median(row.ours):8.1f} {row.unit} {shown} {row.ratio or ''}")
