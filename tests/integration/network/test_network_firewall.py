"""Rules of ours beside others': made again after a flush, removed exactly, and other firewalls explained."""

import logging
import os
import signal
from pathlib import Path

import pytest
from support.netdaemon import daemon
from support.nethost import Space, rules, run, until

from virtnetworkd import firewall
from virtnetworkd.driver import NetworkDriver

NET = """<network><name>{0}</name><forward mode='{1}'/><bridge name='br-{0}' stp='off'/>
<ip address='192.168.{2}.1' prefix='24'/><ip family='ipv6' address='fd00:{2}::1' prefix='64'/></network>"""
OTHERS = """table inet mine { chain input { type filter hook input priority 0; tcp dport 22 accept; }; }
table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; chain DOCKER-USER { }; }
"""


async def test_only_our_own_rules_come_and_go(driver: NetworkDriver) -> None:
    _load(OTHERS)
    before = rules()
    one = await driver.create(NET.format("one", "nat", 150))
    two = await driver.create(NET.format("two", "route", 151))
    assert "n-br_2done-nat" in rules()
    await one.destroy()
    left = rules()
    assert "br-one" not in left
    assert "n-br_2done" not in left
    assert 'iifname "br-two" accept' in left
    await two.destroy()
    assert rules() == before


def _load(text: str) -> None:
    from splitvirt.host import nft

    nft.run(text)


async def test_an_open_network_has_no_rules(driver: NetworkDriver) -> None:
    net = await driver.create(NET.format("free", "open", 150))
    assert rules() == ""
    await net.destroy()


async def test_nat_for_ipv6_only_where_asked(driver: NetworkDriver) -> None:
    net = await driver.create(NET.format("one", "nat", 150))
    assert "ip6 saddr fd00:150::/64 ip6 daddr" not in rules()
    await net.destroy()
    text = NET.format("one", "nat", 150).replace(
        "<forward mode='nat'/>", "<forward mode='nat'><nat ipv6='yes'/></forward>"
    )
    await driver.create(text)
    assert "ip6 saddr fd00:150::/64 ip6 daddr != fd00:150::/64 masquerade" in rules()


async def test_a_flush_by_others_is_mended(driver: NetworkDriver) -> None:
    await driver.create(NET.format("one", "nat", 150))
    whole = rules()
    run("nft", "flush", "ruleset")
    driver.reload()
    assert rules() == whole
    run("nft", "flush", "ruleset")
    await driver.create(NET.format("two", "nat", 151))  # whose start finds that the table is gone
    assert "n-br_2done-nat" in rules()
    assert "n-br_2dtwo-nat" in rules()


def test_sighup_makes_the_rules_again(box: Space, root: Path) -> None:
    import asyncio

    with daemon(root) as served:
        (root / "net.xml").write_text(NET.format("one", "nat", 150))
        run("virsh", "-q", "-c", served.uri, "net-create", str(root / "net.xml"))
        run("nft", "flush", "ruleset")
        assert served.process is not None
        os.kill(served.process.pid, signal.SIGHUP)
        asyncio.run(until(lambda: "n-br_2done-nat" in rules()))
        run("virsh", "-q", "-c", served.uri, "net-destroy", "one")


async def test_a_firewall_in_the_way_is_explained(driver: NetworkDriver, caplog: pytest.LogCaptureFixture) -> None:
    _load(OTHERS)
    (text,) = firewall.obstacles()
    assert text.startswith("docker drops forwarded packets by default (table ip filter, chain FORWARD)")
    assert "iptables -I DOCKER-USER -i BRIDGE -j ACCEPT" in text
    with caplog.at_level(logging.WARNING):
        await driver.create(NET.format("one", "nat", 150))
    assert "iptables -I DOCKER-USER -i br-one -j ACCEPT" in caplog.text
    _load("flush ruleset")
    _load("table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy drop; }; }")
    assert firewall.obstacles()[0].startswith("firewalld drops")
    assert "firewall-cmd" in firewall.obstacles()[0]
    _load("flush ruleset")
    _load(OTHERS.replace("DOCKER-USER", "ufw-user-forward"))
    assert firewall.obstacles()[0].startswith("ufw drops")


async def test_forwarding_is_turned_back_to_what_it_was(driver: NetworkDriver) -> None:
    run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    one = await driver.create(NET.format("one", "nat", 150))
    two = await driver.create(NET.format("two", "route", 151))
    assert run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"
    await one.destroy()
    assert run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"
    await two.destroy()
    assert run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding").split() == ["0", "1"]


FLOOR = (
    "<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207{0}</uuid><owner><name>o</name>"
    "<uuid>06578fc1-c686-46fa-bc2c-83893b466a6f</uuid></owner><mac address='52:54:00:aa:bb:0{0}'/>"
    "<bandwidth><inbound average='100' floor='{1}'/></bandwidth></networkport>"
)


async def test_floors_are_kept_and_given_back(driver: NetworkDriver) -> None:
    net = await driver.create(
        "<network><name>q</name><bridge name='br-q' stp='off'/><ip address='192.168.150.1' prefix='24'/>"
        "<bandwidth><inbound average='1000' peak='2000'/></bandwidth></network>"
    )
    first = await net.create_port(FLOOR.format(1, 600))
    second = await net.create_port(FLOOR.format(2, 700))
    assert first.class_id != second.class_id
    classes = run("tc", "class", "show", "dev", "br-q")
    assert f"class htb 1:{first.class_id:x} parent 1:1" in classes
    assert run("tc", "filter", "show", "dev", "br-q").count("flowid 1:") == 2
    with pytest.raises(Exception, match="would overcommit peak=2000 on network 'q'"):
        await net.create_port(FLOOR.format(3, 800))
    assert len(await net.ports()) == 2
    await second.set_params([p._replace(value=200) if p.name == "inbound.floor" else p for p in await second.params()])
    assert {p.name: p.value for p in await second.params()}["inbound.floor"] == 200
    third = await net.create_port(FLOOR.format(3, 800))
    await third.delete()
    await first.delete()
    await second.delete()
    assert run("tc", "filter", "show", "dev", "br-q") == ""
    assert len(run("tc", "class", "show", "dev", "br-q").splitlines()) == 2
