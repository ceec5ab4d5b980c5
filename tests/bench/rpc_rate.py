"""How many trivial calls a second the RPC server answers, and libvirtd, called by the same clients in turn.

`python -m bench.rpc_rate` from `tests/` prints the figures. The call is CONNECT_GET_LIB_VERSION: nothing but the road
there and back. Clients: one that waits for each answer, one that keeps four calls on the way (libvirtd reads no
more than five), one that keeps 64, eight that wait each for their own, and Debian's libvirt-python.

Client and server share one CPU: on a virtual machine waking another one takes longer than the call, and would be
measured instead of it.
"""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from support import libvirtd, serve

from splitvirt.api.program import REMOTE
from splitvirt.rpc.message import CALL, frame

from .table import Row

OPEN, LIB_VERSION = 1, 157
REPLY_SIZE = 36
PYTHON = "/usr/bin/python3"
SCRIPT = """
import sys, time, libvirt
conn = libvirt.open(sys.argv[1])
for _ in range(100): conn.getLibVersion()
count, began = int(sys.argv[2]), time.perf_counter()
for _ in range(count): conn.getLibVersion()
print(count / (time.perf_counter() - began))
"""


def connect(path: str) -> socket.socket:
    """An open connection to `qemu:///system`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(20)
    sock.connect(path)
    name = b"qemu:///system"
    payload = struct.pack(">II", 1, len(name)) + name + bytes(-len(name) % 4) + bytes(4)
    sock.sendall(frame(REMOTE, OPEN, CALL, 1, 0, payload))
    sock.recv(4096)
    return sock


@contextlib.contextmanager
def one_cpu(path: str) -> Iterator[None]:
    """Keep the server behind a socket, and this process with its children, on one CPU."""
    with connect(path) as sock:
        pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    before = os.sched_getaffinity(0)
    _keep_on(pid, {min(before)})
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        _keep_on(pid, before)


def _keep_on(pid: int, cpus: set[int]) -> None:
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cpus)


def waiting(path: str, calls: int) -> float:
    """Calls a second of a client that waits for each answer."""
    with connect(path) as sock:
        data = frame(REMOTE, LIB_VERSION, CALL, 1)
        began = time.perf_counter()
        for _ in range(calls):
            sock.sendall(data)
            sock.recv(4096)
        return calls / (time.perf_counter() - began)


def pipelining(depth: int) -> Callable[[str, int], float]:
    """As `waiting`, with `depth` calls on the way."""

    def measure(path: str, calls: int) -> float:
        with connect(path) as sock:
            data = frame(REMOTE, LIB_VERSION, CALL, 1) * depth
            began = time.perf_counter()
            for _ in range(calls // depth):
                sock.sendall(data)
                left = REPLY_SIZE * depth
                while left:
                    left -= len(sock.recv(left))
            return calls / (time.perf_counter() - began)

    return measure


def eight_clients(path: str, calls: int) -> float:
    """As `waiting`, by eight clients at once."""
    socks = [connect(path) for _ in range(8)]
    data = frame(REMOTE, LIB_VERSION, CALL, 1)
    began = time.perf_counter()
    for _ in range(calls // 8):
        for sock in socks:
            sock.sendall(data)
        for sock in socks:
            sock.recv(4096)
    rate = calls / (time.perf_counter() - began)
    for sock in socks:
        sock.close()
    return rate


def libvirt_python(path: str, calls: int) -> float:
    """As `waiting`, by Debian's libvirt-python."""
    uri = f"qemu+unix:///system?socket={path}"
    done = subprocess.run(
        [PYTHON, "-c", SCRIPT, uri, str(calls)], check=True, capture_output=True, text=True, timeout=60
    )
    return float(done.stdout)


NOTES = (
    "rpc_rate: client and server share one CPU, for both sides: waking another CPU of a virtual machine takes longer"
    " than the call.",
)
CLIENTS: dict[str, Callable[[str, int], float]] = {
    "RPC calls, each waited for": waiting,
    "RPC calls, four on the way": pipelining(4),
    "RPC calls, 64 on the way": pipelining(64),
    "RPC calls of eight clients at once": eight_clients,
    "RPC calls by libvirt-python": libvirt_python,
}


def measure(rounds: int = 5, calls: int = 4000) -> list[Row]:
    """A row per client; in each round every client calls both servers, one after the other."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rate-"))
        ours = str(Path(folder) / "sock")
        stack.enter_context(serve.serving(ours))
        theirs = stack.enter_context(libvirtd.private_libvirtd()) if libvirtd.available() else ""
        clients = dict(CLIENTS) if shutil.which("virsh") else dict(list(CLIENTS.items())[:4])
        return [_row(name, client, ours, theirs, rounds, calls) for name, client in clients.items()]


def _row(name: str, client: Callable[[str, int], float], ours: str, theirs: str, rounds: int, calls: int) -> Row:
    mine: list[float] = []
    other: list[float] = []
    client(ours, calls // 4)
    for _ in range(rounds):
        with one_cpu(ours):
            mine.append(client(ours, calls))
        if theirs:
            with one_cpu(theirs):
                other.append(client(theirs, calls))
    return Row(name, "calls/s", mine, other, "libvirtd" if theirs else "", "≥ 2")


if __name__ == "__main__":
    for row in measure(calls=int(sys.argv[1]) if len(sys.argv) > 1 else 4000):
        print(f"{row.name:34} {max(row.ours):8.0f} {max(row.other, default=0):8.0f} ratio {row.ratio}")
