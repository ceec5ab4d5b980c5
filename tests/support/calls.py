"""Programs that call the QEMU daemon without a pause, in a container, and tell what became of each call."""

import json
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor

from support.container import SCRIPT, Container

CUT = (
    "nd of file", "onnection reset", "roken pipe", "socket is closed", "no valid connection",
    "recipient disconnected", "emote peer disconnected", "NoReply", "did not receive a reply",
    "unit failed",  # what dbus-broker says to those who wait in it for a daemon that is killed
)  # fmt: skip
"""The words in which virsh and busctl say that whoever had their call in hand is gone."""

CLIENT = """
import itertools, json, os, signal, subprocess, sys
me, count, socket_only = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
CUT = CUT_WORDS
DOMAIN = "<domain type='qemu'><name>{}</name><memory>1024</memory><os><type arch='x86_64'>hvm</type></os></domain>"
VIRSH = ["virsh", "-q", "-c", "qemu:///system"]
BUS = ["busctl", "call", "org.splitvirt.virtqemud", "/org/libvirt/QEMU", "org.libvirt.Connect"]
made, cut, failed = [], 0, []

def call(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)

def was_cut(done):
    # virsh that writes when the daemon has just gone dies of the signal
    return done.returncode == -signal.SIGPIPE or (done.returncode and any(words in done.stderr for words in CUT))

for n in itertools.count():
    if n >= count and os.path.exists("/srv/enough"):
        break
    name = f"{me}-{n}"
    xml = DOMAIN.format(name)
    if n % 8 == 0:
        open(f"/srv/{name}.xml", "w").write(xml)
    command = {0: VIRSH + ["define", f"/srv/{name}.xml"], 1: BUS + ["ListDomains", "u", "0"],
               5: BUS + ["DomainDefineXML", "s", xml]}.get(n % 8) or [VIRSH + ["list", "--all"], BUS + ["ListDomains", "u", "0"]][n % 2]
    if socket_only and command[0] == "busctl":
        command = VIRSH + ["list", "--all"]
    done = call(command)
    if was_cut(done):
        cut += 1
        while was_cut(done):
            done = call(command)
        if "already exists" in done.stderr:  # it was done, and only the answer was cut off
            done.returncode = 0
    if done.returncode:
        failed.append(f"{command[0]} {command[4:]}: {done.returncode}: {done.stderr.strip() or done.stdout}")
    elif "define" in command or "DomainDefineXML" in command:
        made.append(name)
print(json.dumps({"made": made, "cut": cut, "failed": failed}))
"""  # noqa: E501


class Clients:
    """Programs that call without a pause, in the container: at least so often, and as long as they are disturbed."""

    def __init__(self, host: Container, count: int, calls: int, *, socket_only: bool = False) -> None:
        host.write("/srv/client.py", CLIENT.replace("CUT_WORDS", repr(CUT)))
        self.host = host
        host.ok("rm", "-f", "/srv/enough")
        self._pool = ThreadPoolExecutor(count)
        more = ["sockets"] if socket_only else []
        self._running: list[Future[str]] = [
            self._pool.submit(self._run, ["python3", "/srv/client.py", f"c{n}", str(calls), *more])
            for n in range(count)
        ]

    def _run(self, command: list[str]) -> str:
        return subprocess.run(
            [str(SCRIPT), "exec", self.host.name, *command],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=850, check=True,
        ).stdout  # fmt: skip

    def told(self) -> tuple[list[str], int, list[str]]:
        """When all are through: the guests that were defined, how many calls were cut off, what else went wrong."""
        self.host.write("/srv/enough", "")
        said = [json.loads(one.result(850)) for one in self._running]
        self._pool.shutdown()
        return (
            sorted(name for one in said for name in one["made"]),
            sum(one["cut"] for one in said),
            [words for one in said for words in one["failed"]],
        )
