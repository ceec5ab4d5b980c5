"""Looking at running services: virt-admin, Daemon1, metrics, the journal, the status screen and the doctor."""

import json
import re
import time

import pytest
from support.container import TOP, Container

pytestmark = pytest.mark.long

DAEMON1 = ("org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.splitvirt.Daemon1")


def test_virt_admin_finds_the_daemons_by_itself(host: Container) -> None:
    for daemon in ("virtqemud", "virtnetworkd"):
        listed = host.ok("virt-admin", "-c", f"{daemon}:///system", "srv-list")
        assert re.findall(r"\d +(\w+)", listed) == [daemon, "admin"]
    refused = host.run("virt-admin", "-c", "virtqemud:///system", "srv-list", user="bob")
    assert refused.returncode != 0


def test_daemon1_on_the_bus(host: Container) -> None:
    assert host.ok("busctl", "get-property", *DAEMON1, "State") == 's "running"\n'
    assert float(host.ok("busctl", "get-property", *DAEMON1, "Uptime").split()[1]) >= 0
    host.ok("virsh", "-c", "qemu:///system", "define", "/srv/demo.xml")
    objects = json.loads(host.ok("busctl", "--json=short", "call", *DAEMON1, "GetObjects"))["data"][0]
    assert ["domain", "inactive", 1] in objects or any(row[:2] == ["domain", "inactive"] for row in objects)
    memory = json.loads(host.ok("busctl", "--json=short", "call", *DAEMON1, "GetMemory"))["data"][0]
    assert 1 << 20 < memory[1] <= memory[0] < 1 << 28
    jobs = json.loads(host.ok("busctl", "--json=short", "call", *DAEMON1, "GetJobs", user="alice"))["data"][0]
    assert [row[0] for row in jobs] == ["org.splitvirt.Daemon1.GetJobs"]


def test_one_network_s_story_is_in_the_journal(host: Container) -> None:
    virsh = ("virsh", "-c", "network:///system")
    host.ok(*virsh, "net-start", "default")
    host.ok(*virsh, "net-destroy", "default")
    fields = host.logged("-o", "json", "SPLITVIRT_NETWORK=default").splitlines()
    told = [json.loads(line) for line in fields]
    assert {one["SYSLOG_IDENTIFIER"] for one in told} == {"virtnetworkd"}
    assert any("started" in one["MESSAGE"] for one in told)
    assert any(one.get("SPLITVIRT_CLIENT", "").startswith("client") for one in told)


def test_the_screen_shows_the_suite_without_starting_anything(host: Container) -> None:
    host.ok("virsh", "-c", "qemu:///system", "list")
    host.ok("systemctl", "stop", "virtnetworkd.service")
    screen = host.ok("splitvirt", "status")
    assert re.search(r"^virtqemud +running +\d+", screen, re.MULTILINE)
    assert re.search(r"^virtnetworkd +on demand$", screen, re.MULTILINE)
    assert host.run("systemctl", "is-active", "virtnetworkd.service").stdout == "inactive\n"
    data = {one["name"]: one for one in json.loads(host.ok("splitvirt", "status", "--json"))}
    assert data["virtqemud"]["calls"] > 0


BROKEN = """
virsh -c qemu:///system list
systemctl stop virtqemud-ro.socket
systemctl stop virtnetworkd.service virtnetworkd.socket
systemctl disable virtnetworkd.service virtnetworkd.socket
systemctl mask virtnetworkd.socket
rm /run/libvirt/libvirt-sock
rm /usr/share/dbus-1/system-services/org.splitvirt.virtqemud.service
rm /usr/share/dbus-1/system.d/org.splitvirt.virtnetworkd.conf
systemctl mask --now polkit.service
echo log_level = 9 > /etc/libvirt/virtnetworkd.conf
"""
UNMASK = "systemctl unmask virtnetworkd.socket && systemctl enable --now virtnetworkd.socket"
EDIT = "${EDITOR:-vi} +1 /etc/libvirt/virtnetworkd.conf"
PROBLEMS = {
    "configuration": f"{EDIT} && systemctl try-reload-or-restart virtnetworkd.service",
    "clients that name no driver": "ln -sf virtqemud-sock /run/libvirt/libvirt-sock",
    "org.splitvirt.virtqemud": "packaging/install.sh --now",
    "org.splitvirt.virtnetworkd": "packaging/install.sh --now",
    "virtqemud, socket for read-only calls":
        "systemctl enable virtqemud-ro.socket && systemctl restart virtqemud.service",
    "virtnetworkd, socket for calls": UNMASK,
    "virtnetworkd, socket for read-only calls": "systemctl enable --now virtnetworkd-ro.socket",
    "virtnetworkd, socket for administration": "systemctl enable --now virtnetworkd-admin.socket",
    "virtnetworkd.socket": UNMASK,
    "virtnetworkd.service": "systemctl enable --now virtnetworkd.service",
    "polkit": "systemctl unmask polkit.service",
}  # fmt: skip


def test_what_the_doctor_finds_is_mended_by_the_commands_that_it_names(host: Container) -> None:
    assert host.run("splitvirt", "doctor", "--quiet").stdout == ""
    host.shell(BROKEN)
    told = host.run("splitvirt", "doctor", "--json")
    assert told.returncode == 1
    wrong = {one["about"]: one["mend"] for one in json.loads(told.stdout) if one["level"] == "problem"}
    for mend in dict.fromkeys([*wrong.values(), *PROBLEMS.values()]):
        script = mend.replace(EDIT, "rm -f /etc/libvirt/virtnetworkd.conf")
        host.shell(script.replace("packaging/install.sh", f"{TOP}/packaging/install.sh --python /opt/splitvirt"))
    assert wrong == PROBLEMS
    assert host.run("splitvirt", "doctor", "--quiet").stdout == ""
    assert host.run("splitvirt", "doctor").returncode == 0


def test_a_user_s_own_daemon_serves_that_user_alone(host: Container) -> None:
    uid = host.ok("id", "-u", "alice").strip()
    host.ok("loginctl", "enable-linger", "alice")
    try:
        host.shell(f"for i in $(seq 600); do [ -S /run/user/{uid}/systemd/private ] && exit; sleep 0.1; done; exit 1")
        session = f"export XDG_RUNTIME_DIR=/run/user/{uid} HOME=/home/alice; cd; "
        host.shell(session + "timeout 60 systemctl --user is-system-running --wait || true", user="alice")
        listed = host.shell(session + "virsh -c qemu:///session list --all --name", user="alice")
        assert listed.strip() == ""
        assert host.shell(session + "virsh uri", user="alice").strip() == "qemu:///session"
        mine = "<domain type='qemu'><name>mine</name><memory>1024</memory><os><type>hvm</type></os></domain>"
        host.shell(session + f'echo "{mine}" > mine.xml; virsh -c qemu:///session define mine.xml', user="alice")
        assert host.shell("ls /home/alice/.config/libvirt/qemu").split() == ["mine.xml"]
        other = host.run(
            "virsh", "-c", f"qemu:///session?socket=/run/user/{uid}/libvirt/virtqemud-sock", "list", user="bob"
        )
        assert other.returncode != 0
        own = (
            session + "busctl --user call org.splitvirt.virtqemud /org/libvirt/QEMU org.libvirt.Connect ListDomains u 0"
        )
        assert host.shell(own, user="alice").startswith("ao 1 ")
    finally:
        host.ok("loginctl", "disable-linger", "alice")
        time.sleep(0.2)
