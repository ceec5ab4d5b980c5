"""`<domain>`: a guest, whole."""

from collections.abc import Mapping
from typing import Any, Literal

from splitvirt.api.errors import InternalError
from splitvirt.xml import lxc, qemu
from splitvirt.xml.clock import Clock
from splitvirt.xml.cpu import Cpu
from splitvirt.xml.cputune import CpuTune, IoThread, Vcpu
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.element import (
    LIVE,
    Bitmap,
    Element,
    OnOff,
    Signed,
    Unsigned,
    YesNo,
    attr,
    child,
    children,
    foreign,
    present,
    size,
    text,
)
from splitvirt.xml.features import Features
from splitvirt.xml.memory import BlockTune, MemoryBacking, MemoryTune, NumaTune
from splitvirt.xml.metadata import Foreign
from splitvirt.xml.os import Os
from splitvirt.xml.seclabel import SecurityLabel
from splitvirt.xml.security import Cipher, ProtectedVirtualization, Sev
from splitvirt.xml.sysinfo import FwCfgInfo, SmbiosInfo

VirtType = Literal[
    "qemu", "kqemu", "kvm", "xen", "lxc", "uml", "openvz", "test", "vmware", "hyperv", "vbox", "phyp", "parallels",
    "bhyve", "vz", "hvf",
]  # fmt: skip
Action = Literal["destroy", "restart", "preserve", "rename-restart"]
CrashAction = Literal["destroy", "restart", "preserve", "rename-restart", "coredump-destroy", "coredump-restart"]
LockFailureAction = Literal["poweroff", "restart", "pause", "ignore"]


class IdRange(Element):
    """Ids of a container and where they begin on the host."""

    start: Unsigned = attr()
    target: Unsigned = attr()
    count: Unsigned = attr()


class UidRange(IdRange, tag="uid"):
    """Of users."""


class GidRange(IdRange, tag="gid"):
    """Of groups."""


class PerfEvent(Element, tag="event"):
    """One performance counter."""

    name: Literal[
        "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions",
        "branch_misses", "bus_cycles", "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles",
        "cpu_clock", "task_clock", "page_faults", "context_switches", "cpu_migrations", "page_faults_min",
        "page_faults_maj", "alignment_faults", "emulation_faults",
    ] = attr()  # fmt: skip
    enabled: YesNo = attr()


class Domain(Element, tag="domain"):
    """A guest, whole; sizes of memory in KiB."""

    type: VirtType | None = attr()
    id: int | None = attr(mode=LIVE)
    qemu_namespace: str | None = attr("@xmlns:qemu")
    lxc_namespace: str | None = attr("@xmlns:lxc")
    name: str | None = text()
    uuid: str | None = text()
    genid_wanted: bool = present("genid")
    genid: str | None = text()
    title: str | None = text()
    description: str | None = text()
    metadata: Foreign | None = foreign()
    max_memory_slots: Unsigned | None = attr("maxMemory/@slots")
    max_memory: int | None = size("maxMemory")
    dump_core: OnOff | None = attr("memory/@dumpCore")
    memory: int | None = size()
    current_memory: int | None = size("currentMemory")
    blkiotune: BlockTune | None = child()
    memtune: MemoryTune | None = child()
    memory_backing: MemoryBacking | None = child()
    vcpu_placement: Literal["static", "auto"] | None = attr("vcpu/@placement")
    vcpu_cpuset: Bitmap | None = attr("vcpu/@cpuset")
    vcpu_current: Unsigned | None = attr("vcpu/@current")
    vcpu: Unsigned | None = text()
    vcpus: list[Vcpu] = children("vcpus/")
    iothreads: Unsigned | None = text()
    iothreadids: list[IoThread] = children("iothreadids/")
    default_iothread_min: Signed | None = attr("defaultiothread/@thread_pool_min")
    default_iothread_max: Signed | None = attr("defaultiothread/@thread_pool_max")
    cputune: CpuTune | None = child()
    numatune: NumaTune | None = child()
    partition: str | None = text("resource/partition")
    fibrechannel_appid: str | None = attr("resource/fibrechannel/@appid")
    sysinfo: list[SmbiosInfo | FwCfgInfo] = children()
    bootloader: str | None = text()
    bootloader_args: str | None = text()
    os: Os | None = child()
    uid_map: list[UidRange] = children("idmap/")
    gid_map: list[GidRange] = children("idmap/")
    features: Features | None = child()
    cpu: Cpu | None = child()
    clock: Clock | None = child()
    on_poweroff: Action | None = text(wrong=lambda raw: InternalError(f"unknown on_poweroff action: {raw}"))
    on_reboot: Action | None = text(wrong=lambda raw: InternalError(f"unknown on_reboot action: {raw}"))
    on_crash: CrashAction | None = text(wrong=lambda raw: InternalError(f"unknown on_crash action: {raw}"))
    on_lockfailure: LockFailureAction | None = text()
    suspend_to_mem: YesNo | None = attr("pm/suspend-to-mem/@enabled")
    suspend_to_disk: YesNo | None = attr("pm/suspend-to-disk/@enabled")
    perf: list[PerfEvent] = children("perf/")
    devices: Devices = child()
    seclabels: list[SecurityLabel] = children()
    keywrap: list[Cipher] = children("keywrap/")
    launch_security: Sev | ProtectedVirtualization | None = child()
    qemu_commandline: qemu.Commandline | None = child()
    qemu_capabilities: qemu.QemuCapabilities | None = child()
    qemu_override: qemu.Override | None = child()
    qemu_deprecation: qemu.Deprecation | None = child()
    lxc_namespaces: lxc.SharedNamespaces | None = child()

    def visible(self, bits: int) -> Mapping[str, Any]:
        """The namespaces are declared where they are used."""
        values = self.__dict__
        used = {name for name, value in values.items() if value is not None and name.startswith(("qemu_", "lxc_"))}
        if not used:
            return values
        spaces = {"qemu_namespace": qemu.NAMESPACE} if any(n.startswith("qemu") for n in used) else {}
        spaces |= {"lxc_namespace": lxc.NAMESPACE} if "lxc_namespaces" in used else {}
        return values | spaces
