"""Guests on networks: DHCP by a real client over a lent tap, names, NAT, isolation, IPv6, the guard, bandwidth."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from support.nethost import Guest, Space, run, until

from splitvirt.api.errors import SystemError_
from virtnetworkd.driver import NetworkDriver
from virtnetworkd.network import VirtualNetwork

NET = """<network><name>{name}</name>{forward}<bridge name='{bridge}' stp='off'/><domain name='lan.test'/>{more}
<ip address='{net}.1' prefix='24'><dhcp><range start='{net}.10' end='{net}.99'/></dhcp></ip></network>"""
NAT = "<forward mode='nat'/>"


async def network(
    driver: NetworkDriver, name: str = "n1", net: str = "192.168.150", forward: str = NAT, more: str = ""
) -> VirtualNetwork:
    return await driver.create(NET.format(name=name, bridge=f"br-{name}", net=net, forward=forward, more=more))


@pytest.fixture(name="guests")
def _guests(box: Space) -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


async def guest(driver: NetworkDriver, guests: contextlib.ExitStack, net: str = "n1", xml: str = "") -> Guest:
    """A guest on a lent port."""
    lent = await driver.leases.take(net, xml, 1, 1)
    mac = lent.xml.split("<mac address='")[1][:17]
    made = Guest(mac)
    guests.callback(made.close)
    made.plug(lent.fds[0])
    return made


def outside(guests: contextlib.ExitStack, address: str = "203.0.113.2") -> Space:
    """A host beyond ours, with a cable to us and a route back only to ours."""
    far = Space()
    guests.callback(far.close)
    run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    _give(far)
    run("ip", "addr", "add", "203.0.113.1/24", "dev", "up0")
    run("ip", "link", "set", "up0", "up")
    far.run("ip", "addr", "add", f"{address}/24", "dev", "up1")
    far.run("ip", "link", "set", "up1", "up")
    return far


def _give(far: Space) -> None:
    """Move the far end of the cable, through a process that lives over there."""
    keeper = far.spawn("sleep", "20")
    try:
        run("ip", "link", "set", "up1", "netns", str(keeper.pid))
    finally:
        keeper.kill()
        keeper.wait()


async def test_a_guest_gets_a_lease_a_name_and_the_way_out(driver: NetworkDriver, guests: contextlib.ExitStack) -> None:
    net = await network(driver)
    far = outside(guests)
    one, two = await guest(driver, guests), await guest(driver, guests)
    (address, router, server, domain, _), (other, *_) = await asyncio.gather(one.dhcp("alpha"), two.dhcp("beta"))
    assert (router, server, domain) == ("192.168.150.1", "192.168.150.1", "lan.test")
    assert await two.resolve(server, "alpha.lan.test") == [address]
    assert await one.resolve(server, "beta") == [other]
    assert await one.ping(other)
    assert await one.ping("203.0.113.2")  # which has no way back but to our address
    leases = {lease.mac: lease for lease in await net.leases()}
    assert leases[one.mac].address == address
    assert leases[one.mac].hostname == "alpha"
    assert leases[one.mac].prefix == 24
    assert leases[one.mac].expires > time.time()
    assert [lease.mac for lease in await net.leases(one.mac.upper())] == [one.mac]
    assert far.fd >= 0


@pytest.mark.long
async def test_an_isolated_network_has_no_way_out(driver: NetworkDriver, guests: contextlib.ExitStack) -> None:
    await network(driver, forward="")
    await network(driver, "n2", "192.168.151")
    outside(guests)
    one, two = await guest(driver, guests), await guest(driver, guests)
    (address, router, *_), (other, *_) = await asyncio.gather(one.dhcp(), two.dhcp())
    assert router == "-"
    assert await one.ping(other)
    one.run("ip", "route", "replace", "default", "via", "192.168.150.1")
    assert not await one.ping("203.0.113.2", 2)
    stranger = await guest(driver, guests, "n2")
    await stranger.dhcp()
    assert await stranger.ping("203.0.113.2")
    assert not await stranger.ping(address, 2)  # one network is not a way into another


@pytest.mark.long
async def test_isolated_ports_reach_the_host_and_not_each_other(
    driver: NetworkDriver, guests: contextlib.ExitStack
) -> None:
    await network(driver, more="<port isolated='yes'/>")
    one, two = await guest(driver, guests), await guest(driver, guests)
    _, (other, *_) = await asyncio.gather(one.dhcp(), two.dhcp())
    assert await one.ping("192.168.150.1")
    assert not await one.ping(other, 2)


async def test_ipv6_router_advertisements_give_an_address(driver: NetworkDriver, guests: contextlib.ExitStack) -> None:
    await driver.create(
        "<network><name>n1</name><bridge name='br-six' stp='off'/>"
        "<ip family='ipv6' address='fd00:77::1' prefix='64'/></network>"
    )
    one = await guest(driver, guests)
    await until(lambda: "fd00:77:" in one.run("ip", "-6", "addr", "show", "dev", "eth0"), 60, 0.2)
    await until(lambda: "tentative" not in one.run("ip", "-6", "addr", "show", "dev", "eth0"), 60, 0.2)
    assert await one.ping("fd00:77::1")


async def test_dhcp_tells_the_mtu_and_keeps_addresses(driver: NetworkDriver, guests: contextlib.ExitStack) -> None:
    net = await network(driver, more="<mtu size='1400'/>")
    host = "<host mac='52:54:00:aa:bb:01' name='fixed' ip='192.168.150.77'/>"
    await net.update(3, 4, -1, host)
    port = (
        "<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid><owner><name>o</name>"
        "<uuid>06578fc1-c686-46fa-bc2c-83893b466a6f</uuid></owner><mac address='52:54:00:aa:bb:01'/></networkport>"
    )
    one = await guest(driver, guests, xml=port)
    address, *_, mtu = await one.dhcp()
    assert (address, mtu) == ("192.168.150.77", "1400")
    assert await one.resolve("192.168.150.1", "fixed") == ["192.168.150.77"]
    await net.update(3, 10, -1, "<host ip='192.168.150.88'><hostname>printer</hostname></host>")
    await until_resolved(one, "printer", ["192.168.150.88"])
    await net.update(3, 11, -1, "<txt name='note' value='hello'/>")  # restarts dnsmasq, which keeps its leases
    assert [lease.address for lease in await net.leases()] == ["192.168.150.77"]
    await until_resolved(one, "printer", ["192.168.150.88"])


async def until_resolved(guest: Guest, name: str, wanted: list[str]) -> None:
    """A server that was told of a change answers it soon."""
    for _ in range(30):
        with contextlib.suppress(TimeoutError, OSError):
            if await guest.resolve("192.168.150.1", name, 0.5) == wanted:
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{name} is not {wanted}")


@pytest.mark.long
async def test_a_lent_port_cannot_lie(driver: NetworkDriver, guests: contextlib.ExitStack) -> None:
    await network(driver)
    one, two = await guest(driver, guests), await guest(driver, guests)
    (mine, *_), (other, *_) = await asyncio.gather(one.dhcp(), two.dhcp())
    assert await one.ping("192.168.150.1")
    # an address that another has, one of no network, and the gateway's own
    for stolen in (other, "10.1.2.3", "192.168.150.1"):
        one.run("ip", "addr", "flush", "dev", "eth0")
        one.run("ip", "addr", "add", f"{stolen}/24", "dev", "eth0")
        one.run("ip", "route", "replace", "192.168.150.0/24", "dev", "eth0", check=False)
        target = "192.168.150.1" if stolen != "192.168.150.1" else other
        assert not await one.ping(target, 2), stolen
    one.run("ip", "addr", "flush", "dev", "eth0")
    one.run("ip", "addr", "add", f"{mine}/24", "dev", "eth0")
    assert await one.ping("192.168.150.1")
    # once it has a lease, a free address of the network is not its own either
    one.run("ip", "addr", "flush", "dev", "eth0")
    one.run("ip", "addr", "add", "192.168.150.200/24", "dev", "eth0")
    assert not await one.ping("192.168.150.1", 2)
    # and another MAC address says nothing at all
    one.run("ip", "link", "set", "eth0", "address", "52:54:00:00:00:99")
    one.run("ip", "addr", "replace", f"{mine}/24", "dev", "eth0")
    assert not await one.ping("192.168.150.1", 2)


async def rate(sender: Space, receiver: socket.socket, address: str, seconds: float) -> float:
    """How many KiB/s of payload and headers of one TCP connection arrive."""
    loop = asyncio.get_running_loop()
    receiver.setblocking(False)
    with sender.socket(socket.SOCK_STREAM) as out:
        out.setblocking(False)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        accepting = loop.create_task(loop.sock_accept(receiver))
        await loop.sock_connect(out, (address, 5001))
        conn, _ = await accepting
        with conn:
            conn.setblocking(False)

            async def pour() -> None:
                while True:
                    await loop.sock_sendall(out, bytes(1 << 14))

            pouring = loop.create_task(pour())
            await asyncio.sleep(1)
            while True:  # what the first burst let through does not count
                try:
                    conn.recv(1 << 20)
                except BlockingIOError:
                    break
            got, start = 0, time.monotonic()
            while time.monotonic() - start < seconds:
                got += len(await loop.sock_recv(conn, 1 << 16))
            took = time.monotonic() - start
            pouring.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await pouring
    return got / took / 1024


@pytest.mark.long
async def test_bandwidth_of_a_network_holds(driver: NetworkDriver, guests: contextlib.ExitStack, box: Space) -> None:
    more = "<bandwidth><inbound average='400' burst='32'/></bandwidth>"
    await network(driver, more=more)
    one = await guest(driver, guests)
    address, *_ = await one.dhcp()
    with one.socket(socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 5001))
        listener.listen()
        measured = await rate(box, listener, address, 4)
    assert measured == pytest.approx(400 * 1000 / 1024, rel=0.2)


@pytest.mark.long
async def test_bandwidth_of_a_port_holds(driver: NetworkDriver, guests: contextlib.ExitStack, box: Space) -> None:
    await network(driver)
    port = (
        "<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid><owner><name>o</name>"
        "<uuid>06578fc1-c686-46fa-bc2c-83893b466a6f</uuid></owner><mac address='52:54:00:aa:bb:01'/>"
        "<bandwidth><inbound average='300' burst='32'/><outbound average='500' burst='64'/></bandwidth></networkport>"
    )
    one = await guest(driver, guests, xml=port)
    address, *_ = await one.dhcp()
    with one.socket(socket.SOCK_STREAM) as listener:
        listener.bind((address, 5001))
        listener.listen()
        down = await rate(box, listener, address, 4)
    assert down == pytest.approx(300 * 1000 / 1024, rel=0.2)
    # What the guest sends is policed: counted as datagrams, without TCP's reaction, once the first burst is through.
    with box.socket() as sink, one.socket() as source:
        sink.bind(("192.168.150.1", 5002))
        sink.setblocking(False)
        got, start = 0, time.monotonic() + 2
        while time.monotonic() - start < 3:
            for _ in range(4):  # more than is let through, also where a busy machine sleeps longer
                source.sendto(bytes(1400), ("192.168.150.1", 5002))
            await asyncio.sleep(0.002)
            with contextlib.suppress(BlockingIOError):
                while True:
                    got += (len(sink.recv(2048)) + 42) * (time.monotonic() > start)
        up = got / (time.monotonic() - start) / 1024
    assert up == pytest.approx(500, rel=0.2)


async def test_a_port_on_a_host_interface(driver: NetworkDriver, guests: contextlib.ExitStack) -> None:
    outside(guests)
    await driver.create("<network><name>direct</name><forward mode='bridge'><interface dev='up0'/></forward></network>")
    try:
        one = await guest(driver, guests, "direct")
    except SystemError_ as error:
        if "cannot create macvtap" in str(error) or "cannot open tap device" in str(error):
            pytest.skip(f"this kernel or /dev has no macvtap: {error}")
        raise
    one.run("ip", "addr", "add", "203.0.113.9/24", "dev", "eth0")
    assert await one.ping("203.0.113.2")
    (holding,) = await driver.leases.holdings()
    await driver.leases.release(holding.uuid)
    assert "macvtap" not in run("ip", "-br", "link")
