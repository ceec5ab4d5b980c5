"""Daemons as services: from a cold socket to the first answer, and what an idle one holds, beside libvirtd."""

import os
import statistics
import time

from support.container import Container, container

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


def first_answer(host: Container, daemon: str, uri: str) -> float:
    """Milliseconds of `virsh list` that has to start the daemon."""
    return float(host.ok("python3", "/srv/time.py", daemon, uri))


def pss(host: Container, daemon: str) -> float:
    """MiB of a running daemon."""
    pid = host.ok("systemctl", "show", "--value", "-p", "MainPID", f"{daemon}.service").strip()
    rollup = host.ok("cat", f"/proc/{pid}/smaps_rollup")
    return next(int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def measure() -> list[Row]:
    """Paired runs in one container; both kinds of sockets are there, one kind of daemon at a time runs."""
    with container(f"bench-{os.getpid()}", unmasked=f"{_LIBVIRTD} {_VIRTLOGD}") as host:
        host.write("/srv/time.py", _TIME)
        ours, theirs, held, held_by_libvirtd = [], [], [], []
        for _ in range(_ROUNDS):
            host.ok("systemctl", "start", "virtqemud.socket", "virtqemud-ro.socket", "virtqemud-admin.socket")
            ours.append(first_answer(host, "virtqemud", "qemu:///system"))
            time.sleep(0.5)
            held.append(pss(host, "virtqemud"))
            host.ok("systemctl", "stop", "virtqemud.service", "virtqemud.socket")
            host.ok("systemctl", "start", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket")
            theirs.append(first_answer(host, "libvirtd", "qemu:///system?mode=legacy"))
            time.sleep(0.5)
            held_by_libvirtd.append(pss(host, "libvirtd"))
            host.ok("systemctl", "stop", "libvirtd.service", "libvirtd.socket")
        host.ok("systemctl", "start", "virtnetworkd.socket")
        host.ok("virsh", "-c", "network:///system", "net-list")
        networkd = pss(host, "virtnetworkd")
    return [
        Row("`virsh list` on a cold socket", "ms", ours, theirs, "libvirtd", "below 1"),
        Row("virtqemud, idle (PSS)", "MiB", held, held_by_libvirtd, "libvirtd", "under 16 MiB"),
        Row("virtnetworkd, idle (PSS)", "MiB", [networkd], bar="under 16 MiB"),
    ]


if __name__ == "__main__":
    for row in measure():
        shown = f"{statistics.median(row.other):8.1f}" if row.other else ""
        print(f"{row.name:40} {statistics.median(row.ours):8.1f} {row.unit} {shown} {row.ratio or ''}")
