#!/usr/bin/env python3
"""Writes every unit, bus activation file and bus policy from one table: a daemon is a row of DAEMONS.

`systemd/units.py` writes them into the tree beside itself, where they are kept; `--check` says if they are current.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = "/usr/lib/splitvirt/bin/python"
"""The interpreter of the installation, by absolute path: packaging/install puts a venv (or a link to one) there."""


@dataclass(frozen=True)
class Daemon:
    """What tells one daemon's units from another's."""

    name: str
    what: str
    sandbox: str
    after: str = ""
    capabilities: str = ""
    session: bool = True
    default: bool = False
    """Whether clients that name no driver get this one: libvirt's look for libvirtd's socket then."""


COMMON_SANDBOX = """\
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
UMask=0022
"""

QEMU_SANDBOX = """\
# QEMU and its helpers inherit what is set here, so a line that a guest could feel is left out, with its reason:
#   ProtectSystem, ProtectHome, PrivateTmp, ReadOnlyPaths: disks, kernels and sockets lie anywhere on the host
#   PrivateDevices, DeviceAllow: a guest may be given any block, USB, vfio, serial, input or tape device of the host,
#     also one whose driver was not there yet when the daemon was started
#   PrivateNetwork, IPAddressDeny: migration, VNC, network disks, user networking and vhost-vsock
#   PrivateUsers, User, DynamicUser: guests run as other users, and the daemon takes over file ownership
#   NoNewPrivileges: it would keep a guest from entering its AppArmor or SELinux domain
#   RestrictSUIDSGID: what a guest shares with the host (virtiofs) may have these bits
#   MemoryDenyWriteExecute: QEMU's own translator (TCG) writes code
#   ProtectControlGroups: the limits of guests are there
#   ProtectKernelTunables: KSM, the cancel files of TPMs and the drivers of devices that are given to guests are written
#     to; what would be left of it costs a fifth of the time of a cold start, guests are not root, and whoever has taken
#     over the daemon undoes it with CAP_SYS_ADMIN
#   RestrictRealtime: <vcpusched>, <iothreadsched> and <emulatorsched> ask for fifo and rr, which it forbids by seccomp
#   ProtectProc, ProcSubset: guests are watched through /proc/PID
#   SystemCallFilter as a list of what is allowed: QEMU brings its own, with its version's knowledge (-sandbox on)
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0022
# virtiofsd and passt shut themselves in
RestrictNamespaces=user pid net uts mnt ipc
# AF_ALG: QEMU's ciphers for encrypted disks; AF_NETLINK: links, and udev for USB; AF_VSOCK: guests' channels
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_VSOCK AF_ALG
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
"""

NETWORK_SANDBOX = (
    """\
# Left out, with the reason:
#   PrivateNetwork, IPAddressDeny: bridges, taps and firewall rules of the host are the job
#   PrivateDevices: /dev/net/tun and /dev/tapN of macvtap make taps (DeviceAllow= below opens these alone)
#   ProtectKernelTunables: /proc/sys/net (forwarding, bridge settings) is the job
#   ProtectKernelModules: the kernel loads bridge, tun and nf_tables modules on demand, which asks for no capability
#   User, PrivateUsers: dnsmasq is started with the ports 53 and 67, as its own user from there on
#   ProtectProc, ProcSubset: the holder of a port is found by its pid, of whatever user, and sysctls lie in /proc/sys
"""
    + COMMON_SANDBOX
    + """\
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=-/etc/libvirt -/var/lib/libvirt -/var/log/libvirt -/var/cache/libvirt /run
ProtectHome=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectKernelModules=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
DeviceAllow=char-macvtap rw
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6 AF_PACKET
SystemCallFilter=@system-service
SystemCallFilter=~@resources
SystemCallErrorNumber=EPERM
"""
)

DAEMONS = (
    Daemon(
        "virtqemud",
        "QEMU virtual machines",
        QEMU_SANDBOX,
        after="virtnetworkd.socket virtlogd.socket remote-fs.target iscsid.service apparmor.service",
        # files of other users, and virtiofsd: the first line; guests as other users; taps, low ports of screens;
        # locked memory, limits, priorities, /proc of guests; helpers that shut themselves in
        capabilities="CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_SETFCAP CAP_MKNOD "
        "CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_KILL CAP_NET_ADMIN CAP_NET_BIND_SERVICE "
        "CAP_IPC_LOCK CAP_SYS_RESOURCE CAP_SYS_NICE CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_SYS_CHROOT",
        default=True,
    ),
    Daemon(
        "virtnetworkd",
        "virtual networks",
        NETWORK_SANDBOX,
        after="network.target systemd-modules-load.service firewalld.service nftables.service",
        capabilities="CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN "
        "CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL",
    ),
)

HEAD = "# Made by systemd/units.py from its table: change it there.\n"


def service(d: Daemon) -> str:
    """The system service."""
    capabilities = f"CapabilityBoundingSet={d.capabilities}\n" if d.capabilities else ""
    return f"""{HEAD}[Unit]
Description=splitvirt: {d.what}
Documentation=man:{d.name}(8)
# libvirt's own daemon manages the same objects in the same files: never both
Conflicts=libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
Wants={d.name}.socket {d.name}-ro.socket {d.name}-admin.socket
After={d.name}.socket {d.name}-ro.socket {d.name}-admin.socket dbus.socket local-fs.target
After=libvirtd.service {d.after}
# idle exits and activations are the normal course of things: never take many of them for a failure
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
Environment=SPLITVIRT_ARGS="--timeout 120"
EnvironmentFile=-/etc/default/{d.name}
ExecStart={PYTHON} -I -m {d.name} $SPLITVIRT_ARGS
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=100ms
# a wrong command line or configuration stays wrong; who waits has been told, and the next call tries again
RestartPreventExitStatus=2 6
# what runs (guests, dnsmasq) goes on running when the daemon leaves
KillMode=process
WatchdogSec=60
TimeoutStopSec=90
FileDescriptorStoreMax=8
LimitNOFILE=8192:524288
TasksMax=32768
RuntimeDirectory=libvirt
RuntimeDirectoryPreserve=yes

{capabilities}{d.sandbox}
[Install]
WantedBy=multi-user.target
Alias=dbus-org.splitvirt.{d.name}.service
Also={d.name}.socket {d.name}-ro.socket {d.name}-admin.socket
"""


SOCKETS = {"": "-sock", "-ro": "-sock-ro", "-admin": "-admin-sock"}
"""Where libvirt's clients look for each, by the suffix of its unit."""


def _also_at(d: Daemon, folder: str, suffix: str) -> str:
    """libvirtd's name for a socket: `virsh list` and `virt-admin srv-list` look there (libvirt's virtproxyd, too)."""
    return f"Symlinks={folder}/libvirt/libvirt{SOCKETS[suffix]}\n" if d.default else ""


def _others(d: Daemon, *suffixes: str) -> str:
    """The sockets that come with the first: `systemctl start DAEMON.socket` is enough."""
    return f"Wants={' '.join(f'{d.name}{suffix}.socket' for suffix in suffixes)}\n"


def socket(d: Daemon, suffix: str) -> str:
    """One of the system sockets: anyone may connect to the first two, and polkit decides."""
    of = {"": "calls", "-ro": "read-only calls", "-admin": "administration"}[suffix]
    bound = f"BindsTo={d.name}.socket\nAfter={d.name}.socket\n" if suffix else _others(d, "-ro", "-admin")
    mode = "0600" if suffix == "-admin" else "0666"
    return f"""{HEAD}[Unit]
Description=splitvirt: {d.what}, socket for {of}
Before={d.name}.service
{bound}
[Socket]
ListenStream=/run/libvirt/{d.name}{SOCKETS[suffix]}
{_also_at(d, "/run", suffix)}Service={d.name}.service
SocketMode={mode}
RemoveOnStop=yes
# a client that finds the daemon on its way out waits here for the next one
Backlog=4096
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
Also={d.name}.service
"""


NOT_ROOT = "# root's daemon is the system's: a second one would serve the same files\nConditionUser=!root\n"


def user_service(d: Daemon) -> str:
    """The service of a user's session: started by the first call, not by logging in."""
    return f"""{HEAD}[Unit]
Description=splitvirt: {d.what} of this user
Documentation=man:{d.name}(8)
{NOT_ROOT}Wants={d.name}.socket {d.name}-admin.socket
After={d.name}.socket {d.name}-admin.socket dbus.socket
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={PYTHON} -I -m {d.name} --timeout 30
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=100ms
# a wrong command line or configuration stays wrong; who waits has been told, and the next call tries again
RestartPreventExitStatus=2 6
KillMode=process
WatchdogSec=60
FileDescriptorStoreMax=8

[Install]
Alias=dbus-org.splitvirt.{d.name}.service
Also={d.name}.socket {d.name}-admin.socket
"""


def user_socket(d: Daemon, suffix: str) -> str:
    """A socket of a user's session: theirs alone, at the paths of libvirt's session daemons."""
    bound = f"BindsTo={d.name}.socket\nAfter={d.name}.socket\n" if suffix else _others(d, "-admin")
    return f"""{HEAD}[Unit]
Description=splitvirt: {d.what} of this user, socket
{NOT_ROOT}Before={d.name}.service
{bound}
[Socket]
ListenStream=%t/libvirt/{d.name}{SOCKETS[suffix]}
{_also_at(d, "%t", suffix)}Service={d.name}.service
SocketMode=0600
RemoveOnStop=yes
Backlog=4096
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
Also={d.name}.service
"""


def activation(d: Daemon, user: str) -> str:
    """The bus's activation file: systemd starts the service, when it is enabled."""
    return f"""{HEAD}[D-BUS Service]
Name=org.splitvirt.{d.name}
Exec=/bin/false
{user}SystemdService=dbus-org.splitvirt.{d.name}.service
"""


def policy(d: Daemon) -> str:
    """The bus's own policy: root owns the name; who may call what is the daemon's decision, by polkit."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<!-- Made by systemd/units.py from its table: change it there. -->
<busconfig>
  <policy user="root">
    <allow own="org.splitvirt.{d.name}"/>
    <allow own="org.libvirt"/>
  </policy>
  <policy context="default">
    <!-- the interfaces of this service and no others: each call is decided in the daemon, as on its sockets -->
    <allow send_destination="org.splitvirt.{d.name}" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.splitvirt.{d.name}" send_interface="org.freedesktop.DBus.Properties"/>
    <allow send_destination="org.splitvirt.{d.name}" send_interface="org.freedesktop.DBus.ObjectManager"/>
    <allow send_destination="org.splitvirt.{d.name}" send_interface="org.freedesktop.DBus.Peer"/>
{_allowed(d)}
  </policy>
</busconfig>
"""


def _allowed(d: Daemon) -> str:
    to = f'    <allow send_destination="org.splitvirt.{d.name}"'
    return "\n".join(f'{to} send_interface="{name}"/>' for name in INTERFACES["all"] + INTERFACES[d.name])


INTERFACES = {
    "all": ("org.splitvirt.Daemon1", "org.libvirt.Connect"),
    "virtqemud": ("org.libvirt.Domain", "org.libvirt.DomainSnapshot"),
    "virtnetworkd": ("org.libvirt.Network", "org.splitvirt.NetworkPort1"),
}


def files() -> dict[str, str]:
    """Every file by its path below this directory."""
    made: dict[str, str] = {}
    for d in DAEMONS:
        made[f"system/{d.name}.service"] = service(d)
        for suffix in ("", "-ro", "-admin"):
            made[f"system/{d.name}{suffix}.socket"] = socket(d, suffix)
        made[f"dbus/system-services/org.splitvirt.{d.name}.service"] = activation(d, "User=root\n")
        made[f"../policy/dbus/org.splitvirt.{d.name}.conf"] = policy(d)
        if d.session:
            made[f"user/{d.name}.service"] = user_service(d)
            for suffix in ("", "-admin"):
                made[f"user/{d.name}{suffix}.socket"] = user_socket(d, suffix)
            made[f"dbus/services/org.splitvirt.{d.name}.service"] = activation(d, "")
    return made


def stale() -> list[str]:
    """The files that are not what the table says."""
    return [name for name, text in files().items() if not (HERE / name).exists() or (HERE / name).read_text() != text]


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"{name} is not current: run systemd/units.py")
        return bool(stale())
    for name, text in files().items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
