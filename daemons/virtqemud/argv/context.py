"""What the building of a command line knows besides the guest: folders, the emulator, and what a start has opened."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from splitvirt.api.errors import VirtError
from splitvirt.xml.domain import Domain
from splitvirt.xml.forms import WrongValue, read_set
from virtqemud.emulator.capabilities import Capabilities


@dataclass(frozen=True)
class Tap:
    """A tap device's open queues and the vhost descriptors that serve them."""

    fds: Sequence[int]
    vhost_fds: Sequence[int] = ()


@dataclass
class Settings:
    """What of qemu.conf shows on the command line."""

    vnc_listen: str = "127.0.0.1"
    vnc_tls: bool = False
    vnc_tls_verify: bool = False
    vnc_tls_dir: str = "/etc/pki/qemu"
    vnc_password: str | None = None
    vnc_sasl: bool = False
    vnc_allow_host_audio: bool = False
    vnc_auto_unix_socket: bool = False
    spice_listen: str = "127.0.0.1"
    spice_tls: bool = False
    spice_tls_dir: str = "/etc/pki/qemu"
    spice_password: str | None = None
    spice_sasl: bool = False
    spice_auto_unix_socket: bool = False
    chardev_tls: bool = False
    chardev_tls_dir: str = "/etc/pki/qemu"
    chardev_tls_verify: bool = True
    nbd_tls: bool = False
    nbd_tls_dir: str = "/etc/pki/qemu"
    vxhs_tls: bool = False
    vxhs_tls_dir: str = "/etc/pki/qemu"
    seccomp_sandbox: bool = True
    dump_guest_core: bool = False
    hugetlbfs: Sequence[tuple[str, int]] = ()
    """Mounted hugetlbfs: path and page size in KiB."""
    relaxed_acs: bool = False
    lock_memory: bool = False
    memory_backing_dir: str = ""
    vnc_sasl_dir: str = ""
    spice_sasl_dir: str = ""
    process_name: bool = False
    log_timestamp: bool = True
    gluster_debug: int = 4
    virtiofsd_debug: bool = False
    deprecation: str = ""
    """What QEMU does when something deprecated is used; a guest's own XML goes before."""
    display_ports: range = range(5900, 65536)
    websocket_ports: range = range(5700, 65536)
    limits: Mapping[str, int] = field(default_factory=dict)
    """Limits of the process, by their names in `resource`; -1 for none."""
    bridge_helper: str = ""
    firmware_folders: Sequence[str] = (
        "/usr/share/qemu/firmware",
        "/etc/qemu/firmware",
    )


def no_secret(kind: str, uuid: str | None, usage: str | None) -> bytes:
    """Where no secret daemon is: none is ever found."""
    what = f"no secret with matching uuid '{uuid}'" if uuid else f"no secret with matching usage '{usage}'"
    raise VirtError(66, 20, f"Secret not found: {what}")


def online_nodes() -> frozenset[int]:
    """The NUMA nodes of this host; node 0 alone where the kernel knows of none."""
    try:
        return read_set(Path("/sys/devices/system/node/online").read_text())
    except (OSError, WrongValue):
        return frozenset({0})


@dataclass
class Context:
    """One guest's start, or the printing of its command line (`native`: nothing is opened or made)."""

    domain: Domain
    caps: Capabilities
    lib: str
    """libvirt's directory of QEMU state, "/var/lib/libvirt/qemu"."""
    run: str = "/run/libvirt/qemu"
    """libvirt's directory of QEMU sockets that last as long as the host is up."""
    settings: Settings = field(default_factory=Settings)
    id: int = -1
    native: bool = False
    secret: Callable[[str, str | None, str | None], bytes] = no_secret
    """The value of a secret by (usage type, uuid, usage name)."""
    host_nodes: frozenset[int] = field(default_factory=online_nodes)
    """NUMA nodes of the host."""
    taps: dict[str, Tap] = field(default_factory=dict)
    """Opened taps by alias of the interface."""
    passt_sockets: dict[str, str] = field(default_factory=dict)
    """Sockets of running passt processes by alias of the interface."""
    vsock_fd: int | None = None
    tpm_socket: str = ""
    """The socket of the guest's own swtpm."""
    monitor_fd: int | None = None
    """A listening socket for the monitor, else QEMU makes it."""
    env: Mapping[str, str] = field(default_factory=dict)
    master_key: bytes = field(default_factory=lambda: os.urandom(32))
    paused: bool = True
    incoming: str = ""
    volumes: Callable[[str, str], Any] | None = None
    """(pool, volume) to the volume's path; None where no storage driver is."""
    nodes: int = 0
    """Block nodes named so far."""

    @property
    def name(self) -> str:
        return self.domain.name or ""

    @property
    def short_name(self) -> str:
        """The guest's directory: id and the first 20 characters of the name, as libvirt cuts it."""
        return f"{self.id}-{self.name[:20]}"

    @property
    def folder(self) -> str:
        """The running guest's own directory."""
        return f"{self.lib}/domain-{self.short_name}"

    @property
    def channel_folder(self) -> str:
        """Where sockets of channels without a path are."""
        return f"{self.lib}/channel/target/domain-{self.short_name}"

    @property
    def kvm(self) -> bool:
        return self.domain.type == "kvm"

    @property
    def machine(self) -> str:
        """The board's full name."""
        return (self.domain.os and self.domain.os.machine) or ""

    @property
    def q35(self) -> bool:
        return self.machine.startswith("pc-q35") or self.machine == "q35"

    @property
    def i440fx(self) -> bool:
        name = self.machine
        return name == "pc" or name.startswith(("pc-i440", "pc-0.", "pc-1."))

    @property
    def x86(self) -> bool:
        return ((self.domain.os and self.domain.os.arch) or "x86_64") in ("x86_64", "i686")

    def next_node(self) -> int:
        """A number for one more image of the guest's disks."""
        self.nodes += 1
        return self.nodes
