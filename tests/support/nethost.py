"""Hosts for network tests: network namespaces of this process's own, guests on cables of ours, real DHCP clients.

Nothing here touches the machine's own interfaces: a test's host is a new, empty network namespace that this thread is
in until the test ends, and its guests are further ones.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from splitvirt.host.tap import open_tap

CLONE_NEWNET = 0x40000000
T = TypeVar("T")
LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
[ -n "$router" ] && ip route replace default via "$router"
echo "$ip ${router:--} ${dns:--} ${domain:--} ${mtu:--}" > "$RESULT"
exit 0
"""


def missing() -> str:
    """What this machine lacks for such tests, or ""."""
    if os.geteuid() != 0:
        return "network namespaces of one's own need root"
    for program in ("ip", "dnsmasq", "nft", "busybox"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"{program} is not installed"
    return ""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def unshare() -> None:
    """Put this thread into a new, empty network namespace. Skips where that is not allowed."""
    if _libc().unshare(CLONE_NEWNET):
        pytest.skip(f"no network namespace can be made here: {os.strerror(ctypes.get_errno())}")


def enter(fd: int) -> None:
    """Put this thread into the network namespace that a descriptor holds."""
    if _libc().setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run(*argv: str, check: bool = True, timeout: float = 60) -> str:
    """Run a command in the current namespace; what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr}{done.stdout}")
    return done.stdout


class Space:
    """A network namespace, held by a descriptor."""

    def __init__(self) -> None:
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare()
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            run("ip", "link", "set", "lo", "up")
        finally:
            enter(here)
            os.close(here)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Be in it."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter(self.fd)
        try:
            yield
        finally:
            enter(here)
            os.close(here)

    def run(self, *argv: str, check: bool = True, timeout: float = 60) -> str:
        """Run a command in it."""
        with self.inside():
            return run(*argv, check=check, timeout=timeout)

    def spawn(self, *argv: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a command in it."""
        with self.inside():
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, **(env or {})},
            )  # fmt: skip

    def socket(self, kind: int = socket.SOCK_DGRAM, family: int = socket.AF_INET) -> socket.socket:
        """A socket that belongs to it."""
        with self.inside():
            return socket.socket(family, kind)

    async def ping(self, address: str, timeout: float = 20) -> bool:
        """Whether an address answers."""
        client = self.spawn("ping", "-c", "1", "-i", "0.2", "-W", "2", "-w", str(int(timeout)), address)
        try:
            await until(lambda: client.poll() is not None, timeout + 30)
        finally:
            end(client)
        return client.returncode == 0

    async def resolve(self, server: str, name: str, timeout: float = 20) -> list[str]:
        """The IPv4 addresses that a DNS server knows of a name."""
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
        with self.socket() as asker:
            asker.setblocking(False)
            asker.connect((server, 53))
            asker.send(query)
            async with asyncio.timeout(timeout):
                answer = await asyncio.get_running_loop().sock_recv(asker, 4096)
        count = struct.unpack(">H", answer[6:8])[0]
        tail = answer[len(query) :]
        found = []
        for _ in range(count):
            kind, _, _, size = struct.unpack(">HHIH", tail[2:12])
            if kind == 1:
                found.append(socket.inet_ntoa(tail[12 : 12 + size]))
            tail = tail[12 + size :]
        return found

    def close(self) -> None:
        """Let it go; it ends with its last process."""
        os.close(self.fd)


class Guest(Space):
    """A namespace with an interface `eth0` that is the guest's end of a lent tap."""

    def __init__(self, mac: str) -> None:
        super().__init__()
        self.mac, self.folder = mac, Path(tempfile.mkdtemp(prefix="guest-"))
        with self.inside():
            _, (self.end,) = open_tap("eth0", vnet_hdr=False)
            run("ip", "link", "set", "eth0", "address", mac, "up")
        os.set_blocking(self.end, False)
        self._wire: tuple[int, int] | None = None
        self._client: subprocess.Popen[bytes] | None = None

    def plug(self, tap: int) -> None:
        """Carry frames between the guest's interface and an open tap, as a hypervisor does."""
        os.set_blocking(tap, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.end, self._carry, self.end, tap)
        loop.add_reader(tap, self._carry, tap, self.end)
        self._wire = (self.end, tap)

    @staticmethod
    def _carry(source: int, target: int) -> None:
        for _ in range(64):
            try:
                os.write(target, os.read(source, 70000))
            except (BlockingIOError, OSError):
                return

    async def dhcp(self, name: str = "", timeout: float = 60) -> list[str]:
        """Get a lease with busybox's client: address, router, DNS server, domain, MTU ("-" for none)."""
        script, result = self.folder / "lease.sh", self.folder / "lease"
        script.write_text(LEASE_SCRIPT)
        script.chmod(0o755)
        result.unlink(missing_ok=True)
        argv = ["busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "5", "-T", "4", "-s", str(script)]
        argv += ["-O", "mtu"] + (["-F", name] if name else [])
        self._client = self.spawn(*argv, env={"RESULT": str(result)})
        await until(lambda: result.exists() and result.read_text().endswith("\n"), timeout)
        return result.read_text().split()

    def close(self) -> None:
        if self._client is not None:
            end(self._client)
        if self._wire is not None:
            loop = asyncio.get_event_loop_policy().get_event_loop()
            for fd in self._wire:
                loop.remove_reader(fd)
            os.close(self._wire[1])
        os.close(self.end)
        shutil.rmtree(self.folder)
        super().close()


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process of ours."""
    process.kill()
    process.wait(10)


async def until(test: Callable[[], T], timeout: float = 30, every: float = 0.02) -> T:
    """The first true value of `test`; AssertionError when there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        assert time.monotonic() < deadline, f"not so after {timeout} s"
        await asyncio.sleep(every)


@contextlib.contextmanager
def host() -> Iterator[Space]:
    """Be on a host of one's own: this thread is in a new namespace; what is left running in it is ended after."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    space = Space()
    try:
        with space.inside():
            run("sysctl", "-qw", "net.ipv4.ip_forward=0", check=False)
            yield space
    finally:
        for pid in members(space):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        space.close()


def members(space: Space) -> list[int]:
    """The processes in a namespace, but for this one."""
    wanted = os.fstat(space.fd).st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.stat(entry / "ns/net").st_ino == wanted:
                    found.append(int(entry.name))
    return found


def bridges() -> list[str]:
    """The bridges of the current namespace."""
    return [line.split()[0] for line in run("ip", "-br", "link", "show", "type", "bridge").splitlines()]


def rules() -> str:
    """The packet filter of the current namespace."""
    return run("nft", "list", "ruleset")
