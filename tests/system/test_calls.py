"""Calls while the daemon comes and goes: none is lost, each is done once, and what a crash cuts off is told at once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.calls import Clients
from support.container import Container

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def disturb(host: Container, ways: list[Callable[[], object]], times: int) -> None:
    """Let the daemon go again and again, each time when it is there.

    (Whoever stops a service that the bus has asked for and that is still starting cancels that, and dbus-broker tells
    those who wait: "startup job failed". No daemon can help it.)
    """
    active = "for i in $(seq 1500); do systemctl -q is-active virtqemud.service && exit; sleep 0.02; done; exit 1"
    for n in range(times):
        host.shell(active)
        ways[n % len(ways)]()
        time.sleep(0.05)


def check(host: Container, clients: Clients, most_cut: int) -> None:
    """Nothing was lost, and everything was done once."""
    made, cut, failed = clients.told()
    assert not failed, f"{failed}\n{host.journal()}"
    assert cut <= most_cut
    assert sorted(host.ok("virsh", "-c", "qemu:///system", "list", "--all", "--name").split()) == made


@pytest.fixture(name="quiet")
def _quiet(host: Container) -> Iterator[Container]:
    """The container, without guests before and after."""
    forget = "for d in $(virsh -c qemu:///system list --all --name); do rm -f /etc/libvirt/qemu/$d.xml; done"
    host.shell(f"{forget}; systemctl stop virtqemud.service")
    yield host
    host.shell(f"{forget}; systemctl stop virtqemud.service")


def idle(host: Container) -> None:
    """What an idle exit is: the daemon goes by itself, and nobody but a caller starts it."""
    host.run("systemctl", "kill", "--kill-who=main", "--signal=TERM", "virtqemud.service")


def crash(host: Container) -> None:
    """Kill it while it answers."""
    host.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "virtqemud.service")


def upgrade(host: Container) -> None:
    """What a package does when its files are in place."""
    host.shell("systemctl daemon-reload; systemctl try-restart virtqemud.service")


def test_500_calls_across_50_restarts_idle_exits_and_upgrades_lose_none(quiet: Container) -> None:
    """Several clients call without a pause, on sockets and on the bus, while the daemon goes again and again."""
    host = quiet
    clients = Clients(host, 4, 125)
    restart = lambda: host.ok("systemctl", "restart", "virtqemud.service")  # noqa: E731
    disturb(host, [lambda: idle(host), restart, lambda: idle(host), lambda: upgrade(host)], 50)
    check(host, clients, 0)


def test_a_crash_ends_the_calls_in_hand_alone(quiet: Container) -> None:
    """Whoever waits is answered by the next process; who was being answered hears at once that it is not, once each."""
    host, kills = quiet, 10
    clients = Clients(host, 4, 30)
    disturb(host, [lambda: crash(host)], kills)
    check(host, clients, 4 * kills)


@contextmanager
def own_sockets(host: Container) -> Iterator[None]:
    """The service alone, without systemd's sockets: it makes its own."""
    units = [f"virtqemud{kind}.socket" for kind in ("", "-ro", "-admin")]
    host.ok("systemctl", "stop", "virtqemud.service", *units)
    host.ok("systemctl", "mask", "--runtime", *units)
    try:
        host.ok("systemctl", "start", "virtqemud.service")
        yield
    finally:
        host.ok("systemctl", "stop", "virtqemud.service")
        host.ok("systemctl", "unmask", "--runtime", *units)
        host.ok("systemctl", "start", *units)


def test_sockets_of_its_own_outlive_restart_and_crash(quiet: Container) -> None:
    host, kills = quiet, 3
    with own_sockets(host):
        clients = Clients(host, 2, 20, socket_only=True)
        restart = lambda: host.ok("systemctl", "restart", "virtqemud.service")  # noqa: E731
        disturb(host, [restart, lambda: crash(host)], 2 * kills)
        check(host, clients, 2 * kills)
        host.ok("virt-admin", "-c", "virtqemud:///system", "daemon-timeout", "--timeout", "1")
        deadline = time.monotonic() + 60
        while host.run("test", "-e", "/run/libvirt/virtqemud-sock").returncode == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "virtqemud-sock" not in host.ok("ls", "/run/libvirt"), "an idle exit leaves sockets that nobody answers"
