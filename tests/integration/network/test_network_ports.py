"""Ports over D-Bus: taken by another process with an open tap, given back when it dies, counted, listed, refused."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bus import private_bus
from support.netdaemon import Daemon, daemon
from support.nethost import Guest, Space, bridges, rules, run, until

NET = """<network><name>n1</name><forward mode='nat'/><bridge name='br-p' stp='off'/>
<ip address='192.168.150.1' prefix='24'><dhcp><range start='192.168.150.10' end='192.168.150.99'/></dhcp></ip>
</network>"""
TAKER = """
import asyncio, os, signal, sys
from dbus_fast import Message
from dbus_fast.aio import MessageBus

async def main():
    bus = await MessageBus(bus_address=sys.argv[1], negotiate_unix_fd=True).connect()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, bus.disconnect)
    for _ in range(int(sys.argv[2])):
        reply = await bus.call(Message(destination="org.splitvirt.virtnetworkd", path="/org/libvirt/Network",
            interface="org.splitvirt.NetworkPort1", member="Take", signature="ssuu", body=["n1", "", 1, 1]))
        if reply.error_name:
            print("refused", reply.body[0], flush=True)
        else:
            uuid, xml, device, fds = reply.body[0]
            assert os.fstat(reply.unix_fds[fds[0]]).st_rdev == os.stat("/dev/net/tun").st_rdev
            print("lent", uuid, device, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture(name="bus")
def _bus(box: Space) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bus-") as folder:
        Path(folder).chmod(0o755)  # other users are to reach it
        with private_bus(Path(folder)) as address:
            yield address


@pytest.fixture(name="served")
def _served(box: Space, root: Path, bus: str) -> Iterator[Daemon]:
    with daemon(root, "--bus", bus) as made:
        yield made


async def call(bus: str, member: str, signature: str = "", *body: Any, interface: str = "") -> Any:
    """A call of ours over the bus; the error's text as RuntimeError."""
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

    connection = await MessageBus(bus_address=bus, negotiate_unix_fd=True).connect()
    try:
        reply = await connection.call(
            Message(
                destination="org.splitvirt.virtnetworkd",
                path="/org/libvirt/Network",
                member=member,
                interface=interface or "org.splitvirt.NetworkPort1",
                signature=signature,
                body=list(body),
            )
        )
        assert reply is not None
        if reply.error_name:
            raise RuntimeError(reply.body[0])
        for fd in reply.unix_fds:
            os.close(fd)
        return reply.body[0] if reply.body else None
    finally:
        connection.disconnect()


async def started(bus: str) -> None:
    await call(bus, "NetworkCreateXML", "s", NET, interface="org.libvirt.Connect")


def taker(bus: str, count: int = 1, uid: int | None = None) -> "subprocess.Popen[str]":
    """Another process that takes ports and then waits."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-c", TAKER, bus, str(count)], stdout=subprocess.PIPE, text=True, env=env, user=uid
    )


def heir_process() -> "subprocess.Popen[bytes]":
    """A process that does nothing but live."""
    return subprocess.Popen(["sleep", "60"])


def said(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def taps() -> list[str]:
    return [line.split()[1].rstrip(":") for line in run("ip", "-o", "link", "show", "master", "br-p").splitlines()]


async def nobody_holds(bus: str) -> None:
    """Soon after the taker's end its port and tap are gone: in some milliseconds, where the machine is not busy."""
    deadline = time.monotonic() + 30
    while await call(bus, "List") or taps():
        assert time.monotonic() < deadline


async def test_a_port_ends_with_its_taker(served: Daemon, bus: str) -> None:
    await started(bus)
    process = taker(bus)
    try:
        word, uuid, device = await asyncio.to_thread(said, process)
        assert word == "lent"
        assert taps() == [device]
        ((network, listed, shown, mac, user, uid, pid, command, name, since),) = await call(bus, "List")
        assert (network, listed, shown, user, uid, pid) == ("n1", uuid, device, "root", 0, process.pid)
        assert mac.startswith("52:54:00:")
        assert command.startswith("python")
        assert name.startswith(":1.")
        assert since > 1e9
        assert "splitvirt" in rules()
        process.kill()
        await nobody_holds(bus)
        assert "table bridge" not in rules()
        assert bridges() == ["br-p"]
    finally:
        process.kill()
        process.communicate()


async def test_ports_outlive_the_daemon_and_not_their_taker(served: Daemon, bus: str) -> None:
    await started(bus)
    process = taker(bus)
    try:
        _, uuid, device = await asyncio.to_thread(said, process)
        served.stop(signal.SIGKILL)
        assert taps() == [device]
        served.start()
        assert [row[1] for row in await call(bus, "List")] == [uuid]
        process.kill()
        await nobody_holds(bus)
        end_text(process)
        process = taker(bus)
        await asyncio.to_thread(said, process)
        served.stop(signal.SIGKILL)
        process.kill()
        process.wait()
        served.start()
        assert await call(bus, "List") == []
        assert taps() == []
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_port_ends_with_its_connection_also_after_a_restart(served: Daemon, bus: str, meanwhile: bool) -> None:
    await started(bus)
    leaving, staying = taker(bus), taker(bus)
    try:
        _, gone, _ = await asyncio.to_thread(said, leaving)
        _, uuid, device = await asyncio.to_thread(said, staying)
        served.stop(signal.SIGKILL)
        if meanwhile:
            leaving.send_signal(signal.SIGUSR1)
        served.start()
        if not meanwhile:
            assert {row[1] for row in await call(bus, "List")} == {uuid, gone}
            leaving.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 60
        while [row[1] for row in await call(bus, "List")] != [uuid]:
            assert time.monotonic() < deadline
        assert leaving.poll() is None, "it was to leave the bus and live"
        assert taps() == [device]
    finally:
        for process in (leaving, staying):
            process.kill()
            process.communicate()


async def test_what_is_on_loan_in_a_form_of_later_is_put_aside(served: Daemon, bus: str, root: Path) -> None:
    await started(bus)
    process = taker(bus)
    try:
        await asyncio.to_thread(said, process)
        served.stop(signal.SIGKILL)
        (kept,) = root.rglob("lent.json")
        later = kept.read_text().replace('"format": 1', '"format": 99')
        kept.write_text(later)
        served.start()
        assert await call(bus, "List") == []
        assert len(taps()) == 1, "it was cut off"
        assert kept.with_suffix(".unread").read_text() == later
    finally:
        process.kill()
        process.communicate()


async def test_a_port_is_released_by_its_holder(served: Daemon, bus: str) -> None:
    await started(bus)
    process = taker(bus, 2)
    try:
        _, first, _ = await asyncio.to_thread(said, process)
        _, second, device = await asyncio.to_thread(said, process)
        await call(bus, "Release", "s", first)
        assert [row[1] for row in await call(bus, "List")] == [second]
        assert taps() == [device]
        with pytest.raises(RuntimeError, match="no port with UUID"):
            await call(bus, "Release", "s", first)
        with pytest.raises(RuntimeError, match="no network with matching name 'other'"):
            await call(bus, "Take", "ssuu", "other", "", 1, 0)
        with pytest.raises(RuntimeError, match="1 to 16 queues"):
            await call(bus, "Take", "ssuu", "n1", "", 99, 0)
    finally:
        process.kill()
        process.communicate()


async def test_a_guest_on_a_lent_tap_has_the_network(served: Daemon, bus: str) -> None:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

    await started(bus)
    connection = await MessageBus(bus_address=bus, negotiate_unix_fd=True).connect()
    reply = await connection.call(
        Message(
            destination="org.splitvirt.virtnetworkd",
            path="/org/libvirt/Network",
            member="Take",
            interface="org.splitvirt.NetworkPort1",
            signature="ssuu",
            body=["n1", "", 1, 1],
        )
    )
    assert reply is not None
    _, xml, _, fds = reply.body[0]
    guest = Guest(xml.split("<mac address='")[1][:17])
    try:
        guest.plug(reply.unix_fds[fds[0]])
        _, router, *_ = await guest.dhcp("bus-guest")
        assert router == "192.168.150.1"
        assert await guest.ping(router)
    finally:
        guest.close()
        connection.disconnect()
    await until(lambda: not taps())


async def test_a_stranger_is_refused(served: Daemon, bus: str) -> None:
    await started(bus)
    process = taker(bus, uid=65534)
    try:
        words = await asyncio.to_thread(said, process)
        assert words[0] != "lent"
        assert taps() == []
    finally:
        end_text(process)


def end_text(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=60)


async def test_the_death_of_a_server_is_told(served: Daemon, bus: str) -> None:
    from dbus_fast import Message, MessageType
    from dbus_fast.aio import MessageBus

    await started(bus)
    told: list[list[Any]] = []
    connection = await MessageBus(bus_address=bus).connect()
    connection.add_message_handler(
        lambda m: told.append(m.body) if m.message_type == MessageType.SIGNAL and m.member == "ServerEnded" else None
    )
    await connection.call(
        Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="AddMatch",
            signature="s",
            body=["type='signal',interface='org.splitvirt.NetworkPort1'"],
        )
    )
    os.kill(int((served.root / "run/libvirt/network/n1.pid").read_text()), signal.SIGKILL)
    await until(lambda: told)
    assert told == [["n1", 0.5]]
    connection.disconnect()


async def test_a_user_has_a_quota(box: Space, root: Path, bus: str) -> None:
    config = root / "etc/libvirt/virtnetworkd.conf"
    config.parent.mkdir(parents=True)
    config.write_text('unix_sock_rw_perms = "0777"\n')  # the admin lets everybody manage networks
    with daemon(root, "--bus", bus):
        await started(bus)
        process = taker(bus, 18, uid=65534)
        try:
            lines = [await asyncio.to_thread(said, process) for _ in range(18)]
            assert [words[0] for words in lines] == ["lent"] * 16 + ["refused"] * 2
            assert "holds 16 network ports" in " ".join(lines[-1])
            assert len(taps()) == 16
            assert {row[5] for row in await call(bus, "List")} == {65534}
            process.kill()
            await nobody_holds(bus)
        finally:
            end_text(process)


async def test_a_port_is_handed_over_to_another_process(served: Daemon, bus: str) -> None:
    await started(bus)
    process, heir = taker(bus), heir_process()
    try:
        _, uuid, _ = await asyncio.to_thread(said, process)
        await call(bus, "HandOver", "sx", uuid, heir.pid)
        end_text(process)
        ((_, listed, *_, pid, command, _, _),) = await call(bus, "List")
        assert (listed, pid, command) == (uuid, heir.pid, "sleep")
        served.stop(signal.SIGKILL)
        served.start()
        assert [row[6] for row in await call(bus, "List")] == [heir.pid]
        with pytest.raises(RuntimeError, match="has ended"):
            await call(bus, "HandOver", "sx", uuid, process.pid)
        heir.kill()
        await nobody_holds(bus)
    finally:
        for one in (process, heir):
            one.kill()
            one.wait(10)
