"""Who may do what, with real users, real polkit and real rules, on sockets and on both buses."""

from collections.abc import Iterator

import pytest
from support.container import Container

pytestmark = pytest.mark.long

BUS = ("busctl", "call", "org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.libvirt.Connect")
RESTART = "systemctl reset-failed polkit || true; systemctl restart polkit"
VIRSH = ("virsh", "-c", "qemu:///system")

RULES = """
polkit.addRule(function(action, subject) {
    if (action.id == "org.libvirt.unix.manage" && subject.user != "dave")
        return polkit.Result.YES;
    if (action.id.indexOf("org.libvirt.api.") != 0)
        return polkit.Result.NOT_HANDLED;
    if (subject.user == "alice")
        return polkit.Result.YES;
    if (subject.user == "bob")
        return ["org.libvirt.api.connect.getattr", "org.libvirt.api.domain.getattr"].indexOf(action.id) >= 0
            ? polkit.Result.YES : polkit.Result.NO;
    if (subject.user == "carol" && action.lookup("connect_driver") == "QEMU") {
        if (action.id.indexOf("org.libvirt.api.domain.") == 0)
            return action.lookup("domain_name") == "demo" ? polkit.Result.YES : polkit.Result.NO;
        return polkit.Result.YES;
    }
});
"""


@pytest.fixture(scope="module")
def defined(host: Container) -> Container:
    """Two guests, and two more users."""
    host.ok(*VIRSH, "define", "/srv/demo.xml")
    host.shell("sed 's/demo/other/; s/0001</0003</' /srv/demo.xml > /srv/other.xml")
    host.ok(*VIRSH, "define", "/srv/other.xml")
    host.shell("id carol || useradd -m carol; id dave || useradd -m dave")
    return host


@pytest.fixture
def fine(defined: Container) -> Iterator[Container]:
    """Each permission asked of polkit, by RULES; switched on by a reload."""
    host = defined
    host.write("/etc/polkit-1/rules.d/10-test.rules", RULES)
    host.write("/etc/libvirt/virtqemud.conf", 'access_drivers = [ "polkit" ]\n')
    host.shell(f"cd /etc/polkit-1/rules.d; chmod 755 .; chmod 644 10-test.rules; {RESTART}")
    host.reload("virtqemud")
    yield host
    host.shell(f"rm /etc/polkit-1/rules.d/10-test.rules /etc/libvirt/virtqemud.conf; {RESTART}")
    host.reload("virtqemud")


def test_everybody_may_look_and_the_group_may_manage(defined: Container) -> None:
    host = defined
    refused = host.run(*VIRSH, "list", "--all", user="alice")
    assert "no polkit agent available to authenticate action 'org.libvirt.unix.manage'" in refused.stderr
    assert "demo" in host.ok("virsh", "-r", "-c", "qemu:///system", "list", "--all", user="alice")
    assert "demo" in host.ok(*VIRSH, "list", "--all", user="bob")
    denied = host.run("virsh", "-r", "-c", "qemu:///system", "start", "demo", user="alice")
    assert "read only access prevents virDomainCreate" in denied.stderr


def test_the_bus_gives_what_the_sockets_give(defined: Container) -> None:
    host = defined
    assert host.ok(*BUS, "ListDomains", "u", "0", user="alice").startswith("ao 2 ")
    denied = host.run(*BUS, "DomainDefineXML", "s", "<domain/>", user="alice")
    assert "read only access prevents" in denied.stderr
    reached = host.run(*BUS, "DomainDefineXML", "s", "<domain/>", user="bob")
    assert reached.returncode != 0
    assert "prevents" not in reached.stderr
    assert "denied" not in reached.stderr


def test_lists_show_what_the_caller_may_see(fine: Container) -> None:
    host = fine
    assert host.ok(*VIRSH, "list", "--all", "--name", user="carol").split() == ["demo"]
    assert host.ok(*BUS, "ListDomains", "u", "0", user="carol").startswith("ao 1 ")
    assert host.run(*VIRSH, "dominfo", "other", user="carol").returncode != 0
    assert "access denied" in host.run(*BUS, "DomainLookupByName", "s", "other", user="carol").stderr
    assert sorted(host.ok(*VIRSH, "list", "--all", "--name").split()) == ["demo", "other"]


def test_a_user_who_may_not_even_look(fine: Container) -> None:
    refused = fine.run(*VIRSH, "list", "--all", user="dave")
    assert "no polkit agent" in refused.stderr


def test_a_caller_s_own_rights_hold_at_a_sibling(fine: Container) -> None:
    """The QEMU daemon, which is root, passes calls on to the network daemon for whoever made them."""
    host = fine
    host.write("/etc/libvirt/virtnetworkd.conf", 'access_drivers = [ "polkit" ]\n')
    host.ok("systemctl", "restart", "virtnetworkd.service")
    try:
        assert "default" in host.ok(*VIRSH, "net-list", "--all", "--name", user="alice").split()
        refused = host.run(*VIRSH, "net-list", "--all", user="bob")
        assert "'connect.search-networks' is not allowed to client" in refused.stderr
        assert "default" in host.ok(*VIRSH, "net-list", "--all", "--name", user="carol").split()
        refused = host.run(*VIRSH, "net-start", "default", user="carol")
        assert "'network.start' is not allowed to client" in refused.stderr
        host.ok(*VIRSH, "net-start", "default", user="alice")
        host.ok(*VIRSH, "net-destroy", "default", user="alice")
        readonly = ("virsh", "-r", "-c", "qemu:///system")
        refused = host.run(*readonly, "net-start", "default", user="alice")
        assert "read only access prevents virNetworkCreate" in refused.stderr
    finally:
        host.shell("rm /etc/libvirt/virtnetworkd.conf; systemctl restart virtnetworkd")


CLASSIC = """unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
auth_unix_ro = "none"
"""


def test_mode_and_group_of_the_configuration_hold_for_systemd_s_sockets_too(defined: Container) -> None:
    """An admin who trusts a group and asks nobody has libvirt's sockets in mind, which systemd's are wider than."""
    host = defined
    host.write("/etc/libvirt/virtqemud.conf", CLASSIC)
    host.ok("systemctl", "restart", "virtqemud.service")
    try:
        for user, status in (("alice", 1), ("bob", 0), ("", 0)):
            assert host.run(*VIRSH, "list", user=user).returncode == status, user
            named = host.run(*BUS, "DomainDefineXML", "s", "<domain/>", user=user)
            refused = "read only access" in named.stderr
            assert refused == bool(status), named.stderr
            host.ok("virsh", "-r", "-c", "qemu:///system", "list", user=user)
    finally:
        host.ok("rm", "/etc/libvirt/virtqemud.conf")
        host.ok("systemctl", "restart", "virtqemud.service")
