"""`splitvirt doctor`: what is wrong with this machine's set-up, in plain words, and the command that mends it."""

import argparse
import asyncio
import contextlib
import grp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from splitvirt.api.errors import VirtError
from splitvirt.cli.status import holder, is_listening, layout_of
from splitvirt.host.paths import SOCKET_PATH_MAX, Layout, socket_path_fits

OK, NOTE, PROBLEM = "ok", "note", "problem"
DAEMONS = ("virtqemud", "virtnetworkd")
UNITS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
ROLES = (("", "calls"), ("ro", "read-only calls"), ("admin", "administration"))


@dataclass
class Finding:
    """One thing that was looked at: how it is, and where it is wrong the command that mends it."""

    level: str
    about: str
    said: str
    mend: str = ""


Check = Callable[[Layout], Iterator[Finding]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the subcommand takes."""
    parser.add_argument("--root", metavar="DIR", help="a set-up that was made with --root DIR")
    parser.add_argument("--session", action="store_true", help="this user's own daemons")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is wrong")


def run(options: argparse.Namespace) -> int:
    """Look at everything. 0 when nothing is wrong, 1 when something is."""
    layout = layout_of(options)
    findings = [one for check in CHECKS for one in check(layout)]
    shown = [one for one in findings if not options.quiet or one.level == PROBLEM]
    if options.json:
        print(json.dumps([asdict(one) for one in shown], indent=2))
    else:
        print("\n".join(map(text, shown)))
    return int(any(one.level == PROBLEM for one in findings))


def text(one: Finding) -> str:
    """A finding for a person."""
    mark = {OK: "+", NOTE: "-", PROBLEM: "!"}[one.level]
    return f"{mark} {one.about}: {one.said}" + (f"\n    {one.mend}" if one.mend else "")


def said(*command: str) -> str | None:
    """What a command printed, None when it is not there, fails or takes long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def sockets(layout: Layout) -> Iterator[Finding]:
    """Which sockets there are, and who serves them."""
    for daemon in DAEMONS:
        pid = holder(layout.run / f"{daemon}.pid")
        who = f"process {pid}" if pid else "systemd, which starts the daemon at the first call"
        for kind, role in ROLES:
            if kind == "ro" and layout.mode == "session":
                continue
            path = layout.socket(daemon, kind)  # type: ignore[arg-type]
            about = f"{daemon}, socket for {role}"
            if not path.exists():
                unit = f"{daemon}{'-' + kind if kind else ''}.socket"
                yield Finding(PROBLEM, about, f"{path} is not there", _start(layout, daemon, unit))
            elif not is_listening(path):
                yield Finding(PROBLEM, about, f"{path} is there and nobody serves it: clients fail", f"rm {path}")
            else:
                yield Finding(OK, about, f"{path}, served by {who}")


def _start(layout: Layout, daemon: str, unit: str) -> str:
    if layout.root:
        return f"{daemon} --root {layout.root}"
    if not Path("/run/systemd/system").exists():
        return f"{daemon} &"  # nobody else would start it
    user = layout.mode == "session"
    if not any(Path(folder, "user" if user else "system", unit).exists() for folder in UNITS):
        return "packaging/install.sh --now"
    return f"systemctl {'--user ' if user else ''}enable --now {unit}"


def rival(layout: Layout) -> Iterator[Finding]:
    """libvirt's own daemons, which manage the same objects in the same files."""
    if layout.root:
        return
    found = False
    for unit in ("libvirtd.service", "libvirtd.socket"):
        if said("systemctl", "is-active", unit) is not None:
            found = True
            mend = "systemctl disable --now libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
            yield Finding(PROBLEM, "libvirt's own daemons", f"{unit} is active: it manages the same guests", mend)
    for daemon in DAEMONS:
        shown = said("systemctl", "cat", f"{daemon}.service")
        if shown and "splitvirt" not in shown:
            found = True
            yield Finding(PROBLEM, daemon, "the unit of that name is libvirt's own", "apt-get remove libvirt-daemon")
    if not found:
        yield Finding(OK, "libvirt's own daemons", "none is in the way")


def units(layout: Layout) -> Iterator[Finding]:
    """Whether the units start by themselves after a reboot."""
    if layout.root or not Path("/run/systemd/system").exists():
        return
    user = ["--user"] if layout.mode == "session" else []
    for daemon in DAEMONS:
        state = subprocess.run(
            ["systemctl", *user, "is-enabled", f"{daemon}.socket"], capture_output=True, text=True, check=False
        ).stdout.strip()  # fmt: skip
        mend = f"systemctl {'--user ' if user else ''}enable --now {daemon}.socket {daemon}.service"
        if state == "enabled":
            yield Finding(OK, f"{daemon}.socket", "enabled")
        elif state in ("", "not-found"):
            yield Finding(PROBLEM, f"{daemon}.socket", "the unit is not installed", "packaging/install.sh --now")
        else:
            yield Finding(PROBLEM, f"{daemon}.socket", f"{state}: it will not be there after a reboot", mend)


def bus(layout: Layout) -> Iterator[Finding]:
    """Which bus names exist, and whether they can be activated."""
    if layout.root or shutil.which("busctl") is None:
        return
    which = "--user" if layout.mode == "session" else "--system"
    listed = said("busctl", which, "list", "--no-legend")
    if listed is None:
        yield Finding(NOTE, "D-Bus", f"there is no {which.strip('-')} bus: only the sockets serve")
        return
    rows = {line.split()[0]: line.split() for line in listed.splitlines() if line.strip()}
    for daemon in DAEMONS:
        name = f"org.splitvirt.{daemon}"
        if name not in rows:
            mend = f"systemctl enable {daemon}.service && systemctl reload dbus"
            yield Finding(PROBLEM, name, "unknown to the bus: its activation file is missing", mend)
        elif rows[name][1] == "-":
            yield Finding(OK, name, "starts at the first call")
        else:
            yield Finding(OK, name, f"owned by process {rows[name][1]}")


def caller(layout: Layout) -> Iterator[Finding]:
    """What this user may do."""
    uid = os.geteuid()
    if uid == 0 or layout.mode == "session":
        yield Finding(OK, "you", f"user {uid} may do everything here")
        return
    path = layout.socket("virtqemud")
    if path.exists() and not os.access(path, os.W_OK):
        yield Finding(
            PROBLEM, "you", f"may not open {path}", "systemctl edit virtqemud.socket   # SocketMode, SocketGroup"
        )
    with contextlib.suppress(KeyError):
        group = grp.getgrnam("libvirt")
        if group.gr_gid in os.getgroups():
            yield Finding(OK, "you", "are in the group libvirt: polkit lets you manage guests without a password")
        else:
            who = "adduser $USER libvirt   # then log in anew"
            yield Finding(
                NOTE, "you", "are not in the group libvirt: polkit asks for a password to change anything", who
            )
    if shutil.which("pkcheck") is None:
        yield Finding(PROBLEM, "polkit", "is not installed: only root may manage guests", "apt-get install polkitd")


def emulator(layout: Layout) -> Iterator[Finding]:
    """QEMU, and whether KVM runs guests."""
    path = shutil.which(f"qemu-system-{os.uname().machine}")
    if path is None:
        yield Finding(PROBLEM, "QEMU", "is not installed", "apt-get install qemu-system")
        return
    yield Finding(OK, "QEMU", (said(path, "--version") or path).splitlines()[0])
    try:
        why = asyncio.run(
            import_module("virtqemud.emulator.kvm").try_kvm(path)
        )  # by name: the daemon may not be installed
    except ImportError:
        return
    except VirtError as error:
        why = str(error)
    if why:
        mend = "adduser $USER kvm" if "may not be opened" in why else ""
        if "does not exist" in why:
            mend = "modprobe kvm_intel || modprobe kvm_amd"
        yield Finding(NOTE, "KVM", f"{why}. Guests of type 'qemu' run, slowly", mend)
    else:
        yield Finding(OK, "KVM", "runs a guest")


def cgroups(layout: Layout) -> Iterator[Finding]:
    """Which controllers can limit guests."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        found = unified.read_text().split()
        how = "cgroup 2"
    else:
        found = sorted(one.name for one in Path("/sys/fs/cgroup").glob("*") if one.is_dir())
        how = "cgroup 1"
    missing = {"cpu", "memory"} - {part for name in found for part in name.split(",")}
    if missing:
        kernel = "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line"
        yield Finding(NOTE, "cgroups", f"{how} without {', '.join(sorted(missing))}: those limits do nothing", kernel)
    else:
        yield Finding(OK, "cgroups", f"{how} with {', '.join(found)}")


def network(layout: Layout) -> Iterator[Finding]:
    """What virtual networks need."""
    for program, package in (("dnsmasq", "dnsmasq-base"), ("nft", "nftables")):
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
        if path is None:
            yield Finding(PROBLEM, program, "is not installed: networks cannot start", f"apt-get install {package}")
        else:
            yield Finding(OK, program, path)
    if said("systemctl", "is-active", "firewalld.service") is not None:
        mend = "firewall-cmd --permanent --zone=trusted --add-interface=virbr0 && firewall-cmd --reload"
        yield Finding(NOTE, "firewall", "firewalld runs: it may drop what our rules let through", mend)
    if not Path("/dev/net/tun").exists():
        yield Finding(PROBLEM, "taps", "/dev/net/tun is not there: guests cannot be on networks", "modprobe tun")


def paths(layout: Layout) -> Iterator[Finding]:
    """Whether sockets are within reach of a socket address."""
    for daemon in DAEMONS:
        path = layout.socket(daemon, "admin")
        if not socket_path_fits(path):
            text = f"{path} has more than {SOCKET_PATH_MAX} bytes: clients cannot connect to it"
            yield Finding(PROBLEM, "paths", text, "choose a shorter directory")
            return
    yield Finding(OK, "paths", f"sockets in {layout.run} are within reach")


def configuration(layout: Layout) -> Iterator[Finding]:
    """Whether the configuration files can be read."""
    from splitvirt.daemon.config import Config
    from splitvirt.daemon.keys import DAEMON, FILES

    for daemon in DAEMONS:
        name, keys = FILES[daemon]
        files = [(layout.etc / f"{daemon}.conf", DAEMON), (layout.etc / name, keys)]
        hidden = [path for path, _ in files if os.path.exists(path) and not os.access(path, os.R_OK)]
        config = Config.load({**DAEMON, **keys}, [file for file in files if file[0] not in hidden])
        for path in hidden:
            yield Finding(NOTE, "configuration", f"{path} may not be read by this user")
        for line in config.errors:
            yield Finding(PROBLEM, "configuration", line, f"{sys.executable} -m {daemon} --check-config")
        for line in config.warnings:
            yield Finding(NOTE, "configuration", line)
        if not config.errors + config.warnings + hidden:
            yield Finding(OK, "configuration", f"of {daemon} is in order")


CHECKS: tuple[Check, ...] = (
    sockets, rival, units, bus, caller, emulator, cgroups, network, paths, configuration,
)  # fmt: skip
