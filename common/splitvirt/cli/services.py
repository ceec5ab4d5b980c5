"""What the doctor knows of services: sockets, units, libvirt's own daemons, names on the bus, polkit."""

import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from splitvirt.cli.finding import INSTALL, NOTE, OK, PROBLEM, Finding, asked, said
from splitvirt.cli.status import holder, is_listening
from splitvirt.host.paths import Layout

DAEMONS = ("virtqemud", "virtnetworkd")
ROLES = (("", "calls"), ("ro", "read-only calls"), ("admin", "administration"))
UNITS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
DEFAULT = {"libvirt-sock": "virtqemud-sock", "libvirt-sock-ro": "virtqemud-sock-ro",
           "libvirt-admin-sock": "virtqemud-admin-sock"}  # fmt: skip
"""Where clients that name no driver look, and what should be there."""
RIVALS = ("libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket")
POLKIT = "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority"


def sockets(layout: Layout) -> Iterator[Finding]:
    """Which sockets there are, and who serves them."""
    for daemon in DAEMONS:
        if unwanted(layout, daemon):
            unmask = f"{_systemctl(layout)} unmask {daemon}.socket {daemon}.service"
            yield Finding(NOTE, daemon, "is masked: somebody wants this host to be without it", unmask)
            continue
        pid = holder(layout.run / f"{daemon}.pid")
        who = f"process {pid}" if pid else "systemd, which starts the daemon at the first call"
        for kind, role in ROLES:
            if kind == "ro" and layout.mode == "session":
                continue
            path = layout.socket(daemon, kind)  # type: ignore[arg-type]
            about = f"{daemon}, socket for {role}"
            mend = _start(layout, daemon, f"{daemon}{'-' + kind if kind else ''}.socket", running=bool(pid))
            if not path.exists():
                yield Finding(PROBLEM, about, f"{path} is not there", mend)
            elif not is_listening(path):
                told = f"{path} is there and nobody serves it: clients fail"
                yield Finding(PROBLEM, about, told, mend if _managed(layout) else f"rm {shlex.quote(str(path))}")
            else:
                yield Finding(OK, about, f"{path}, served by {who}")


def _managed(layout: Layout) -> bool:
    """Whether systemd starts these daemons."""
    return not layout.root and Path("/run/systemd/system").exists()


def _systemctl(layout: Layout) -> str:
    return "systemctl --user" if layout.mode == "session" else "systemctl"


def unwanted(layout: Layout, daemon: str) -> bool:
    """Whether somebody has said that this host is to be without a daemon."""
    return _managed(layout) and all(
        _state(layout, f"{daemon}.{kind}").startswith("masked") for kind in ("socket", "service")
    )


def _start(layout: Layout, daemon: str, unit: str, *, running: bool) -> str:
    """The command after which a unit (or a daemon that nobody starts) is there, now and after a reboot."""
    if layout.root:
        return f"{daemon} --root {shlex.quote(str(layout.root))}"
    if not _managed(layout):
        return f"{daemon} &"
    state, call = _state(layout, unit), _systemctl(layout)
    if state == "not-found":
        return INSTALL
    first = f"{call} unmask {unit} && " if state.startswith("masked") else ""
    if running and unit.endswith(".socket"):  # systemd opens no socket of a service that runs
        return f"{first}{call} enable {unit} && {call} restart {daemon}.service"
    return f"{first}{call} enable --now {unit}"


def _state(layout: Layout, unit: str) -> str:
    """What `systemctl is-enabled` says of a unit: enabled, disabled, masked, not-found ..."""
    user = layout.mode == "session"
    state = asked("systemctl", *(["--user"] if user else []), "is-enabled", unit)[1].strip()
    there = any(Path(folder, "user" if user else "system", unit).exists() for folder in UNITS)
    return state or ("disabled" if there else "not-found")


def rival(layout: Layout) -> Iterator[Finding]:
    """libvirt's own daemons, which manage the same objects in the same files, and whom clients reach by default."""
    if layout.root:
        return
    about, again = "libvirt's own daemons", " && ".join(_links(layout, DEFAULT))
    found = [] if layout.mode == "session" else [unit for unit in RIVALS if _is(unit, "active") or _is(unit, "enabled")]
    if found:
        how = "active: it manages" if any(_is(unit, "active") for unit in found) else "enabled: it will manage"
        mend = f"systemctl disable --now {' '.join(RIVALS)} && {again}"
        yield Finding(PROBLEM, about, f"{found[0]} is {how} the same guests", mend)
    elif pid := holder(layout.run / "libvirtd.pid"):
        found = [str(pid)]
        yield Finding(PROBLEM, about, f"libvirtd runs as process {pid}: it manages the same guests", f"kill {pid}")
    for daemon in DAEMONS:
        shown = said("systemctl", "cat", f"{daemon}.service")
        if shown and "ExecStart=" in shown and "splitvirt" not in shown:
            found.append(daemon)
            mend = f"apt-get remove libvirt-daemon && {INSTALL}"
            yield Finding(PROBLEM, daemon, "the unit of that name is libvirt's own", mend)
    if not found:
        yield Finding(OK, about, "none is in the way")
        yield from _default(layout)


def _is(unit: str, state: str) -> bool:
    return said("systemctl", "--quiet", f"is-{state}", unit) is not None


def _default(layout: Layout) -> Iterator[Finding]:
    """Whether `virsh` and `virt-admin` without a URI reach us."""
    meant = [name for name, ours in DEFAULT.items() if (layout.run / ours).exists()]
    if not _managed(layout) or not meant:
        return
    lost = [name for name in meant if (layout.run / name).resolve() != layout.run / DEFAULT[name]]
    about = "clients that name no driver"
    if lost:
        what = "somebody else's" if (layout.run / lost[0]).exists() else "not there"
        told = f"{layout.run / lost[0]} is {what}: virsh needs -c qemu:///..."
        yield Finding(PROBLEM, about, told, " && ".join(_links(layout, lost)))
    else:
        yield Finding(OK, about, f"reach virtqemud by {layout.run / meant[0]}")


def _links(layout: Layout, names: Iterable[str]) -> Iterator[str]:
    return (f"ln -sf {DEFAULT[name]} {shlex.quote(str(layout.run / name))}" for name in names)


def units(layout: Layout) -> Iterator[Finding]:
    """Whether the daemons are there after a reboot, can be started by the bus, and did not fail."""
    if not _managed(layout):
        return
    for daemon in (one for one in DAEMONS if not unwanted(layout, one)):
        for unit, lost in ((f"{daemon}.socket", "it will not be there after a reboot"),
                           (f"{daemon}.service", "no call on the bus starts it")):  # fmt: skip
            state = _state(layout, unit)
            if state == "enabled":
                yield Finding(OK, unit, "enabled")
            else:
                why = "the unit is not installed" if state == "not-found" else f"{state}: {lost}"
                running = bool(holder(layout.run / f"{daemon}.pid"))
                yield Finding(PROBLEM, unit, why, _start(layout, daemon, unit, running=running))
        call = _systemctl(layout).split()
        if said(*call, "--quiet", "is-failed", f"{daemon}.service") is not None:
            journal = f"journalctl {'--user ' if layout.mode == 'session' else ''}-u {daemon}.service -n 20 --no-pager"
            mend = f"{' '.join(call)} start {daemon}.service || {journal}"
            yield Finding(PROBLEM, f"{daemon}.service", "failed when it was started last", mend)


def bus(layout: Layout) -> Iterator[Finding]:
    """Which bus names exist, who has them, and whether they can be activated."""
    if layout.root or shutil.which("busctl") is None:
        return
    which = "--user" if layout.mode == "session" else "--system"
    listed = said("busctl", which, "list", "--no-legend")
    if listed is None:
        yield Finding(NOTE, "D-Bus", f"there is no {which.strip('-')} bus: only the sockets serve")
        return
    rows = {line.split()[0]: line.split()[1] for line in listed.splitlines() if line.strip()}
    reload = f"busctl {which} call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig"
    for daemon in (one for one in DAEMONS if not unwanted(layout, one)):
        yield _name(layout, daemon, rows.get(f"org.splitvirt.{daemon}"), reload)


def _name(layout: Layout, daemon: str, owner: str | None, reload: str) -> Finding:
    name, pid = f"org.splitvirt.{daemon}", holder(layout.run / f"{daemon}.pid")
    user = layout.mode == "session"
    share = Path("/usr/share/dbus-1")
    policy, activation = share / f"system.d/{name}.conf", share / f"{'' if user else 'system-'}services/{name}.service"
    missing = next((one for one in (activation, policy) if not one.exists() and not (user and one == policy)), None)
    if missing:
        return Finding(PROBLEM, name, f"{missing} is missing", INSTALL)
    if owner is None:
        return Finding(PROBLEM, name, "unknown to the bus, which has not read its files yet", reload)
    if owner not in ("-", str(pid)) and pid:
        return Finding(PROBLEM, name, f"owned by process {owner}, which is not the daemon ({pid})", f"kill {owner}")
    if owner == "-" and pid:
        mend = f"{reload} && {_systemctl(layout)} restart {daemon}.service"
        return Finding(PROBLEM, name, f"the daemon runs (process {pid}) and does not have its name", mend)
    return Finding(OK, name, "starts at the first call" if owner == "-" else f"owned by process {owner}")


def polkit(layout: Layout) -> Iterator[Finding]:
    """Whether polkit answers, and knows libvirt's actions: without it root alone may do anything."""
    if layout.mode != "system" or layout.root:
        return
    if shutil.which("pkcheck") is None:
        yield Finding(PROBLEM, "polkit", "is not installed: only root may manage guests", "apt-get install polkitd")
    elif _managed(layout) and _state(layout, "polkit.service").startswith("masked"):
        yield Finding(PROBLEM, "polkit", "is masked: only root may manage guests", "systemctl unmask polkit.service")
    elif said("busctl", "--timeout=5", "get-property", *POLKIT, "BackendName") is None:
        yield Finding(PROBLEM, "polkit", "gives no answer: only root may manage guests", "systemctl restart polkit")
    elif said("pkaction", "--action-id", "org.libvirt.unix.manage") is None:
        yield Finding(PROBLEM, "polkit", "does not know libvirt's actions: only root may manage guests", INSTALL)
    else:
        yield Finding(OK, "polkit", "answers")
