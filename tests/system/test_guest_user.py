"""An installed machine's guests run as libvirt-qemu, and their disks are its own meanwhile."""

import pytest
from support.container import Container

pytestmark = pytest.mark.long

GUEST = """<domain type='qemu'><name>unprivileged</name><memory unit='MiB'>48</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/images/{0}.img'/><target dev='vda'/></disk>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc'><listen type='socket'/></graphics>
</devices></domain>"""


def test_guests_run_as_libvirt_qemu(host: Container) -> None:
    images = (
        "mkdir -p /srv/images; chmod 711 /srv/images; truncate -s 1M /srv/images/u.img; chmod 600 /srv/images/u.img"
    )
    host.shell(f"{images}; chown alice /srv/images/u.img")
    host.write("/srv/u.xml", GUEST.format("u"))
    host.ok("virsh", "-c", "qemu:///system", "create", "/srv/u.xml", user="bob")
    try:
        pid = host.ok("pgrep", "-f", "guest=unprivileged").split()[0]
        numbers = [
            host.ok("id", "-u", "libvirt-qemu").strip(),
            host.ok("getent", "group", "libvirt-qemu").split(":")[2],
        ]
        about = dict(line.split(":", 1) for line in host.ok("cat", f"/proc/{pid}/status").splitlines() if ":" in line)
        assert (about["Uid"].split(), about["Gid"].split()) == ([numbers[0]] * 4, [numbers[1]] * 4)
        groups = host.ok("id", "-G", "libvirt-qemu").split()
        assert set(about["Groups"].split()) == {*groups, numbers[1]}
        assert {about[f"Cap{name}"].strip() for name in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}
        assert host.ok("stat", "-c", "%U:%G", "/srv/images/u.img").strip() == "libvirt-qemu:libvirt-qemu"
        label = "+{}:+{}".format(*numbers)
        assert f"<label>{label}</label>" in host.ok("virsh", "-c", "qemu:///system", "dumpxml", "unprivileged")
        # what another guest's QEMU, taken over, could do to this one: nothing
        folder = host.ok("bash", "-c", "echo /var/lib/libvirt/qemu/domain-*-unprivileged").strip()
        taken = ["runuser", "-u", "libvirt-qemu", "--"]
        for words in (
            ["rm", "-f", f"{folder}/monitor.sock"],
            ["mv", folder, f"{folder}-away"],
            ["mkdir", f"{folder}x"],
        ):
            assert host.run(*taken, *words).returncode != 0
        host.ok("systemctl", "restart", "virtqemud")
        assert "running" in host.ok("virsh", "-c", "qemu:///system", "domstate", "unprivileged", user="bob")
    finally:
        host.ok("virsh", "-c", "qemu:///system", "destroy", "unprivileged", user="bob")
    assert host.ok("stat", "-c", "%U:%G %a", "/srv/images/u.img").strip() == "alice:root 600"


def test_an_administrator_may_still_choose_root(host: Container) -> None:
    host.shell("cp -a /etc/libvirt/qemu.conf /srv/qemu.conf.old 2>/dev/null || : > /srv/qemu.conf.old")
    host.write("/etc/libvirt/qemu.conf", 'user = "root"\ngroup = "root"\n')
    host.ok("systemctl", "restart", "virtqemud")
    host.shell("mkdir -p /srv/images; truncate -s 1M /srv/images/r.img")
    host.write("/srv/r.xml", GUEST.format("r"))
    host.ok("virsh", "-c", "qemu:///system", "create", "/srv/r.xml")
    try:
        pid = host.ok("pgrep", "-f", "guest=unprivileged").split()[0]
        about = host.ok("grep", "-E", "^(Uid|CapEff|CapBnd):", f"/proc/{pid}/status").split()
        assert about == ["Uid:", *["0"] * 4, "CapEff:", "0" * 16, "CapBnd:", "0" * 16]
        assert "undesirable elevated privileges" in host.ok("virsh", "-c", "qemu:///system", "dominfo", "unprivileged")
    finally:
        host.ok("virsh", "-c", "qemu:///system", "destroy", "unprivileged")
        host.shell("cp -a /srv/qemu.conf.old /etc/libvirt/qemu.conf")
        host.ok("systemctl", "restart", "virtqemud")


NET = """<network><name>served</name><bridge name='br-served' stp='off'/>
<ip address='192.168.190.1' prefix='24'><dhcp><range start='192.168.190.2' end='192.168.190.99'/></dhcp></ip></network>
"""


def test_dnsmasq_gives_up_root_itself(host: Container) -> None:
    host.write("/srv/served.xml", NET)
    host.ok("virsh", "-c", "network:///system", "net-create", "/srv/served.xml")
    try:
        pid = host.ok("cat", "/run/libvirt/network/served.pid").strip()
        about = dict(line.split(":", 1) for line in host.ok("cat", f"/proc/{pid}/status").splitlines() if ":" in line)
        assert about["Uid"].split()[0] != "0"
        # CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW: what it needs to speak DHCP
        assert int(about["CapEff"], 16) & ~(1 << 10 | 1 << 12 | 1 << 13) == 0
    finally:
        host.ok("virsh", "-c", "network:///system", "net-destroy", "served")
