"""How many trivial calls a second the RPC server answers, and libvirtd, called by the same clients in turn.

`python -m bench.rpc_rate` from `tests/` prints the figures. The call is CONNECT_GET_LIB_VERSION: nothing but the road
there and back. Clients: one that waits for each answer, one that keeps four calls on the way (libvirtd reads no
more than five), one that keeps 64, eight that wait each for their own, and Debian's libvirt-python.

Client and server share one CPU: on a virtual machine waking another one takes longer than the call, and would be
measured instead of it. So a rate counts the client's work too, which no server can change; the processor time that the
server itself uses for a call is measured beside it.
"""

import contextlib
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

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
count, began, used = int(sys.argv[2]), time.perf_counter(), time.process_time()
for _ in range(count): conn.getLibVersion()
print(time.perf_counter() - began, time.process_time() - used)
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


def server_of(path: str) -> int:
    """The process behind a socket."""
    with connect(path) as sock:
        pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def processor_seconds(pid: int) -> float:
    """What all threads of a process have used of the processor: the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


@contextlib.contextmanager
def one_cpu(pid: int) -> Iterator[None]:
    """Keep a server, and this process with its children, on one CPU."""
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


class Spent(NamedTuple):
    """Seconds by the clock and of the client's processor time, for all the calls that a client made."""

    clock: float
    client: float

    @classmethod
    def now(cls) -> "Spent":
        """Where the clocks stand."""
        return cls(time.perf_counter(), time.process_time())

    def until_now(self) -> "Spent":
        """What has passed since."""
        now = Spent.now()
        return Spent(now.clock - self.clock, now.client - self.client)


Client = Callable[[str, int], Spent]


def waiting(path: str, calls: int) -> Spent:
    """A client that waits for each answer."""
    with connect(path) as sock:
        data = frame(REMOTE, LIB_VERSION, CALL, 1)
        began = Spent.now()
        for _ in range(calls):
            sock.sendall(data)
            sock.recv(4096)
        return began.until_now()


def pipelining(depth: int) -> Client:
    """As `waiting`, with `depth` calls on the way."""

    def measure(path: str, calls: int) -> Spent:
        with connect(path) as sock:
            data = frame(REMOTE, LIB_VERSION, CALL, 1) * depth
            began = Spent.now()
            for _ in range(calls // depth):
                sock.sendall(data)
                left = REPLY_SIZE * depth
                while left:
                    left -= len(sock.recv(left))
            return began.until_now()

    return measure


def eight_clients(path: str, calls: int) -> Spent:
    """As `waiting`, by eight clients at once."""
    socks = [connect(path) for _ in range(8)]
    data = frame(REMOTE, LIB_VERSION, CALL, 1)
    began = Spent.now()
    for _ in range(calls // 8):
        for sock in socks:
            sock.sendall(data)
        for sock in socks:
            sock.recv(4096)
    spent = began.until_now()
    for sock in socks:
        sock.close()
    return spent


def libvirt_python(path: str, calls: int) -> Spent:
    """As `waiting`, by Debian's libvirt-python."""
    uri = f"qemu+unix:///system?socket={path}"
    done = subprocess.run(
        [PYTHON, "-c", SCRIPT, uri, str(calls)], check=True, capture_output=True, text=True, timeout=60
    )
    clock, client = done.stdout.split()
    return Spent(float(clock), float(client))


NOTES = [
    "rpc_rate: client and server share one CPU, for both sides: waking another CPU of a virtual machine takes longer"
    " than the call.",
]
CLIENTS: dict[str, Client] = {
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
        return [row for name, client in clients.items() for row in _rows(name, client, ours, theirs, rounds, calls)]


class Sample(NamedTuple):
    """Calls a second, and microseconds of the server's and the client's processor time for each."""

    rate: float
    server: float
    client: float


def _rows(name: str, client: Client, ours: str, theirs: str, rounds: int, calls: int) -> list[Row]:
    """The rate, and the server's own time."""
    mine: list[Sample] = []
    other: list[Sample] = []
    client(ours, calls // 4)
    for _ in range(rounds):
        mine.append(_sample(client, ours, calls))
        if theirs:
            other.append(_sample(client, theirs, calls))
    against = "libvirtd" if theirs else ""
    if other:
        NOTES.append(f"rpc_rate: {name}: {_shares(mine)}; {_shares(other)} with libvirtd.")
    own, its = [made.server for made in mine], [made.server for made in other]
    return [
        Row(name, "calls/s", [made.rate for made in mine], [made.rate for made in other], against, "≥ 2"),
        Row(f"{name}: processor time of the server", "µs", own, its, against),
    ]


def _sample(client: Client, path: str, calls: int) -> Sample:
    pid = server_of(path)
    with one_cpu(pid):
        before = processor_seconds(pid)
        spent = client(path, calls)
        server = processor_seconds(pid) - before
    return Sample(calls / spent.clock, server / calls * 1e6, spent.client / calls * 1e6)


def _shares(samples: Sequence[Sample]) -> str:
    """Whose processor time a call is, in words."""
    server, client = (statistics.median(found) for found in zip(*(made[1:] for made in samples), strict=True))
    return f"{server:.1f} µs of the processor are the server's and {client:.1f} the client's"


if __name__ == "__main__":
    for row in measure(calls=int(sys.argv[1]) if len(sys.argv) > 1 else 4000):
        ours, other = (statistics.median(made) if made else 0 for made in (row.ours, row.other))
        print(f"{row.name:70} {ours:9.1f} {other:9.1f} {row.unit:8} ratio {row.ratio or 0:.2f}")
    print(*NOTES, sep="\n")
