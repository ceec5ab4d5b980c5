"""A table of virsh command lines, run in order against one daemon; what comes out is made comparable.

The same run against Debian's libvirtd recorded what is expected (tests/integration/virsh/record.py).
"""

import contextlib
import json
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .guest import guest_files
from .watcher import Watcher, watching

HERE = Path(__file__).resolve().parent.parent / "integration/virsh"
EXPECTED = HERE / "expected.json"
TOLD = HERE / "applications.json"
SYSTEM_PYTHON = "/usr/bin/python3"
UUID = "6a1a4b8e-8d58-4bd6-a1b1-7d2f1a0c9b11"
MARKS = "~=?&"
REPORTED = re.compile(r"(balloon\.)?(swap_|major_|minor_|unused|available|usable|disk_caches|hugetlb_)")
"""Figures that a guest's balloon driver begins to report when its kernel has come so far."""
HANG = 60.0
"""Seconds that a command may take; after them it is said to hang."""


class Row(NamedTuple):
    """A command line, and how its output is compared (see commands.txt)."""

    number: int
    mark: str
    command: str


class Outcome(NamedTuple):
    """What became of a command; `status` is -1 when it did not end."""

    status: int
    output: str


def rows() -> Iterator[Row]:
    """The table."""
    lines = (line.strip() for line in (HERE / "commands.txt").read_text().splitlines())
    for number, line in enumerate(line for line in lines if line and not line.startswith("#")):
        mark = line[0] if line[0] in MARKS else ""
        yield Row(number, mark, line.removeprefix(mark).strip())


def guest_xml(name: str = "g", uuid: str = UUID, *, os: str = "", extra: str = "") -> str:
    """The guest of the table: a little of everything that commands speak of."""
    kernel, initrd = guest_files()
    boot = f"<kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline>"
    return f"""<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <title>A title</title>
  <description>Some words</description>
  <memory unit='MiB'>128</memory>
  <vcpu current='2'>4</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>{os or boot}</os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>{extra}
    <serial type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' autoport='yes' listen='127.0.0.1'/>
    <video><model type='vga'/></video>
  </devices>
</domain>
"""


def write_files(folder: Path) -> None:
    """What the commands name."""
    (folder / "a.img").write_bytes(b"\0" * (1 << 20))
    (folder / "b.img").write_bytes(b"\0" * (1 << 20))
    disks = (
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{folder}/a.img'/>"
        "<target dev='vda' bus='virtio'/></disk>"
        "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
        "<interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>"
    )
    whole = guest_xml(extra=disks)
    files = {
        "g": whole,
        "t": guest_xml("t", UUID[:-1] + "2", os="<boot dev='hd'/>"),
        "clash": guest_xml(uuid=UUID[:-1] + "3"),
        "uuidclash": guest_xml("other"),
        "notxml": "<domain",
        "noname": whole.replace("<name>g</name>", ""),
        "nomemory": whole.replace("<memory unit='MiB'>128</memory>", ""),
        "badtype": whole.replace("type='qemu'>", "type='nosuch'>", 1),
        "odd": whole.replace("<title>", "<oddness/><title>"),
        "network": "<network><name>n</name></network>",
        "cpu": "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>",
        "cpu-odd": "<cpu mode='custom' match='exact'><model>nosuch</model></cpu>",
        "rng": "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "norng": "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>",
        "nosuchdevice": "<nosuch/>",
        "disk": f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>"
        f"<source file='{folder}/a.img'/><target dev='vda' bus='virtio'/></disk>",
        "nodisk": f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file='{folder}/a.img'/><target dev='vdz' bus='virtio'/></disk>",
    }
    for name, text in files.items():
        (folder / f"{name}.xml").write_text(text)


def run(uri: str, folder: Path) -> list[Outcome]:
    """Every command's outcome, in order; `folder` is empty, short-lived and readable by the daemon."""
    write_files(folder)
    made: dict[int, Outcome] = {}
    with contextlib.ExitStack() as background:
        watchers: list[tuple[Row, Watcher]] = []
        for row in rows():
            words = shlex.split(row.command.replace("{dir}", str(folder)).replace("{uuid}", UUID))
            if row.mark == "&":
                own = Path(background.enter_context(tempfile.TemporaryDirectory(prefix="vw-")))
                watchers.append((row, background.enter_context(watching(uri, words, own, _marking))))
            else:
                made[row.number] = _one(["virsh", "-c", uri, *words], row, folder)
        for row, watcher in watchers:
            made[row.number] = Outcome(0, comparable(watcher.heard(), row.mark, folder))
    return [made[number] for number in sorted(made)]


def _marking(name: str) -> str:
    return f"<domain type='qemu'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"


def _one(argv: list[str], row: Row, folder: Path) -> Outcome:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=HANG, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(-1, "")
    return Outcome(done.returncode, comparable(done.stdout, row.mark, folder))


def comparable(output: str, mark: str, folder: Path) -> str:
    """An output without what differs from run to run."""
    kernel, initrd = guest_files()
    for old, new in ((str(folder), "DIR"), (str(kernel), "KERNEL"), (str(initrd), "INITRD")):
        output = output.replace(old, new)
    output = re.sub(r"/dev/pts/\d+", "/dev/pts/N", output)
    output = re.sub(r"(port|websocket)='59\d\d'", r"\1='59NN'", output)
    output = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:N", output)
    output = re.sub(
        r"/[^'\"\s]*/(channel/target|target|qemu/channel)/[^'\"\s]*/(org\.qemu[^'\"\s]*)", r"CHANNEL/\2", output
    )
    output = re.sub(r"-{8,}", "---", output)
    output = re.sub(r"libvirt-\d+\"", 'libvirt-N"', output)
    lines = [re.sub(r"\s+", " ", line).rstrip() for line in output.splitlines() if line.strip()]
    if mark == "?":
        return ""
    if mark == "=":
        lines = [line for line in lines if not REPORTED.match(line.strip())]
        return "\n".join(re.sub(r"\d+", "N", re.split(r"[\s:=]", line.strip())[0]) for line in lines)
    if mark == "&":  # what the guest does by itself comes at any time
        lines = [line for line in lines if not re.search(r"'(balloon-change|reboot)'|Resumed Unpaused", line)]
        lines.sort(key=lambda line: "'agent-lifecycle'" in line)  # told when the port's state is known: before or after
    if mark in ("~", "&"):
        return "\n".join(re.sub(r"\d+(\.\d+)?", "N", line) for line in lines)
    return "\n".join(lines)


def load() -> dict[str, list[object]]:
    """What was recorded: "NUMBER COMMAND" → [status, output]."""
    found: dict[str, list[object]] = json.loads(EXPECTED.read_text())
    return found


def applications(uri: str, folder: Path) -> list[list[Any]]:
    """What libvirt-python gives applications (support/applications.py): [name, outcome] by call."""
    program = Path(__file__).with_name("applications.py")
    argv = [SYSTEM_PYTHON, str(program), uri, str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    told: list[list[Any]] = json.loads(done.stdout.replace(str(folder), "DIR"))
    return told
