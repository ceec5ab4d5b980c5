"""A daemon that comes back finds everything again, mends what is half made, and leaves nothing that is nobody's."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.nethost import Space, bridges, members, rules, run, until

from splitvirt.api import constants as c
from splitvirt.api.errors import InternalError, ResourceBusy, SystemError_, VirtError
from splitvirt.api.network import Network
from splitvirt.host.paths import Layout
from virtnetworkd.driver import NetworkDriver
from virtnetworkd.network import VirtualNetwork

NET = """<network><name>n1</name><uuid>81ff0d90-c91e-6742-64da-4a736edb9a9b</uuid><forward mode='nat'/>
<bridge name='br-a' stp='off'/><ip address='192.168.150.1' prefix='24'><dhcp><range start='192.168.150.10'
 end='192.168.150.99'/></dhcp></ip><route address='10.77.0.0' prefix='16' gateway='192.168.150.2'/></network>"""
PORT = (
    "<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid><owner><name>o</name>"
    "<uuid>06578fc1-c686-46fa-bc2c-83893b466a6f</uuid></owner><mac address='52:54:00:aa:bb:01'/></networkport>"
)

DYING = """
import asyncio, os, signal, sys
from splitvirt.host import netlink, nft, process, sysctl
from splitvirt.host.paths import Layout
from splitvirt.store import files
from virtnetworkd import forwarding, status
from virtnetworkd.driver import NetworkDriver
root, left, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def step():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def after(owner, name):
    whole = getattr(owner, name)
    if asyncio.iscoroutinefunction(whole):
        async def stepped(*a, **k):
            made = await whole(*a, **k)
            step()
            return made
    else:
        def stepped(*a, **k):
            made = whole(*a, **k)
            step()
            return made
    setattr(owner, name, stepped)

async def main():
    driver = NetworkDriver(Layout.under(root, "system"))
    await driver.open()
    net = await driver.network_by_name("n1")
    for name in ("_ask",):
        after(netlink.Netlink, name)
    for owner, name in ((nft, "run"), (process.Launcher, "spawn"), (sysctl, "write"), (status, "write_volatile"),
                        (status, "remove_durable"), (forwarding, "write_volatile")):
        after(owner, name)
    await getattr(net, what)()
    print("done")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def opened(root: Path) -> NetworkDriver:
    driver = NetworkDriver(Layout.under(root, "system"))
    await driver.open()
    return driver


def servers(box: Space) -> list[int]:
    """The dnsmasq processes of this host."""
    found = []
    for pid in members(box):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "dnsmasq":
                found.append(pid)
    return found


async def check_whole(driver: NetworkDriver, net: VirtualNetwork, box: Space) -> None:
    """It runs: bridge, rules, server, forwarding; and nothing else does."""
    assert bridges() == ["br-a"]
    assert "n-br_2da-nat" in rules()
    assert net.server is not None
    assert servers(box) == [net.server.pid]
    assert run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"
    await net.destroy()
    check_empty(box)


def check_empty(box: Space) -> None:
    """Nothing of ours is there."""
    assert bridges() == []
    assert rules() == ""
    assert servers(box) == []
    assert run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"


async def test_a_restart_finds_networks_servers_and_ports(box: Space, root: Path) -> None:
    driver = await opened(root)
    await driver.define(NET)
    net = await driver.network_by_name("n1")
    await net.create()
    await net.create_port(PORT)
    before = net.server.pid if net.server else None
    other = await driver.create(NET.replace("n1", "passing").replace("9a9b", "9a9c").replace("br-a", "br-b")
                                .replace("192.168.150", "192.168.151").replace("10.77", "10.78"))  # fmt: skip
    await driver.close()
    assert before in servers(box)
    run("nft", "flush", "ruleset")
    driver = await opened(root)
    net = await driver.network_by_name("n1")
    assert net.active
    assert net.server is not None
    assert net.server.pid == before
    (port,) = await net.ports()
    assert "52:54:00:aa:bb:01" in await port.xml()
    assert "connections='1'" in await net.xml()
    assert "n-br_2da-nat" in rules()
    again = await driver.network_by_name("passing")
    assert (again.uuid, await again.is_persistent(), await again.is_active()) == (other.uuid, False, True)
    await again.destroy()
    assert [n.name for n in await driver.networks()] == ["n1"]
    await check_whole(driver, net, box)
    await driver.close()


async def test_a_network_recorded_in_a_form_of_later_is_let_be(box: Space, root: Path) -> None:
    first = await opened(root)
    net = await first.define(NET)
    await net.create()
    await first.close()
    (record,) = (root / "run").rglob("network/n1.xml")
    later = record.read_text().replace("<networkstatus", "<networkstatus format='99'")
    record.write_text(later)
    second = await opened(root)
    again = await second.network_by_name("n1")
    assert not again.active
    with pytest.raises(VirtError, match="may be active: its record is of a form"):
        await again.create()
    other = await second.create(NET.replace("n1", "n2").replace("4a736edb9a9b", "4a736edb9a9c").replace("br-a", "br-b")
                                .replace("192.168.150", "192.168.151").replace("10.77", "10.78"))  # fmt: skip
    second.reload()
    assert {'"br-a"', '"br-b"'} <= set(rules().split())
    await other.destroy()
    assert '"br-a"' in rules()
    assert '"br-b"' not in rules()
    assert run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"
    await second.close()
    assert record.read_text() == later
    assert bridges() == ["br-a"]
    record.write_text(later.replace(" format='99'", ""))
    third = await opened(root)
    await check_whole(third, await third.network_by_name("n1"), box)
    await third.close()


async def test_a_server_that_had_not_yet_told_its_pid_is_found(box: Space, root: Path) -> None:
    driver = await opened(root)
    await driver.define(NET)
    net = await driver.network_by_name("n1")
    await net.create()
    assert net.server is not None
    assert net.live is not None
    net.record(net.live, "starting")
    net.server.files.pid.unlink()
    await driver.close()
    assert servers(box) != []
    driver = await opened(root)
    check_empty(box)
    await driver.close()


@pytest.mark.long
@pytest.mark.parametrize("what", ["create", "destroy"])
async def test_killed_between_any_two_steps(box: Space, root: Path, what: str) -> None:
    driver = await opened(root)
    await driver.define(NET)
    await driver.close()
    for step in range(100):
        if what == "destroy":
            driver = await opened(root)
            await (await driver.network_by_name("n1")).create()
            await driver.close()
        child = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", DYING, str(root), str(step), what],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert child.returncode == -signal.SIGKILL, child.stderr
        driver = await opened(root)
        net = await driver.network_by_name("n1")
        if net.active:
            await check_whole(driver, net, box)
        else:
            check_empty(box)
            await net.create()  # nothing that was left is in the way
            await check_whole(driver, net, box)
        await driver.close()
        if "done" in child.stdout:
            break
    else:
        raise AssertionError("it never came to the end")
    assert step > 5


async def test_a_server_that_dies_is_started_again(driver: NetworkDriver, box: Space) -> None:
    told: list[tuple[object, ...]] = []
    driver.leases.events.subscribe(lambda event, subject, values: told.append(values))
    net = await driver.create(NET)
    assert net.server is not None
    first = net.server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: net.server is not None and net.server.pid not in (None, first))
    assert told == [("n1", 0.5)]
    assert servers(box) == [net.server.pid]


async def test_a_start_that_fails_leaves_nothing(driver: NetworkDriver, box: Space) -> None:
    with pytest.raises(InternalError, match=r"unexpected exit status \d+: \ndnsmasq: TFTP directory /no/such"):
        await driver.create(NET.replace("<dhcp>", "<tftp root='/no/such'/><dhcp>"))
    check_empty(box)
    assert await driver.networks() == []
    run("ip", "link", "add", "br-a", "type", "bridge")
    with pytest.raises(SystemError_, match="error creating bridge interface br-a: File exists"):
        await driver.create(NET)
    assert bridges() == ["br-a"]  # somebody else's: it stays
    assert rules() == ""
    assert servers(box) == []
    run("ip", "link", "delete", "br-a")


async def test_collisions_are_refused_by_the_owners_name(driver: NetworkDriver, box: Space) -> None:
    run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    run("ip", "addr", "add", "192.168.150.77/25", "dev", "lan0")
    run("ip", "link", "set", "lan0", "up")
    with pytest.raises(InternalError, match="Network is already in use by interface lan0"):
        await driver.create(NET)
    run("ip", "addr", "flush", "dev", "lan0")
    await driver.create(NET)
    other = NET.replace("n1", "n2").replace("9a9b", "9a9c").replace("br-a", "br-b").replace("10.77", "10.78")
    with pytest.raises(InternalError, match="in use by interface br-a of network 'n1'"):
        await driver.create(other)
    assert bridges() == ["br-a"]


async def test_two_that_race_for_a_bridge_or_a_block_have_one_loser(driver: NetworkDriver, box: Space) -> None:
    rivals = [
        NET.replace("n1", "r1").replace("9a9b", "9a91"),
        NET.replace("n1", "r2").replace("9a9b", "9a92").replace("192.168.150", "192.168.151").replace("10.77", "10.78"),
        NET.replace("n1", "r3").replace("9a9b", "9a93").replace("br-a", "br-c").replace("10.77", "10.79"),
    ]
    outcome = await asyncio.gather(*(driver.create(xml) for xml in rivals), return_exceptions=True)
    winners = [o for o in outcome if isinstance(o, Network)]
    losers = [str(o) for o in outcome if isinstance(o, VirtError)]
    assert len(winners) == 1
    assert len(losers) == 2
    assert any("br-a" in text for text in losers)
    assert bridges() == [await winners[0].bridge_name()]
    assert [net.name for net in await driver.networks()] == [winners[0].name]


async def test_a_second_daemon_is_told_who_has_the_first(driver: NetworkDriver, root: Path) -> None:
    with pytest.raises(ResourceBusy, match=f"{os.getpid()}"):
        await opened(root)


async def test_free_blocks_are_found(driver: NetworkDriver, box: Space) -> None:
    run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    run("ip", "addr", "add", "192.168.122.5/24", "dev", "lan0")
    run("ip", "link", "set", "lan0", "up")
    auto = "<network><name>{}</name><forward mode='nat'/><ip address='auto'><dhcp/></ip></network>"
    one, two = await driver.create(auto.format("one")), await driver.create(auto.format("two"))
    assert "<ip address='192.168.123.1' prefix='24'>" in await one.xml()
    assert "<range start='192.168.124.2' end='192.168.124.254'/>" in await two.xml()


async def test_events_and_states(driver: NetworkDriver, root: Path) -> None:
    told: list[tuple[str, int]] = []
    driver.events.subscribe(lambda event, subject, values: told.append((subject.name, values[0])))
    net = await driver.define(NET)
    await net.set_autostart(True)
    assert (root / "etc/libvirt/qemu/networks/autostart/n1.xml").is_symlink()
    await net.create()
    await net.undefine()
    assert not await net.is_persistent()
    with pytest.raises(VirtError, match="cannot set autostart for transient network"):
        await net.set_autostart(True)
    await net.destroy()
    with pytest.raises(VirtError) as gone:
        await driver.network_by_name("n1")
    assert gone.value.code == c.VIR_ERR_NO_NETWORK
    assert told == [("n1", c.VIR_NETWORK_EVENT_DEFINED), ("n1", c.VIR_NETWORK_EVENT_STARTED),
                    ("n1", c.VIR_NETWORK_EVENT_UNDEFINED), ("n1", c.VIR_NETWORK_EVENT_STOPPED)]  # fmt: skip


async def test_autostart_happens_once_a_boot(box: Space, root: Path) -> None:
    driver = await opened(root)
    net = await driver.define(NET)
    await net.set_autostart(True)
    await driver.close()
    driver = await opened(root)
    assert not (await driver.network_by_name("n1")).active  # the first daemon of this boot has been
    await driver.close()
    (root / "run/libvirt/network/autostarted").unlink()
    driver = await opened(root)
    net = await driver.network_by_name("n1")
    await check_whole(driver, net, box)
    await driver.close()


async def test_a_network_that_packaging_put_there_keeps_what_is_made_up(box: Space, root: Path) -> None:
    folder = root / "etc/libvirt/qemu/networks"
    folder.mkdir(parents=True)
    given = (Path(__file__).parents[3] / "packaging/default.xml").read_text()
    (folder / "default.xml").write_text(given)
    driver = await opened(root)
    first = await (await driver.network_by_name("default")).xml()
    assert "<uuid>" in first
    await driver.close()
    driver = await opened(root)
    net = await driver.network_by_name("default")
    assert await net.xml() == first
    await net.create()
    assert bridges() == ["virbr0"]
    await net.destroy()
    await driver.close()
