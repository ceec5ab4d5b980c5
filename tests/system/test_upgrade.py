"""One version installed over another: guests, networks, ports and callers do not notice; what is of later is let be."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.calls import CUT, Clients
from support.container import CARD, DEMO, TOP, Container, container

pytestmark = pytest.mark.long

VIRSH = ("virsh", "-c", "qemu:///system")
BUILD = """
cp -a /opt/splitvirt /opt/{name}; cd /opt/{name}/lib/python3*/site-packages
cp -r /srv/checkout/common/splitvirt /srv/checkout/daemons/virtqemud /srv/checkout/daemons/virtnetworkd .
sed -i '/checkout.common\\|checkout.daemons/d' checkout.pth
sed -i 's/^VERSION = .*/VERSION = "{version}"/' splitvirt/daemon/main.py
"""
MINE = "from splitvirt.daemon.main import VERSION; assert VERSION == '{version}', 'a module of another version'"
LATE = "virtqemud/argv/native.py"


def build(host: Container, name: str, version: str) -> None:
    """An environment with the code of this checkout under that version; its late module refuses any other."""
    host.shell(BUILD.format(name=name, version=version))
    host.shell(f'cd /opt/{name}/lib/python3*/site-packages; echo "{MINE.format(version=version)}" >> {LATE}')


@pytest.fixture(name="machine", scope="module")
def _machine() -> Iterator[Container]:
    """A machine with version 1 of it, a network, and guests on it."""
    with container(f"upgrade-{os.getpid()}", "daemon") as host:
        build(host, "one", "1.0.0")
        install(host, "one", "--now")
        host.write("/srv/demo.xml", DEMO)
        host.write(
            "/srv/online.xml",
            DEMO.replace("demo", "online").replace("0001<", "0002<").replace("<devices>", f"<devices>{CARD}"),
        )
        host.ok(*VIRSH, "net-start", "default")
        for name in ("demo", "online"):
            host.ok(*VIRSH, "define", f"/srv/{name}.xml")
            host.ok(*VIRSH, "start", name)
        yield host


def install(host: Container, name: str, *more: str) -> None:
    """What a package's scripts do."""
    host.ok(str(TOP / "packaging/install.sh"), "--python", f"/opt/{name}", *more)


def running(host: Container) -> list[list[str]]:
    """The processes that no upgrade may touch, and where the guest is plugged in."""
    found = [
        host.ok("pgrep", "-f", what).split() for what in ("guest=demo", "guest=online", "conf-file=.*default.conf")
    ]
    return [*found, host.ok("bridge", "link").split()[1:2]]


def versions(host: Container) -> list[str]:
    """Of the two daemons that run."""
    said = (host.logged("-u", daemon) for daemon in ("virtqemud", "virtnetworkd"))
    return [re.findall(r" ([0-9.]+) is ready", text)[-1] for text in said]


def test_a_new_version_takes_over(machine: Container) -> None:
    host = machine
    before = running(host)
    assert versions(host) == ["1.0.0", "1.0.0"]
    clients = Clients(host, 2, 20)
    build(host, "two", "2.0.0")
    install(host, "two")
    host.ok(*VIRSH, "domxml-to-native", "qemu-argv", "--domain", "demo")  # by the old one, which loads LATE now
    assert versions(host) == ["1.0.0", "1.0.0"]
    install(host, "two", "--now")
    assert versions(host) == ["2.0.0", "2.0.0"]
    made, _, failed = clients.told()
    assert not failed
    assert set(made) <= set(host.ok(*VIRSH, "list", "--all", "--name").split())
    assert running(host) == before
    for name in ("demo", "online"):
        assert host.ok(*VIRSH, "domstate", name).strip() == "running"
    assert len(host.ok(*VIRSH, "-q", "net-port-list", "default").split()) == 1
    host.ok(*VIRSH, "net-dhcp-leases", "default")
    host.ok(*VIRSH, "destroy", "online")
    assert host.ok(*VIRSH, "-q", "net-port-list", "default").split() == []


def test_records_of_a_later_version_are_let_be(machine: Container) -> None:
    host = machine
    before = host.ok("pgrep", "-f", "guest=demo")
    record = "/run/libvirt/qemu/demo.status"
    host.ok("systemctl", "stop", "virtqemud.service")
    host.ok("sed", "-i", 's/"format": 1/"format": 99/', record)
    later = host.ok("cat", record)
    refused = host.run(*VIRSH, "start", "demo")
    assert f"domain 'demo' may be running: its record {record}" in refused.stderr
    assert host.ok("cat", record) == later
    assert host.ok("pgrep", "-f", "guest=demo") == before
    host.ok("systemctl", "stop", "virtqemud.service")
    host.ok("sed", "-i", 's/"format": 99/"format": 1/', record)
    assert host.ok(*VIRSH, "domstate", "demo").strip() == "running"
    assert host.ok("pgrep", "-f", "guest=demo") == before


LIST_OVER_BUS = (
    "busctl", "call", "org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.libvirt.Connect", "ListDomains", "u", "0",
)  # fmt: skip
WATCHDOG = "[Service]\nWatchdogSec=3\n"


def test_a_daemon_that_hangs_is_replaced(machine: Container) -> None:
    """By systemd's watchdog; whoever called it meanwhile is answered by the next one, or told."""
    host = machine
    host.write("/run/systemd/system/virtqemud.service.d/watchdog.conf", WATCHDOG)
    host.shell("systemctl daemon-reload; systemctl restart virtqemud.service")
    guest = host.ok("pgrep", "-f", "guest=demo")
    pid = host.ok("systemctl", "show", "-P", "MainPID", "virtqemud.service").strip()
    host.ok("kill", "-STOP", pid)
    with ThreadPoolExecutor(1) as beside:
        in_hand = beside.submit(host.run, *LIST_OVER_BUS)  # the bus gives it to the one that hangs
        assert "demo" in host.ok(*VIRSH, "list"), "a new call waits for the next process"
        cut = in_hand.result()
    assert cut.returncode == 0 or any(words in cut.stderr for words in CUT), cut.stderr
    assert host.ok("systemctl", "show", "-P", "MainPID", "virtqemud.service").strip() != pid
    assert "Watchdog timeout" in host.logged("-u", "virtqemud")
    assert host.ok("pgrep", "-f", "guest=demo") == guest
    assert host.ok(*VIRSH, "domstate", "demo").strip() == "running"
