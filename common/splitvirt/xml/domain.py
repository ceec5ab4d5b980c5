"""`<domain>`: a guest, whole."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from splitvirt.api import constants
from splitvirt.api.errors import ConfigUnsupported, InternalError, VirtError, XMLDetail, XMLError
from splitvirt.xml import lxc, qemu
from splitvirt.xml.clock import Clock
from splitvirt.xml.cpu import Cpu
from splitvirt.xml.cputune import CpuTune, IoThread, Vcpu
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.element import (
    LIVE,
    Bitmap,
    Element,
    NonNegative,
    OnOff,
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
from splitvirt.xml.node import Node
from splitvirt.xml.os import Os
from splitvirt.xml.seclabel import SecurityLabel
from splitvirt.xml.security import Cipher, ProtectedVirtualization, Sev
from splitvirt.xml.sysinfo import FwCfgInfo, SmbiosInfo, canonical_uuid

VirtType = Literal[
    "none", "qemu", "kqemu", "kvm", "xen", "lxc", "uml", "openvz", "test", "vmware", "hyperv", "vbox", "phyp",
    "parallels", "bhyve", "vz", "hvf",
]  # fmt: skip
Action = Literal["destroy", "restart", "preserve", "rename-restart"]
CrashAction = Literal["destroy", "restart", "preserve", "rename-restart", "coredump-destroy", "coredump-restart"]
LockFailureAction = Literal["poweroff", "restart", "pause", "ignore"]

NAME_MAX = 240
"""Bytes of a guest's name: the files named after it ("NAME-swtpm.log") have names of at most 255."""


def nameless() -> VirtError:
    return VirtError(constants.VIR_ERR_NO_NAME, constants.VIR_FROM_DOMAIN, "missing name information")


def unmapped(raw: str = "") -> XMLError:
    return XMLError("invalid idmap start/target/count settings")


class IdRange(Element):
    """Ids of a container and where they begin on the host."""

    start: Unsigned = attr(missing=unmapped, wrong=unmapped)
    target: Unsigned = attr(missing=unmapped, wrong=unmapped)
    count: Unsigned = attr(missing=unmapped, wrong=unmapped)


class UidRange(IdRange, tag="uid"):
    """Of users."""


class GidRange(IdRange, tag="gid"):
    """Of groups."""


PerfName = Literal[
    "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions",
    "branch_misses", "bus_cycles", "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles",
    "cpu_clock", "task_clock", "page_faults", "context_switches", "cpu_migrations", "page_faults_min",
    "page_faults_maj", "alignment_faults", "emulation_faults",
]  # fmt: skip


class PerfEvent(Element, tag="event"):
    """One performance counter."""

    name: PerfName = attr()
    enabled: YesNo = attr()


class Domain(Element, tag="domain"):
    """A guest, whole; sizes of memory in KiB."""

    type: VirtType = attr(
        blank=True,
        missing=lambda: InternalError("missing domain type attribute"),
        wrong=lambda raw: ConfigUnsupported(f"invalid domain type {raw}"),
    )
    id: int | None = attr(mode=LIVE)
    qemu_namespace: str | None = attr("@xmlns:qemu")
    lxc_namespace: str | None = attr("@xmlns:lxc")
    name: str = text(missing=nameless)
    uuid: str | None = text()
    genid_wanted: bool = present("genid")
    genid: str | None = text()
    title: str | None = text()
    description: str | None = text()
    metadata: Foreign | None = foreign()
    max_memory_slots: Unsigned | None = attr(
        "maxMemory/@slots", wrong=lambda raw: XMLError("Failed to parse memory slot count")
    )
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
    vcpu: Unsigned | None = text(wrong=lambda raw: XMLError("maximum vcpus count must be an integer"))
    vcpus: list[Vcpu] = children("vcpus/")
    iothreads: Unsigned | None = text(wrong=lambda raw: XMLError(f"invalid iothreads count '{raw}'"))
    iothreadids: list[IoThread] = children("iothreadids/")
    default_iothread_min: NonNegative | None = attr("defaultiothread/@thread_pool_min")
    default_iothread_max: NonNegative | None = attr("defaultiothread/@thread_pool_max")
    cputune: CpuTune | None = child()
    numatune: NumaTune | None = child()
    partition: str | None = text("resource/partition")
    fibrechannel_appid: str | None = attr("resource/fibrechannel/@appid", blank=True)
    sysinfo: list[SmbiosInfo | FwCfgInfo] = children()
    bootloader: str | None = text()
    bootloader_args: str | None = text()
    os: Os | None = child()
    uid_map: list[UidRange] = children("idmap/")
    gid_map: list[GidRange] = children("idmap/")
    features: Features | None = child()
    cpu: Cpu | None = child()
    clock: Clock | None = child()
    on_poweroff: Action | None = text(wrong=lambda raw: ConfigUnsupported(f"unknown on_poweroff action: {raw}"))
    on_reboot: Action | None = text(wrong=lambda raw: ConfigUnsupported(f"unknown on_reboot action: {raw}"))
    on_crash: CrashAction | None = text(wrong=lambda raw: ConfigUnsupported(f"unknown on_crash action: {raw}"))
    on_lockfailure: LockFailureAction | None = text(
        wrong=lambda raw: ConfigUnsupported(f"unknown on_lockfailure action: {raw}")
    )
    suspend_to_mem: YesNo | None = attr("pm/suspend-to-mem/@enabled")
    suspend_to_disk: YesNo | None = attr("pm/suspend-to-disk/@enabled")
    perf: list[PerfEvent] = children("perf/")
    devices: Devices = child(always=True)
    seclabels: list[SecurityLabel] = children()
    keywrap: list[Cipher] = children("keywrap/")
    launch_security: Sev | ProtectedVirtualization | None = child()
    qemu_commandline: qemu.Commandline | None = child()
    qemu_capabilities: qemu.QemuCapabilities | None = child()
    qemu_override: qemu.Override | None = child()
    qemu_deprecation: qemu.Deprecation | None = child()
    lxc_namespaces: lxc.SharedNamespaces | None = child()

    def check(self, node: Node) -> None:
        """Names and ids, and what may be listed only once."""
        check_name(self.name)
        if self.title is not None and "\n" in self.title:
            raise XMLError("Domain title can't contain newlines")
        if self.uuid is not None:
            self.uuid = canonical_uuid(self.uuid, InternalError("malformed uuid element"))
        if self.genid is not None:
            self.genid = canonical_uuid(self.genid, InternalError("malformed genid element"))
        vcpu = node.find("vcpu")
        if vcpu is not None and self.vcpu is None:
            raise XMLError("maximum vcpus count must be an integer")
        self.check_lists(node)

    def check_lists(self, node: Node) -> None:
        if sum(inner.tag == "genid" for inner in node.children) > 1:
            raise XMLError("element 'genid' can only appear once")
        ciphers = [cipher.name for cipher in self.keywrap]
        for name in set(ciphers):
            if ciphers.count(name) > 1:
                raise InternalError(f"A domain definition can have no more than one cipher node with name {name}")
        events = [event.name for event in self.perf]
        for event in events:
            if events.count(event) > 1:
                raise XMLError(f"perf event '{event}' was already specified")
        order = get_args(PerfName)
        self.perf.sort(key=lambda event: order.index(event.name))
        self.keywrap.sort(key=lambda cipher: cipher.name)

    def visible(self, bits: int) -> Mapping[str, Any]:
        """The namespaces are declared where they are used."""
        values = self.__dict__
        used = {name for name, value in values.items() if value is not None and name.startswith(("qemu_", "lxc_"))}
        if not used:
            return values
        spaces = {"qemu_namespace": qemu.NAMESPACE} if any(n.startswith("qemu") for n in used) else {}
        spaces |= {"lxc_namespace": lxc.NAMESPACE} if "lxc_namespaces" in used else {}
        return values | spaces


def check_name(name: str) -> None:
    """Raise XMLError or XMLDetail for a guest's name that no file could have, or that no document could carry."""
    if name in (".", ".."):
        raise XMLError(f"name '{name}' is not allowed")
    if "/" in name:
        raise XMLError(f"name {name} cannot contain '/'")
    if len(name.encode()) > NAME_MAX:
        raise XMLError(f"name '{name[:20]}...' is longer than {NAME_MAX} bytes")
    for bad in name:
        if bad < " " and bad != "\t":
            raise XMLDetail(f"invalid char in name: {bad}")
