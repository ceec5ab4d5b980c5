"""Daemons that start at the first call, leave when idle, and lose no call on the way: on a real systemd and bus."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from support.container import TOP, Container

pytestmark = pytest.mark.long


def state(host: Container, unit: str) -> str:
    """What a unit is, once it is no longer "activating": a daemon may answer before systemd reads that it is ready."""
    for _ in range(600):
        now = host.run("systemctl", "is-active", unit).stdout.strip()
        if now != "activating":
            break
        time.sleep(0.1)
    return now


def stop(host: Container, *daemons: str) -> None:
    """Stop the daemons; their sockets stay."""
    host.ok("systemctl", "stop", *(f"{d}.service" for d in daemons))


def test_the_first_call_on_a_socket_starts_the_daemon(host: Container) -> None:
    stop(host, "virtqemud")
    host.ok("virsh", "-c", "qemu:///system", "list", "--all")
    assert state(host, "virtqemud.service") in ("activating", "active")  # it answers before it has joined the bus


def test_the_read_only_and_the_admin_socket_start_it_as_well(host: Container) -> None:
    stop(host, "virtqemud")
    assert "QEMU" in host.ok("virsh", "-r", "-c", "qemu:///system", "version")
    stop(host, "virtqemud")
    assert "virtqemud" in host.ok("virt-admin", "-c", "virtqemud:///system", "srv-list")


def test_who_names_no_driver_reaches_it_as_well(host: Container) -> None:
    stop(host, "virtqemud", "virtnetworkd")
    host.ok("virsh", "net-start", "default")
    assert re.search(r"default +active", host.ok("virsh", "-r", "net-list"))
    assert host.ok("virsh", "uri").strip() == "qemu:///system"
    assert "virtqemud" in host.ok("virt-admin", "srv-list")
    host.ok("virsh", "net-destroy", "default")


def test_the_first_call_on_the_bus_starts_the_daemon(host: Container) -> None:
    stop(host, "virtnetworkd")
    listed = host.ok("busctl", "call", "org.splitvirt.virtnetworkd", "/org/libvirt/Network", "org.libvirt.Connect",
                     "ListNetworks", "u", "0")  # fmt: skip
    assert listed.startswith("ao 1 ")
    assert state(host, "virtnetworkd.service") == "active"


def test_networks_start_by_way_of_the_qemu_daemon(host: Container) -> None:
    stop(host, "virtqemud", "virtnetworkd")
    host.ok("virsh", "-c", "qemu:///system", "net-start", "default")
    assert re.search(r"default +active", host.ok("virsh", "-c", "qemu:///system", "net-list"))
    stop(host, "virtnetworkd")
    assert "virbr0" in host.ok("ip", "link", "show", "virbr0"), "stopping the daemon took the network down"
    host.ok("virsh", "-c", "network:///system", "net-destroy", "default")


def test_a_guest_outlives_restart_and_crash_of_its_daemon(host: Container) -> None:
    virsh = ("virsh", "-c", "qemu:///system")
    host.ok(*virsh, "define", "/srv/demo.xml")
    host.ok(*virsh, "start", "demo")
    try:
        pid = host.ok("pgrep", "-f", "guest=demo").split()[0]
        for end in (("restart",), ("kill", "--signal=KILL", "--kill-who=main")):
            host.ok("systemctl", *end, "virtqemud.service")
            assert host.ok(*virsh, "domstate", "demo").strip() == "running"
            assert host.ok("pgrep", "-f", "guest=demo").split()[0] == pid
        told = host.logged("SPLITVIRT_DOMAIN=demo")
        assert "demo" in told
    finally:
        host.run(*virsh, "destroy", "demo")
        host.run(*virsh, "undefine", "demo")


def test_a_guest_on_a_network_stays_online_while_daemons_come_and_go(host: Container) -> None:
    virsh = ("virsh", "-c", "qemu:///system")
    host.ok(*virsh, "net-start", "default")
    try:
        host.ok(*virsh, "create", "/srv/online.xml")
        plugged = host.ok("bridge", "link").split(":")[1].strip()
        host.ok("systemctl", "restart", "virtqemud.service", "virtnetworkd.service")
        host.ok("systemctl", "kill", "--signal=KILL", "--kill-who=main", "virtqemud.service", "virtnetworkd.service")
        assert host.ok(*virsh, "domstate", "online").strip() == "running"
        assert re.search(r"default +active", host.ok(*virsh, "net-list"))
        assert f" {plugged}: " in host.ok("bridge", "link")
        host.ok(*virsh, "destroy", "online")
        deadline = time.monotonic() + 60
        while host.ok("bridge", "link") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not host.ok("bridge", "link"), "the guest's tap is left over"
    finally:
        host.run(*virsh, "destroy", "online")
        host.run(*virsh, "net-destroy", "default")


def test_it_leaves_when_idle_and_comes_back(host: Container) -> None:
    stop(host, "virtqemud")
    host.ok("virsh", "-c", "qemu:///system", "list")
    host.ok("virt-admin", "-c", "virtqemud:///system", "daemon-timeout", "--timeout", "1")
    deadline = time.monotonic() + 60
    while (now := state(host, "virtqemud.service")) != "inactive":
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    assert state(host, "virtqemud.socket") == "active"
    host.ok("virsh", "-c", "qemu:///system", "list")


def test_one_daemon_without_the_other(host: Container) -> None:
    units = "virtqemud.socket virtqemud-ro.socket virtqemud-admin.socket virtqemud.service"
    host.shell(f"systemctl disable --now {units}; systemctl mask virtqemud.socket virtqemud.service")
    host.shell("systemctl disable --now virtnetworkd.service virtnetworkd.socket")
    try:
        host.shell("systemctl enable --now virtnetworkd.socket")
        for more in ("", "-r"):
            host.ok("virsh", *more.split(), "-c", "network:///system", "net-list", "--all")
        assert "virtnetworkd" in host.ok("virt-admin", "-c", "virtnetworkd:///system", "srv-list")
        host.ok(str(TOP / "packaging/install.sh"), "--python", "/opt/splitvirt", "--now")
        assert state(host, "virtqemud.socket") == "inactive"
        told = host.run("splitvirt", "doctor")
        assert (told.returncode, "virtqemud: is masked" in told.stdout) == (0, True)
    finally:
        host.shell(f"systemctl unmask virtqemud.socket virtqemud.service; systemctl enable --now {units}")


def test_a_wrong_configuration_is_told_and_is_not_tried_over_and_over(host: Container) -> None:
    stop(host, "virtnetworkd")
    host.write("/etc/libvirt/virtnetworkd.conf", "log_level = 9\n")
    try:
        refused = host.run("virsh", "-c", "network:///system", "net-list")
        assert "virtnetworkd cannot start: its configuration is wrong" in refused.stderr
        assert state(host, "virtnetworkd.service") == "failed"
        assert host.ok("systemctl", "show", "-P", "NRestarts", "virtnetworkd.service").strip() == "0"
    finally:
        host.ok("rm", "/etc/libvirt/virtnetworkd.conf")
    host.ok("virsh", "-c", "network:///system", "net-list")


def test_units_and_policies_are_current() -> None:
    subprocess.run(["python3", str(TOP / "systemd/units.py"), "--check"], check=True, stdout=subprocess.DEVNULL)


def test_systemd_finds_nothing_wrong_with_the_units(host: Container) -> None:
    units = [str(path.name) for path in sorted(Path(TOP / "systemd/system").iterdir())]
    verified = host.run("systemd-analyze", "verify", "--man=no", *units)
    ours = [line for line in verified.stderr.splitlines() if "virt" in line]
    assert not ours, ours
