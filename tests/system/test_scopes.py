"""Guests of the system daemon in systemd scopes of their own: what systemd and machined say of them."""

import time
from collections.abc import Callable

import pytest
from support.container import DEMO, Container

pytestmark = pytest.mark.long
ONE_BUS = pytest.mark.parametrize("host", ["daemon"], indirect=True)

NAME = "scoped"
XML = DEMO.replace("demo", NAME).replace("0001<", "0005<")
LIMITED = XML.replace("<os>", "<cputune><shares>300</shares></cputune><os>")


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that is on its way."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def scopes(host: Container) -> list[str]:
    """The scopes of the guest."""
    listed = host.ok("systemctl", "list-units", "--all", "--plain", "--no-legend", f"machine-*{NAME}.scope")
    return [line.split()[0] for line in listed.splitlines()]


def started(host: Container, xml: str = XML) -> str:
    """Start the guest; its scope."""
    host.write("/srv/scoped.xml", xml)
    host.ok("virsh", "create", "--paused", "/srv/scoped.xml")
    (unit,) = scopes(host)
    return unit


def test_a_guest_has_a_scope_from_its_start_to_its_end(host: Container) -> None:
    unit = started(host)
    shown = host.ok("systemctl", "show", unit).splitlines()
    for line in (
        "Slice=machine.slice",
        "Delegate=yes",
        "TasksMax=16384",
        "CollectMode=inactive-or-failed",
        "ActiveState=active",
        f"Description=Virtual Machine {unit[8:-6].replace(chr(92) + 'x2d', '-')}",
    ):
        assert line in shown
    (after,), (before,) = ([line for line in shown if line.startswith(f"{name}=")] for name in ("After", "Before"))
    assert "virtqemud.service" in after
    assert "virt-guest-shutdown.target" in before
    said = host.shell(
        f"cat /proc/$(pgrep -f '[g]uest={NAME}')/cgroup; virsh dumpxml {NAME}; virsh cpu-stats {NAME} --total"
    )
    for words in (unit, "<partition>/machine</partition>", "cpu_time"):
        assert words in said
    until(lambda: NAME in host.ok("machinectl", "--no-legend"), "machined does not know it")
    host.ok("virsh", "destroy", NAME)
    until(lambda: not scopes(host), "its scope stays")
    until(lambda: NAME not in host.ok("machinectl", "--no-legend"), "machined thinks it is there")
    assert NAME not in host.ok("systemctl", "--failed", "--plain", "--no-legend")


@ONE_BUS
def test_the_daemon_comes_and_goes_beside_it(host: Container) -> None:
    unit = started(host)
    for how in ("restart", "kill --signal=KILL"):
        assert host.shell(f"systemctl {how} virtqemud.service; virsh domstate {NAME}").strip() == "paused"
    assert scopes(host) == [unit]
    host.ok("systemctl", "stop", unit)
    until(lambda: NAME not in host.ok("virsh", "list", "--all", "--name"), "the guest of a stopped scope is listed")
    assert not scopes(host)


@ONE_BUS
def test_limits_are_set_or_refused(host: Container) -> None:
    """As the host has the kernel's cgroups: version 2 alone, or with controllers of version 1, which is not used."""
    if "cpu" in host.run("cat", "/sys/fs/cgroup/cgroup.controllers").stdout.split():
        unit = started(host, LIMITED)
        assert host.ok("systemctl", "show", "-P", "CPUWeight", unit).strip() == "300"
        assert "512" in host.ok("virsh", "schedinfo", NAME, "--live", "--set", "cpu_shares=512")
        assert host.ok("systemctl", "show", "-P", "CPUWeight", unit).strip() == "512"
        host.ok("virsh", "destroy", NAME)
    else:
        host.write("/srv/scoped.xml", LIMITED)
        refused = host.run("virsh", "create", "/srv/scoped.xml")
        assert refused.returncode != 0
        assert "CPU tuning is not available on this host" in refused.stderr
    until(lambda: not scopes(host), "its scope stays")
