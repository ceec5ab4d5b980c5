"""Who may take a port on a shared network: polkit decides for those who may not manage networks anyway."""

import time
from collections.abc import Iterator

import pytest
from support.container import Container

pytestmark = pytest.mark.long

NET = """<network><name>lent</name><bridge name='br-lent' stp='off'/>
<ip address='192.168.180.1' prefix='24'><dhcp><range start='192.168.180.2' end='192.168.180.99'/></dhcp></ip></network>
"""
RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.splitvirt.network-port.take" && subject.user == "alice"
        && action.lookup("network_name") == "lent")
        return polkit.Result.YES;
});
"""
WHERE = ("org.splitvirt.virtnetworkd", "/org/libvirt/Network", "org.splitvirt.NetworkPort1")


@pytest.fixture(name="networks")
def _networks(host: Container) -> Iterator[Container]:
    host.write("/srv/lent.xml", NET)
    host.write("/srv/other.xml", NET.replace("lent", "other").replace("180", "181"))
    for name in ("lent", "other"):
        host.ok("virsh", "-c", "network:///system", "net-create", f"/srv/{name}.xml")
    yield host
    for name in ("lent", "other"):
        host.ok("virsh", "-c", "network:///system", "net-destroy", name)


def take(host: Container, user: str, network: str) -> str:
    """What busctl says when a user takes a port; the port is back when busctl has ended."""
    done = host.run("runuser", "-u", user, "--", "busctl", "call", *WHERE, "Take", "ssuu", network, "", "1", "1")
    return str(done.stdout + done.stderr)


def test_ports_are_lent_by_policy(networks: Container) -> None:
    host = networks
    assert "(sssah)" in take(host, "root", "lent")
    assert "not allowed" in take(host, "alice", "lent")
    host.write("/etc/polkit-1/rules.d/10-ports.rules", RULE)
    deadline = time.monotonic() + 60
    while "(sssah)" not in (said := take(host, "alice", "lent")):  # polkitd sees the rule, and an old answer gets stale
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    assert "br-lent" in said
    assert "not allowed" in take(host, "alice", "other")
    assert "vnet" not in host.ok("ip", "-br", "link", "show", "master", "br-lent")
    assert host.ok("busctl", "call", *WHERE, "List").strip() == "a(sssssuxssx) 0"
    host.shell("rm /etc/polkit-1/rules.d/10-ports.rules")


GUEST = """<domain type='qemu'><name>plugged</name><memory unit='MiB'>48</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<interface type='network'><source network='lent'/><model type='virtio'/></interface></devices></domain>
"""


def test_the_qemu_daemon_takes_its_ports_here(networks: Container) -> None:
    host = networks
    host.write("/srv/plugged.xml", GUEST)
    host.ok("virsh", "-c", "qemu:///system", "create", "/srv/plugged.xml")
    (port,) = host.ok("virsh", "-q", "-c", "qemu:///system", "net-port-list", "lent").split()
    assert "<name>plugged</name>" in host.ok("virsh", "-c", "network:///system", "net-port-dumpxml", "lent", port)
    assert "vnet0" in host.ok("virsh", "-c", "qemu:///system", "domiflist", "plugged")
    assert "vnet0" in host.ok("ip", "-br", "link", "show", "master", "br-lent")
    host.ok("systemctl", "restart", "virtqemud")
    host.ok("systemctl", "restart", "virtnetworkd")
    assert port in host.ok("virsh", "-q", "-c", "network:///system", "net-port-list", "lent")
    host.ok("virsh", "-c", "qemu:///system", "destroy", "plugged")
    assert host.ok("virsh", "-q", "-c", "network:///system", "net-port-list", "lent").strip() == ""
    assert host.ok("ip", "-br", "link", "show", "master", "br-lent").strip() == ""
