"""Rules of ours beside others': made again after a flush, removed exactly, and other firewalls explained."""

import logging
import os
import shutil
import signal
from pathlib import Path

import pytest
from support.netdaemon import daemon
from support.nethost import Space, bridges, rules, run, until

from splitvirt.api.errors import ConfigUnsupported, InternalError, SystemError_
from virtnetworkd import firewall
from virtnetworkd.driver import NetworkDriver

NET = """<network><name>{0}</name><forward mode='{1}'/><bridge name='br-{0}' stp='off'/>
<ip address='192.168.{2}.1' prefix='24'/><ip family='ipv6' address='fd00:{2}::1' prefix='64'/></network>"""
ONE = NET.format("a", "nat", 150)
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


FIREWALL_CMD = """#!/bin/sh
echo "$@" >> "$0.log"
case "$1" in *none*) echo "Error: INVALID_ZONE: none" >&2; exit 112;; esac
"""


async def test_a_zone_is_asked_of_firewalld(driver: NetworkDriver, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoned = ONE.replace("<bridge name='br-a'", "<bridge name='br-a' zone='{}'").format
    monkeypatch.setenv("PATH", str(root / "bin"), prepend=":")
    if shutil.which("firewall-cmd") is None:
        with pytest.raises(InternalError, match="zone public requested for network a but firewalld is not active"):
            await driver.create(zoned("public"))
        assert bridges() == []
    stand_in = root / "bin/firewall-cmd"
    stand_in.parent.mkdir()
    stand_in.write_text(FIREWALL_CMD)
    stand_in.chmod(0o755)
    net = await driver.create(zoned("public"))
    await net.destroy()
    with pytest.raises(InternalError, match="did not put bridge br-a in zone none: Error: INVALID_ZONE: none"):
        await driver.create(zoned("none"))
    assert bridges() == []
    asked = (root / "bin/firewall-cmd.log").read_text().split("\n")
    assert asked[:3] == ["--state", "--zone=public --change-interface=br-a", "--zone=public --remove-interface=br-a"]


async def test_a_name_that_is_a_pattern_is_no_device(driver: NetworkDriver) -> None:
    with pytest.raises(ConfigUnsupported, match=r"'br\*' is not the name of a network device"):
        await driver.create(ONE.replace("br-a", "br*"))
    assert bridges() == []
    assert rules() == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name='br-a'", "name='br-a' delay='18446744073709551615'", "interface br-a: Numerical result out of range"),
        ("name='br-a'", "name='aaaaaaaaaaaaaaaa'", "interface aaaaaaaaaaaaaaaa: Numerical result out of range"),
        ("<ip ", "<mtu size='67'/><ip ", "Cannot set interface MTU on 'br-a': Invalid argument"),
        ("<ip ", "<ip family='ipv6' address='::1' prefix='128'/><ip ", "Failed to add IP address ::1/128 to br-a: "),
        ("<ip ", f"<bandwidth><outbound average='{(1 << 64) - 1}'/></bandwidth><ip ", "firewall rules: [^\n]*$"),
        ("<ip ", f"<bandwidth><inbound average='{(1 << 64) - 1}' burst='{(1 << 64) - 1}'/></bandwidth><ip ",
         "bandwidth limits on br-a: tc refused to limit the bandwidth: [^\n]*$"),
    ],
)  # fmt: skip
async def test_what_the_kernel_refuses_is_told_in_a_line(driver: NetworkDriver, old: str, new: str, words: str) -> None:
    with pytest.raises(SystemError_, match=words):
        await driver.create(ONE.replace(old, new, 1))
    assert bridges() == []
    assert rules() == ""
