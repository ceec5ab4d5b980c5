"""`splitvirt doctor`: what is wrong with this machine's set-up, in plain words, and the command that mends it."""

import argparse
import asyncio
import grp
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from splitvirt.api.errors import VirtError
from splitvirt.cli.finding import NOTE, OK, PROBLEM, Check, Finding, said
from splitvirt.cli.services import DAEMONS, bus, polkit, rival, sockets, units
from splitvirt.cli.status import layout_of
from splitvirt.host.paths import SOCKET_PATH_MAX, Layout, socket_path_fits

EXITS = {0: "nothing is wrong", 1: "something is"}


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
    elif shown:
        print("\n".join(map(text, shown)))
    return int(any(one.level == PROBLEM for one in findings))


def text(one: Finding) -> str:
    """A finding for a person."""
    mark = {OK: "+", NOTE: "-", PROBLEM: "!"}[one.level]
    return f"{mark} {one.about}: {one.said}" + (f"\n    {one.mend}" if one.mend else "")


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
    try:
        group = grp.getgrnam("libvirt")
    except KeyError:
        yield Finding(NOTE, "you", "are not in the group libvirt, which does not exist", "groupadd --system libvirt")
        return
    if group.gr_gid in os.getgroups():
        yield Finding(OK, "you", "are in the group libvirt: polkit lets you manage guests without a password")
    else:
        who = "adduser $USER libvirt   # then log in anew"
        yield Finding(NOTE, "you", "are not in the group libvirt: polkit asks for a password to change anything", who)


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
        here = (one.name for one in Path("/sys/fs/cgroup").glob("*") if one.is_dir())
        found = sorted({part for name in here for part in name.split(",")} - {"systemd", "unified"})
        how = "cgroup 1"
    missing = {"cpu", "memory"} - set(found)
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
    if os.geteuid() == 0 and shutil.which("nft") and said("nft", "list", "tables") is None:
        yield Finding(PROBLEM, "nft", "does not work: networks cannot start", "modprobe nf_tables")
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
            yield Finding(PROBLEM, "configuration", line, _edit(line, layout, daemon))
        for line in config.warnings:
            yield Finding(NOTE, "configuration", line)
        if not config.errors + config.warnings + hidden:
            yield Finding(OK, "configuration", f"of {daemon} is in order")


def _edit(error: str, layout: Layout, daemon: str) -> str:
    """A command that mends a line of a file, which takes a person, and has the daemon read it."""
    path, number = error.split(":")[:2]
    line = f"+{number} " if number.strip().isdigit() else ""
    user = "--user " if layout.mode == "session" else ""
    then = "" if layout.root else f" && systemctl {user}try-reload-or-restart {daemon}.service"
    return f"${{EDITOR:-vi}} {line}{shlex.quote(path)}{then}"


CHECKS: tuple[Check, ...] = (
    paths, configuration, rival, bus, sockets, units, polkit, caller, emulator, cgroups, network,
)  # fmt: skip
"""In the order in which what they name is done: each command finds what it needs mended already."""
