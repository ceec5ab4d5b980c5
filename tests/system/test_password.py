"""polkit asks for a password: real virsh on a terminal, its real agent (pkttyagent), real polkitd and PAM."""

import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from support.container import SCRIPT, Container

pytestmark = pytest.mark.long

URI = "qemu:///system"
PASSWORD = "open-sesame"
PROMPT = "Password: "
ADMIN = ("virt-admin", "-c", "virtqemud:///system")
RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.libvirt.unix.manage" && subject.user == "alice")
        return polkit.Result.%s;
});
"""
DISMISSING = """
import asyncio, os
from splitvirt.access.identity import start_time
from splitvirt.api.errors import VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.dbus.bus import Bus
from splitvirt.dbus.library import Message
from splitvirt.rpc.client import connect_rpc

async def main():
    bus = await Bus.connect("system")
    def dismissed(message):
        bus.send(Message.new_error(message, "org.freedesktop.PolicyKit1.Error.Cancelled", "not now"))
        return True
    bus.on_method(dismissed)
    me = {"pid": bus.variant("u", os.getpid()), "start-time": bus.variant("t", start_time(os.getpid()))}
    await bus.call("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
                   "org.freedesktop.PolicyKit1.Authority", "RegisterAuthenticationAgent", "(sa{sv})ss",
                   [["unix-process", me], "C", "/agent"])
    try:
        await connect_rpc(Hypervisor, "/run/libvirt/virtqemud-sock", "qemu:///system")
    except VirtError as error:
        print(error.code, error.domain, error)

asyncio.run(main())
"""

ON_BUS = r"""#!/bin/sh
mkfifo /tmp/ready.$$
pkttyagent --process $$ --notify-fd 3 3>/tmp/ready.$$ &
cat /tmp/ready.$$; rm /tmp/ready.$$
exec busctl call --timeout=120 org.splitvirt.virtqemud /org/libvirt/QEMU org.libvirt.Connect "$@"
"""


@pytest.fixture(scope="module")
def admin(host: Container) -> Iterator[Container]:
    """An administrator whose password counts; alice has none of her own that would."""
    for program in ("pkttyagent", "systemd-run"):
        if host.run("which", program).returncode != 0:
            pytest.skip(f"{program} is not installed")
    host.shell(f"id boss >/dev/null 2>&1 || useradd -m -G sudo boss; echo boss:{PASSWORD} | chpasswd")
    yield host
    host.run("loginctl", "terminate-user", "alice")
    host.shell("rm -f /etc/polkit-1/rules.d/10-password.rules")


class Terminal:
    """A command in a login session of alice's, on a terminal: polkit's text agents speak in sessions alone."""

    def __init__(self, host: Container, command: str) -> None:
        session = ("systemd-run", "-q", "--pty", "--wait", "-p", "PAMName=login", "-p", "User=alice")
        words = [str(SCRIPT), "exec", host.name, *session, "sh", "-c", f"{command}; echo status $$?; read _"]
        self.fd, far = os.openpty()
        self.process = subprocess.Popen(words, stdin=far, stdout=far, stderr=far, start_new_session=True)
        os.close(far)
        os.set_blocking(self.fd, False)
        self.said, self._read = "", 0

    def _until(self, pattern: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.said[self._read :])) is None:
            assert time.monotonic() < deadline, f"{pattern!r} was not said:\n{self.said}"
            select.select([self.fd], [], [], 0.2)
            try:
                more = os.read(self.fd, 65536).decode(errors="replace")
            except BlockingIOError:
                continue
            except OSError:
                raise AssertionError(f"it ended before {pattern!r} was said:\n{self.said}") from None
            self.said += re.sub(r"\x1b\[[0-9;]*m", "", more).replace("\r", "")
        self._read += found.end()
        return found[0]

    def asked(self, password: str = "", meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait for the question, do something meanwhile, and type a password if there is one."""
        self._until(PROMPT, 90)
        meanwhile()
        while password:
            os.write(self.fd, password.encode() + b"\n")
            if self._until(f"AUTHENTICATION|{password}", 90) != password:
                return
            time.sleep(0.1)  # it was echoed: the agent was not ready, and throws away what was typed before

    def ended(self, status: int) -> str:
        """Wait for the command's end, with that status; all that was said."""
        assert self._until(r"status \d+", 90) == f"status {status}", self.said
        return self.said

    def close(self) -> None:
        """Hang up."""
        os.close(self.fd)
        self.process.kill()
        self.process.wait(60)


@pytest.fixture
def terminal(admin: Container) -> Iterator[Callable[[str], Terminal]]:
    opened: list[Terminal] = []

    def start(command: str) -> Terminal:
        opened.append(Terminal(admin, command))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def rule(host: Container, result: str) -> None:
    """What polkit says to alice, from now on. It starts anew: how often it reads a file that changed is not known."""
    host.write("/etc/polkit-1/rules.d/10-password.rules", RULE % result)
    host.shell("cd /etc/polkit-1/rules.d; chmod 755 .; chmod 644 10-password.rules")
    host.shell("systemctl reset-failed polkit || true; systemctl restart polkit")


def test_the_right_password_lets_in(terminal: Callable[[str], Terminal]) -> None:
    shell = terminal(f"virsh -c {URI} uri")
    shell.asked(PASSWORD)
    assert f"\n{URI}\n" in shell.ended(0)
    assert "AUTHENTICATION COMPLETE" in shell.said


def test_a_wrong_password_is_asked_for_again(terminal: Callable[[str], Terminal]) -> None:
    """virsh tries five times where the error says that polkit denied it."""
    shell = terminal(f"virsh -c {URI} uri")
    shell.asked("wrong")
    shell.asked(PASSWORD)
    assert f"\n{URI}\n" in shell.ended(0)
    shell = terminal(f"virsh -c {URI} uri")
    for _ in range(5):
        shell.asked("wrong")
    assert "error: authentication failed: access denied by policy\n" in shell.ended(1)


def test_an_agent_that_goes_away(admin: Container, terminal: Callable[[str], Terminal]) -> None:
    shell = terminal(f"virsh -c {URI} uri")
    shell.asked(meanwhile=lambda: admin.shell("kill $(pgrep -u alice pkttyagent)"))
    assert "no polkit agent available to authenticate action 'org.libvirt.unix.manage'" in shell.ended(1)


def test_nobody_to_ask(admin: Container) -> None:
    refused = admin.run("virsh", "-c", URI, "uri", user="alice")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "error: failed to connect to the hypervisor",
        "error: authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
    ]


def test_who_declines_is_told_so(admin: Container) -> None:
    said = admin.ok("/usr/lib/splitvirt/bin/python", "-c", DISMISSING, user="alice")
    assert said == "79 60 authentication cancelled: user cancelled authentication process\n"  # VIR_ERR_AUTH_CANCELLED


def test_a_caller_on_the_bus_is_asked_where_its_call_needs_it(
    admin: Container, terminal: Callable[[str], Terminal]
) -> None:
    admin.write("/srv/onbus", ON_BUS)
    shell = terminal("sh /srv/onbus ListDomains u 0")
    assert "ao " in shell.ended(0)
    assert PROMPT not in shell.said
    defined = 'DomainDefineXML s "`cat /srv/demo.xml`"'
    shell = terminal(f"sh /srv/onbus {defined}")
    shell.asked(PASSWORD, meanwhile=lambda: admin.ok("virsh", "-c", URI, "list"))
    assert 'o "/org/libvirt/QEMU/domain/' in shell.ended(0)
    shell = terminal(f"sh /srv/onbus {defined}")
    shell.asked("wrong")
    assert "read only access prevents virDomainDefineXML" in shell.ended(1)
    admin.ok("virsh", "-c", URI, "undefine", "demo")


def test_a_password_is_kept_where_polkit_keeps_it(admin: Container, terminal: Callable[[str], Terminal]) -> None:
    twice = f"virsh 'connect {URI}; connect {URI}; uri'"
    rule(admin, "AUTH_ADMIN_KEEP")
    shell = terminal(twice)
    shell.asked(PASSWORD)
    assert f"\n{URI}\n" in shell.ended(0)
    assert shell.said.count(PROMPT) == 1
    rule(admin, "AUTH_ADMIN")
    shell = terminal(twice)
    shell.asked(PASSWORD)
    shell.asked(PASSWORD)
    assert f"\n{URI}\n" in shell.ended(0)
    assert shell.said.count(PROMPT) == 2
    admin.shell("rm -f /etc/polkit-1/rules.d/10-password.rules")


def test_nobody_else_waits_while_one_is_asked(admin: Container, terminal: Callable[[str], Terminal]) -> None:
    host, bus = admin, ("busctl", "call", "org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.libvirt.Connect")

    def others() -> None:
        host.ok("virsh", "-c", URI, "list")
        host.ok("virsh", "-c", URI, "list", user="bob")
        host.ok("virsh", "-r", "-c", URI, "list", user="alice")
        host.ok(*bus, "ListDomains", "u", "0", user="alice")
        assert "no polkit agent" in host.run("virsh", "-c", URI, "list", user="alice").stderr
        unproved = re.search(r"nclients_unauth *: (\d+)", host.ok(*ADMIN, "srv-clients-info", "virtqemud"))
        assert unproved is not None
        assert unproved[1] == "1"

    shell = terminal(f"virsh -c {URI} uri")
    shell.asked(PASSWORD, meanwhile=others)
    assert f"\n{URI}\n" in shell.ended(0)


def test_a_terminal_does_not_keep_virsh_asking_a_polkit_that_is_gone(
    admin: Container, terminal: Callable[[str], Terminal]
) -> None:
    host = admin
    host.shell("systemctl stop polkit; systemctl mask --runtime polkit")
    try:
        assert "polkit gave no answer about action 'org.libvirt.unix.manage'" in terminal(f"virsh -c {URI} uri").ended(
            1
        )
    finally:
        host.shell("systemctl unmask --runtime polkit; systemctl reset-failed polkit || true; systemctl start polkit")
