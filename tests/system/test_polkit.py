"""polkit slow, gone or talking nonsense: denied with the reason, and nobody else waits. And a user who wants it all."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest
from support.container import SCRIPT, Container

pytestmark = pytest.mark.long

BUS = ("busctl", "call", "org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.libvirt.Connect")
VIRSH = ("virsh", "-c", "qemu:///system")
PYTHON = "/usr/lib/splitvirt/bin/python"
RULES = """polkit.addRule(function(action, subject) {
    if (action.id == "org.libvirt.unix.manage" && subject.user == "alice")
        return polkit.Result.YES;
    if (action.id.indexOf("org.libvirt.api.") == 0)
        return subject.user == "alice" || subject.user == "bob" ? polkit.Result.YES : polkit.Result.NO;
});
"""
NONSENSE = """
import asyncio, os, pwd, sys
os.setuid(pwd.getpwnam("polkitd").pw_uid)  # the bus lets nobody else have polkit's name
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message

async def main():
    bus = await Bus.connect("system")
    answers = [("s", ["yes"]), ("(bb)", [[True, True]]), ("bba{ss}", [True, True, {}]), ("", []),
               ("(sba{ss})", [["true", True, {}]])]
    def asked(message):
        signature, body = answers[0]
        answers.append(answers.pop(0))
        bus.send(Message.new_method_return(message, signature, body))
        return True
    bus.on_method(asked)
    await bus.request_name("org.freedesktop.PolicyKit1")
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""
HOLD = """
import socket, struct, sys
path, count, proves = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "prove"
held, told = [], b""
for _ in range(count):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(60)
    one.connect(path)
    held.append(one)
    answer = b""
    for procedure in (66, 70) if proves else ():  # what must be proved? then ask polkit
        one.sendall(struct.pack(">7I", 28, 0x20008086, 1, procedure, 0, procedure, 0))
        answer = one.recv(4096)
        if b"max_user_clients" in answer:
            told = answer
            held.pop()
            break
print(len(held), told.count(b"may have no more"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fine(host: Container) -> Iterator[Container]:
    """Each permission asked of polkit."""
    host.shell("systemctl unmask --runtime polkit; systemctl reset-failed polkit || true; systemctl restart polkit")
    host.write("/etc/polkit-1/rules.d/10-polkit.rules", RULES)
    host.write("/etc/libvirt/virtqemud.conf", 'access_drivers = [ "polkit" ]\n')
    host.shell("cd /etc/polkit-1/rules.d; chmod 755 .; chmod 644 10-polkit.rules; systemctl restart polkit")
    host.ok("systemctl", "restart", "virtqemud.service")
    yield host
    host.shell("rm -f /etc/polkit-1/rules.d/10-polkit.rules /etc/libvirt/virtqemud.conf")
    host.shell("systemctl unmask --runtime polkit; systemctl reset-failed polkit || true; systemctl restart polkit")
    host.ok("systemctl", "restart", "virtqemud.service")


def root_is_served(host: Container) -> None:
    """Root is never asked about: whoever polkit would have to answer for is refused or waits for ever."""
    host.ok(*VIRSH, "list")
    host.ok(*BUS, "ListDomains", "u", "0")


def test_slow(fine: Container) -> None:
    host = fine
    host.ok("systemctl", "kill", "--signal=STOP", "polkit.service")
    try:
        pending = [host.start(*BUS, "ListDomains", "u", "0", user=user) for user in ("alice", "bob")]
        pending += [host.start(*VIRSH, "list", user="alice")]
        root_is_served(host)
        refused = host.run(*BUS, "ListDomains", "u", "0", user="alice")
        assert (
            "polkit gave no answer about action 'org.libvirt.unix.monitor': it took longer than 5 s" in refused.stderr
        )
        assert all(one.wait(120) != 0 for one in pending[:2])
    finally:
        host.ok("systemctl", "kill", "--signal=CONT", "polkit.service")
    assert pending[2].wait(120) == 0, "a person may take longer, and so may polkit about a person"
    assert host.ok(*BUS, "ListDomains", "u", "0", user="alice").startswith("ao ")


def test_gone_and_back(fine: Container) -> None:
    host = fine
    assert host.ok(*BUS, "ListDomains", "u", "0", user="alice").startswith("ao ")
    host.shell("systemctl stop polkit; systemctl mask --runtime polkit")
    refused = host.run(*BUS, "ListDomains", "u", "0", user="alice")
    assert "polkit gave no answer about action 'org.libvirt.unix.monitor'" in refused.stderr
    refused = host.run(*VIRSH, "list", user="alice")
    assert "polkit gave no answer about action 'org.libvirt.unix.manage'" in refused.stderr
    assert "polkit gave no answer, denied" in host.logged("-u", "virtqemud")
    root_is_served(host)
    host.shell("systemctl unmask --runtime polkit; systemctl reset-failed polkit || true; systemctl start polkit")
    assert host.ok(*BUS, "ListDomains", "u", "0", user="alice").startswith("ao ")
    host.ok(*VIRSH, "list", user="alice")


def test_nonsense(fine: Container) -> None:
    host = fine
    host.shell("systemctl stop polkit; systemctl mask --runtime polkit")
    imposter = subprocess.Popen(
        [str(SCRIPT), "exec", host.name, PYTHON, "-c", NONSENSE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert imposter.stdout is not None
        assert imposter.stdout.readline() == b"ready\n"
        for _ in range(5):
            refused = host.run(*BUS, "ListDomains", "u", "0", user="alice")
            assert "what it said is no answer" in refused.stderr
            refused = host.run(*VIRSH, "list", user="alice")
            assert "what it said is no answer" in refused.stderr
        root_is_served(host)
    finally:
        imposter.communicate(timeout=60)
    host.shell("systemctl unmask --runtime polkit; systemctl start polkit")
    host.ok(*VIRSH, "list", user="alice")


def test_a_rule_that_changes_holds_from_the_next_call_on(fine: Container) -> None:
    """A caller that stays connected: on the bus all is decided anew, on a socket each permission."""
    host = fine
    script = """
import asyncio, sys
from splitvirt.api.errors import VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.dbus.proxy import connect_bus
from splitvirt.rpc.client import connect_rpc

async def main():
    bus = await connect_bus(Hypervisor, "system", "org.splitvirt.virtqemud", "/org/libvirt/QEMU")
    socket = await connect_rpc(Hypervisor, "/run/libvirt/virtqemud-sock", "qemu:///system")
    while sys.stdin.readline():
        for root in (bus, socket):
            try:
                await root.define("nonsense")
            except VirtError as error:
                print(error.code, flush=True)

asyncio.run(main())
"""
    client = subprocess.Popen(
        [str(SCRIPT), "exec", host.name, *Container._as("alice"), PYTHON, "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip

    def told() -> tuple[str, str]:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("\n")
        return client.stdout.readline().strip(), client.stdout.readline().strip()

    def until(wanted: tuple[str, str]) -> None:
        deadline = time.monotonic() + 60
        while (now := told()) != wanted:
            assert time.monotonic() < deadline, now
            time.sleep(0.2)

    try:
        until(("35", "35"))  # they may: it is the XML that is wrong
        host.write("/etc/polkit-1/rules.d/10-polkit.rules", RULES.replace('"alice"', '"nobody"'))
        until(("29", "88"))  # read-only on the bus; connected as a manager on the socket, and denied this
        host.write("/etc/polkit-1/rules.d/10-polkit.rules", RULES)
        until(("35", "35"))
    finally:
        client.communicate(timeout=60)


def test_one_user_who_takes_all_connections(host: Container) -> None:
    """The others still get in, and the one is told why not."""
    host.shell("id carol >/dev/null 2>&1 || useradd -m carol")
    host.write("/etc/libvirt/virtqemud.conf", "max_clients = 40\nmax_anonymous_clients = 8\n")
    host.ok("systemctl", "restart", "virtqemud.service")
    greedy = subprocess.Popen(
        [str(SCRIPT), "exec", host.name, *Container._as("alice"), PYTHON, "-c", HOLD, "/run/libvirt/virtqemud-sock-ro",
         "50", "prove"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    silent = None
    try:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == "10 1\n", "a quarter of 40, and the rest refused"
        refused = host.run("virsh", "-r", "-c", "qemu:///system", "list", user="alice")
        assert "user alice has 10 clients connected and may have no more (max_user_clients)" in refused.stderr
        host.ok("virsh", "-r", "-c", "qemu:///system", "list", user="carol")
        host.ok(*VIRSH, "list", user="bob")
        host.ok(*VIRSH, "list")
        shown = host.ok("virt-admin", "-c", "virtqemud:///system", "srv-clients-info", "virtqemud")
        limits = dict(line.replace(" ", "").split(":") for line in shown.split("\n") if ":" in line)
        assert limits["nclients_user_max"] == "10"
        assert limits["nclients_unauth_user_max"] == "2"
        assert int(limits["nclients"]) >= 10
        greedy.communicate(timeout=60)
        # those that never say who they are: of alice's two are heard, the others wait, and nobody else does
        silent = subprocess.Popen(
            [str(SCRIPT), "exec", host.name, *Container._as("alice"), PYTHON, "-c",
             HOLD, "/run/libvirt/virtqemud-sock", "9", "no"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert silent.stdout is not None
        assert silent.stdout.readline() == "9 0\n"
        host.ok(*VIRSH, "list", user="bob")
        host.ok(*VIRSH, "list")
    finally:
        for one in (greedy, silent):
            if one is not None and one.poll() is None:
                one.communicate(timeout=60)
        host.shell("rm /etc/libvirt/virtqemud.conf; systemctl restart virtqemud")


def test_one_user_who_asks_too_much_at_a_time(host: Container) -> None:
    """On the bus: more calls than may be under way are refused, and others are answered."""
    script = """
import asyncio
from splitvirt.dbus.bus import Bus

async def main():
    bus = await Bus.connect("system")
    calls = [bus.call("org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.libvirt.Connect", "ListDomains", "u", [0])
             for _ in range(100)]
    done = await asyncio.gather(*calls, return_exceptions=True)
    print(sum(isinstance(one, list) for one in done), sum("LimitsExceeded" in str(one) for one in done))

asyncio.run(main())
"""
    host.write("/etc/libvirt/virtqemud.conf", "dbus_max_client_requests = 20\n")
    host.reload("virtqemud")
    try:
        done, refused = map(int, host.ok(PYTHON, "-c", script, user="alice").split())
        assert done >= 20
        assert done + refused == 100
        assert refused > 0
        assert json.loads(host.ok("busctl", "--json=short", *BUS[1:], "ListDomains", "u", "0", user="bob"))
    finally:
        host.ok("rm", "/etc/libvirt/virtqemud.conf")
        host.reload("virtqemud")


def test_root_of_a_user_namespace_is_nobody_special(host: Container) -> None:
    """Who is root in a namespace of their own is who they are outside."""
    inside = ("unshare", "--user", "--map-root-user")
    assert host.ok(*inside, "id", "-u", user="alice").strip() == "0"
    assert "no polkit agent" in host.run(*inside, *VIRSH, "list", user="alice").stderr
    denied = host.run(*inside, *BUS, "DomainDefineXML", "s", "<domain/>", user="alice")
    assert "read only access prevents" in denied.stderr or "Permission denied" in denied.stderr
    refused = host.run(*inside, "virt-admin", "-c", "virtqemud:///system", "srv-list", user="alice")
    assert refused.returncode != 0


def test_who_speaks_for_others_must_be_trusted(host: Container) -> None:
    """CONNECT_SET_IDENTITY is for sibling daemons: not for who may manage guests, and not on the read-only socket."""
    script = """
import asyncio, sys
from splitvirt.access.identity import Identity
from splitvirt.api.errors import VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.rpc.client import connect_rpc

async def main():
    try:
        await connect_rpc(Hypervisor, sys.argv[1], "qemu:///system", speak_for=Identity(0, 0, 1, 1))
        print("believed")
    except VirtError as error:
        print(error.code, error)

asyncio.run(main())
"""
    for user, socket, said in (("bob", "sock", "88 "), ("alice", "sock-ro", "88 "), ("", "sock-ro", "88 "),
                               ("", "sock", "believed")):  # fmt: skip
        told = host.ok(PYTHON, "-c", script, f"/run/libvirt/virtqemud-{socket}", user=user)
        assert told.startswith(said), (user, socket, told)
