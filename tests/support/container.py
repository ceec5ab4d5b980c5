"""A machine of a test's own: this Debian under a real systemd in a container, with splitvirt installed as services."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SCRIPT = TOP / "tests/system/container.sh"
# A checkout may lie below /tmp or /root, which the units do not see: in the container it is at /srv too, with an
# interpreter of its own that finds the packages of the one that runs the tests.
INTERPRETER = """
mkdir -p /srv/checkout; mount --rbind {top} /srv/checkout
cd /; {python} -m venv --without-pip /opt/splitvirt
packages=$(realpath --relative-to={top} {packages})
case $packages in ../*) packages={packages};; *) packages=/srv/checkout/$packages;; esac
cd /opt/splitvirt/lib/python3*/site-packages
printf '%s\n' /srv/checkout/common /srv/checkout/daemons "$packages" > checkout.pth
for program in splitvirt:splitvirt.cli virtqemud:virtqemud virtnetworkd:virtnetworkd; do
    printf '%s\n' '#!/opt/splitvirt/bin/python' 'import sys' "from ${{program#*:}}.__main__ import main" \\
        'sys.exit(main())' > /opt/splitvirt/bin/${{program%:*}}
    chmod 755 /opt/splitvirt/bin/${{program%:*}}
done
"""
CARD = "<interface type='network'><source network='default'/><model type='virtio'/></interface>"
DEMO = """<domain type='qemu'>
  <name>demo</name>
  <uuid>8e3f4f62-6e34-4a44-9d0f-1d8d3a1d0001</uuid>
  <memory unit='MiB'>48</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><serial type='pty'/></devices>
</domain>
"""
_NEEDED = ("unshare", "nsenter", "systemctl", "busctl", "virsh", "pkcheck", "pgrep")


class Container:
    """A running container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(
        self, *command: str, user: str = "", timeout: float = 120, **given: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root or as `user`; the output is kept as text, the status is not looked at."""
        return subprocess.run(
            [str(SCRIPT), "exec", self.name, *self._as(user), *command],
            capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, *command: str, user: str = "") -> subprocess.Popen[bytes]:
        """Start a command and do not wait for it; what it says is dropped."""
        return subprocess.Popen(
            [str(SCRIPT), "exec", self.name, *self._as(user), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @staticmethod
    def _as(user: str) -> list[str]:
        return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env"] if user else []

    def ok(self, *command: str, user: str = "", timeout: float = 120) -> str:
        """Run a command that has to succeed; its output."""
        done = self.run(*command, user=user, timeout=timeout)
        assert done.returncode == 0, (
            f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}"
        )
        return done.stdout

    def shell(self, script: str, *, user: str = "", timeout: float = 120) -> str:
        """Run a shell script that has to succeed; its output."""
        return self.ok("bash", "-euc", script, user=user, timeout=timeout)

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        done = subprocess.run(
            [str(SCRIPT), "exec", self.name, "sh", "-c", f"mkdir -p {os.path.dirname(path)}; cat > {path}"],
            input=text, text=True, check=False, capture_output=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def logged(self, *words: str) -> str:
        """What `journalctl` finds, once it has all that was said before this call."""
        self.ok("journalctl", "--sync")
        return self.ok("journalctl", "--no-pager", *words)

    def reload(self, daemon: str) -> None:
        """Have a daemon read its configuration again; systemd itself does not wait until it has."""
        unit, since = f"{daemon}.service", self.ok("date", "+%F %T.%6N").strip()
        self.ok("systemctl", "reload-or-restart", unit)
        deadline = time.monotonic() + 60
        while not re.search("configuration reloaded|is ready", self.logged("-u", unit, "--since", since)):
            assert time.monotonic() < deadline, self.journal()
            time.sleep(0.05)

    def journal(self) -> str:
        """The last lines of the journal, for a failing test's message."""
        return self.run("journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic").stdout


@contextmanager
def container(name: str, bus: str = "", unmasked: str = "") -> Iterator[Container]:
    """Boot one, with splitvirt installed from this checkout and its sockets enabled; skips where it cannot be."""
    if os.geteuid() != 0:
        pytest.skip("a systemd container needs root")
    for program in _NEEDED:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if bus == "broker" and shutil.which("dbus-broker-launch") is None:
        pytest.skip("dbus-broker is not installed")
    environment = os.environ | {"BUS": bus, "READ_ONLY": str(TOP), "UNMASKED": unmasked}
    booted = subprocess.run(
        [str(SCRIPT), "start", name], env=environment, capture_output=True, text=True, timeout=270, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if booted.returncode == 125:
            pytest.skip(f"this machine runs no container: {booted.stderr.strip()}")
        assert booted.returncode == 0, booted.stderr
        host = Container(name)
        host.shell(INTERPRETER.format(top=TOP, python=sys.executable, packages=sysconfig.get_path("purelib")))
        host.ok(str(TOP / "packaging/install.sh"), "--python", "/opt/splitvirt", "--now")
        yield host
    finally:
        subprocess.run([str(SCRIPT), "stop", name], capture_output=True, timeout=60, check=False)
