"""Hostile clients: whatever they send, the server answers a good client next, leaks nothing and meets no fault.

The mutations start from frames that real clients sent (`tests/data/rpc_frames.txt`, made by `support.record`). The seed
and the number of mutations are fixed; SPLITVIRT_FUZZ_SEED and SPLITVIRT_FUZZ_SECONDS change them.
"""

import asyncio
import logging
import os
import random
import socket
import struct
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hypervisor import MemoryHypervisor
from support.rpc_house import until
from support.sibling import Volumes, VolumesDriver
from support.wire import RawClient, xdr_string

from splitvirt.access.rules import Access
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.program import ADMIN, KEEPALIVE, LXC, QEMU, REMOTE
from splitvirt.rpc.forward import Route, Routes
from splitvirt.rpc.link import Link
from splitvirt.rpc.message import CALL, CONTINUE, ERROR, OK, STREAM, STREAM_HOLE, frame, frame_with_fds
from splitvirt.rpc.server import Server

RECORDED = Path(__file__).parent.parent / "data" / "rpc_frames.txt"
MUTATIONS = 12000
SECONDS = float(os.environ.get("SPLITVIRT_FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("SPLITVIRT_FUZZ_SEED", "20260101"))
UUID = uuid.UUID(int=0x1234)
INTERESTING = (0, 1, 2, 3, 4, 27, 28, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 32 << 20, (32 << 20) + 1)


def conversations() -> list[list[bytes]]:
    """The frames of each recorded connection, and what virsh says only on a terminal or to other drivers."""
    said = [[bytes.fromhex(word) for word in line.split()] for line in RECORDED.read_text().splitlines()]
    return [*said, *([*said[0][:3], *more] for more in (console(), volumes(), identity()))]


def console() -> list[bytes]:
    """A console: opened, written to, ended; a second one aborted."""
    domain = xdr_string("one") + UUID.bytes + struct.pack(">i", -1)
    talk: list[bytes] = []
    for serial, end in ((20, OK), (21, ERROR)):
        talk.append(frame(REMOTE, 201, CALL, serial, 0, domain + bytes(8)))
        talk += [frame(REMOTE, 201, STREAM, serial, CONTINUE, b"some words")] * 3
        talk.append(frame(REMOTE, 201, STREAM_HOLE, serial, CONTINUE, struct.pack(">qI", 4096, 0)))
        talk.append(frame(REMOTE, 201, STREAM, serial, end))
    return talk


def volumes() -> list[bytes]:
    """Calls, a stream up and one down that are passed on to a sibling."""
    volume = xdr_string("pool") + xdr_string("vol") + xdr_string("/key") + bytes(20)
    return [
        frame(REMOTE, 84, CALL, 30, 0, xdr_string("pool")),
        frame(REMOTE, 368, CALL, 31, 0, bytes(8)),
        frame(REMOTE, 208, CALL, 32, 0, volume),
        frame(REMOTE, 208, STREAM, 32, CONTINUE, bytes(1000)),
        frame(REMOTE, 208, STREAM, 32, OK),
        frame(REMOTE, 209, CALL, 33, 0, volume),
        frame(REMOTE, 209, STREAM, 33, ERROR),
    ]


def identity() -> list[bytes]:
    """Speaking for another, and every way to ask for events."""
    who = struct.pack(">I", 1) + xdr_string("unix-user-id") + struct.pack(">IQI", 4, 1000, 0)
    asked = [frame(REMOTE, 316, CALL, 50 + number, 0, struct.pack(">iI", number, 0)) for number in range(5)]
    older = [frame(REMOTE, number, CALL, number) for number in (105, 106, 360, 361)]
    given = frame_with_fds(QEMU, 7, CALL, 70, xdr_string("one") + UUID.bytes + bytes(4) + xdr_string("x") + bytes(4), 1)
    return [frame(REMOTE, 419, CALL, 40, 0, who), *asked, *older, given + b"\0"]


class Target:
    """The server under attack, and what must hold after every attack."""

    def __init__(
        self, server: Server, sibling: Server, driver: MemoryHypervisor, path: Path, log: pytest.LogCaptureFixture
    ) -> None:
        self.server, self.sibling, self.driver, self.path, self.log = server, sibling, driver, path, log
        self.fds = len(os.listdir("/proc/self/fd"))
        self.attacks = 0

    async def attack(self, data: bytes, rng: random.Random | None = None) -> None:
        """Say it all, hear some of what comes back, and go."""
        self.attacks += 1
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, str(self.path))
            try:
                while data:
                    cut = rng.choice((len(data), rng.randrange(1, len(data) + 1))) if rng else len(data)
                    if rng and rng.random() < 0.1:
                        socket.send_fds(sock, [data[:cut]], [0] * rng.randrange(1, 40))
                    else:
                        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, data[:cut]), 0.5)
                    data = data[cut:]
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
                sock.recv(65536)
            except (OSError, TimeoutError):
                pass

    async def check(self) -> None:
        """A good client is served, and nothing is left of the bad ones."""
        link = await Link.connect(self.path)
        await asyncio.wait_for(link.handshake("qemu:///system"), 60)
        reply = await asyncio.wait_for(link.request(REMOTE, 273, struct.pack(">II", 1, 3)), 60)
        assert struct.unpack(">I", reply.payload[:4])[0] >= 1
        await link.close()
        await until(lambda: not self.server.peers)
        await until(lambda: not self.server.running and not self.sibling.peers and not self.sibling.running)
        await until(lambda: not any(domain.consoles for domain in self.driver.all))
        assert not self.driver.events.subscriptions
        assert len(os.listdir("/proc/self/fd")) <= self.fds
        faults = [record.getMessage() for record in self.log.records if record.levelno >= logging.ERROR]
        assert not faults, faults


@pytest.fixture
async def target(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Target]:
    driver = MemoryHypervisor()
    await driver.define(f"<domain type='qemu'>\n  <name>one</name><uuid>{UUID}</uuid>\n</domain>\n")
    sibling = Server({Volumes: VolumesDriver()}, access=Access("STORAGE"))
    await sibling.listen(tmp_path / "sibling")
    routes = Routes({"storage": Route(str(tmp_path / "sibling"), "storage:///system")})
    server = Server({Hypervisor: driver}, access=Access("QEMU"), routes=routes)
    await server.listen(tmp_path / "sock")
    driver.let_go.set()
    caplog.set_level(logging.ERROR)
    yield Target(server, sibling, driver, tmp_path / "sock", caplog)
    await server.close(drain=1)
    await sibling.close(drain=1)


def mutate(frames: list[bytes], rng: random.Random) -> bytes:
    """One conversation, spoilt in one to four ways."""
    frames = list(frames)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(frames))
        spoilt = bytearray(frames[at])
        way = rng.randrange(9)
        if way == 0 and spoilt:  # a bit
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        elif way == 1:  # a header word: length, program, version, procedure, type, serial, status
            spoilt[(word := rng.randrange(7) * 4) : word + 4] = struct.pack(">I", rng.choice(INTERESTING))
        elif way == 2 and len(spoilt) >= 32:  # a payload word: counts, lengths, flags
            word = 28 + rng.randrange((len(spoilt) - 28) // 4) * 4
            spoilt[word : word + 4] = struct.pack(">I", rng.choice(INTERESTING))
        elif way == 3 and len(spoilt) > 4:  # cut short, the length as it was or mended
            spoilt = spoilt[: rng.randrange(4, len(spoilt) + 1)]
            if rng.random() < 0.7 and len(spoilt) >= 28:
                spoilt[:4] = struct.pack(">I", len(spoilt))
        elif way == 4:  # more than it should be
            spoilt += rng.randbytes(rng.randrange(1, 64))
            spoilt[:4] = struct.pack(">I", len(spoilt))
        elif way == 5:  # said twice, or many times
            frames[at:at] = [bytes(spoilt)] * rng.randrange(1, 20)
        elif way == 6:  # another procedure or type with this payload
            spoilt[12:16] = struct.pack(">I", rng.randrange(0, 460))
            spoilt[16:20] = struct.pack(">I", rng.choice((0, 0, 0, 1, 2, 3, 4, 5, 6, 7)))
        elif way == 7:  # another order
            rng.shuffle(frames)
            continue
        else:  # noise
            frames.insert(at, rng.randbytes(rng.randrange(1, 200)))
            continue
        if at < len(frames):
            frames[at] = bytes(spoilt)
    return b"".join(frames)


async def batter(target: Target, seed: int, attacks: int, seconds: float) -> None:
    """Many mutations, two clients at a time, checking all the while."""
    rng, talks, end = random.Random(seed), conversations(), time.monotonic() + seconds
    while target.attacks < attacks and time.monotonic() < end:
        before = target.attacks
        one, two = (mutate(rng.choice(talks), rng) for _ in range(2))
        await asyncio.gather(target.attack(one, rng), target.attack(two, rng))
        if before % 50 == 0:
            await target.check()
    await target.check()


async def test_mutations(target: Target) -> None:
    await batter(target, SEED, MUTATIONS, SECONDS)
    assert target.attacks >= 300


@pytest.mark.long
async def test_mutations_for_long(target: Target) -> None:
    await batter(target, SEED + 1, 1 << 30, 60)


async def test_every_procedure_with_payloads_of_others(target: Target) -> None:
    """Each procedure of each program is called with nothing, zeros and ones; all answer, none breaks."""
    for program, most in ((REMOTE, 460), (QEMU, 10), (LXC, 4)):
        for payload in (b"", bytes(64), b"\xff" * 64, struct.pack(">I", 1) * 40):
            client = await RawClient.connect(target.path)
            for procedure in range(most):
                if (program, procedure) in ((REMOTE, 2), (ADMIN, 2)):
                    continue
                reply = await client.ask(procedure, payload, program=program, serial=procedure)
                while reply.type not in (1, 5):
                    reply = await client.frame()
                assert reply.serial == procedure
            client.close()
    await target.check()


WORD = st.sampled_from(INTERESTING) | st.integers(0, 0xFFFFFFFF)
FRAME = st.builds(
    lambda program, procedure, kind, serial, status, payload, version: frame(
        program, procedure, kind, serial, status, payload, version
    ),
    st.sampled_from((REMOTE, QEMU, LXC, ADMIN, KEEPALIVE)) | WORD,
    st.integers(-5, 460),
    st.integers(-1, 8),
    WORD,
    st.integers(-1, 4),
    st.binary(max_size=100),
    st.sampled_from((1, 1, 1, 0, 2)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAME | st.binary(max_size=60), min_size=1, max_size=10), st.booleans())
async def test_any_frames(target: Target, frames: list[bytes], opened: bool) -> None:
    head = conversations()[0][2] if opened else b""
    await target.attack(head + b"".join(frames))
    if target.attacks % 10 == 0:
        await target.check()


async def test_a_thousand_connections_that_say_nothing(target: Target) -> None:
    for _ in range(10):
        idle = [await RawClient.connect(target.path, open=False) for _ in range(100)]
        for client in idle[::3]:
            await client.send(b"\0\0\0\x30\x20\0")
        for client in idle:
            client.close()
    await target.check()


async def test_promises_of_large_frames_cost_nothing(target: Target) -> None:
    """The length word alone makes the server reserve nothing."""
    greedy = [await RawClient.connect(target.path, open=False) for _ in range(200)]
    before = _resident()
    for client in greedy:
        await client.send(struct.pack(">I", 32 << 20) + frame(REMOTE, 1, 0, 1)[4:])
    await asyncio.sleep(0.05)
    assert _resident() - before < 8 << 20
    for client in greedy:
        client.close()
    await target.check()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
