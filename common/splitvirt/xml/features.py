"""`<features>`: what the machine and its hypervisor show to the guest."""

from collections.abc import Container
from typing import Literal

from splitvirt.api.errors import ConfigUnsupported, XMLError
from splitvirt.xml.element import Element, OnOff, Unsigned, attr, child, present, size
from splitvirt.xml.node import Node


def only(node: Node, known: Container[str], what: str) -> None:
    """Refuse children that are not known: there is no such feature, and to ignore it would surprise."""
    for inner in node.children:
        if inner.tag not in known:
            raise ConfigUnsupported(what.format(inner.tag))


def names(element: type[Element]) -> frozenset[str]:
    """The children that a class's fields live in."""
    return frozenset(field.path.lstrip("@").partition("/")[0] for field in element.FIELDS.values())


class State(Element):
    """A feature that is on or off."""

    state: OnOff = attr()


class Spinlocks(State, tag="spinlocks"):
    """`retries` before the guest's spinning is told to the hypervisor."""

    retries: Unsigned | None = attr(order=2)

    def check(self, node: Node) -> None:
        if not self.state:
            self.retries = None
        elif self.retries is None:
            raise XMLError("Missing required attribute 'retries' in element 'spinlocks'")
        elif self.retries < 0xFFF:
            raise XMLError("HyperV spinlock retry count must be at least 4095")


class Stimer(State, tag="stimer"):
    """Synthetic timers."""

    direct: State | None = child("direct")

    def check(self, node: Node) -> None:
        if not self.state or (self.direct and not self.direct.state):
            self.direct = None
        only(node, ("direct",), "unsupported Hyper-V stimer feature: {}")


class VendorId(State, tag="vendor_id"):
    """The hypervisor's vendor id, up to 12 characters."""

    value: str | None = attr(order=2)

    def check(self, node: Node) -> None:
        if not self.state:
            self.value = None
        elif self.value is None:
            raise XMLError("missing 'value' attribute for HyperV feature 'vendor_id'")
        elif len(self.value.encode()) > 12:
            raise XMLError("HyperV vendor_id value must not be more than 12 characters.")
        elif "," in self.value:
            raise XMLError("HyperV vendor_id value is invalid")


class Hyperv(Element, tag="hyperv", block=True):
    """Enlightenments for Windows."""

    mode: Literal["custom", "passthrough"] = attr(default="custom")
    relaxed: State | None = child("relaxed")
    vapic: State | None = child("vapic")
    spinlocks: Spinlocks | None = child()
    vpindex: State | None = child("vpindex")
    runtime: State | None = child("runtime")
    synic: State | None = child("synic")
    stimer: Stimer | None = child()
    reset: State | None = child("reset")
    vendor_id: VendorId | None = child()
    frequencies: State | None = child("frequencies")
    reenlightenment: State | None = child("reenlightenment")
    tlbflush: State | None = child("tlbflush")
    ipi: State | None = child("ipi")
    evmcs: State | None = child("evmcs")
    avic: State | None = child("avic")

    def check(self, node: Node) -> None:
        only(node, self.FIELDS, "unsupported HyperV Enlightenment feature: {}")


class DirtyRing(State, tag="dirty-ring"):
    """`size` is the number of entries per vCPU, a power of two."""

    entries: Unsigned | None = attr("@size", order=2)

    def check(self, node: Node) -> None:
        if not self.state:
            self.entries = None
        elif self.entries is None:
            raise XMLError("Missing required attribute 'size' in element 'dirty-ring'")
        elif self.entries.bit_count() != 1 or not 1024 <= self.entries <= 65536:
            raise XMLError("dirty ring must be power of 2 and ranges [1024, 65536]")


class Kvm(Element, tag="kvm", block=True):
    """KVM's paravirtual features."""

    hidden: State | None = child("hidden")
    hint_dedicated: State | None = child("hint-dedicated")
    poll_control: State | None = child("poll-control")
    pv_ipi: State | None = child("pv-ipi")
    dirty_ring: DirtyRing | None = child("dirty-ring")

    def check(self, node: Node) -> None:
        only(node, names(Kvm), "unsupported KVM feature: {}")


class XenPassthrough(State, tag="passthrough"):
    """IOMMU use."""

    mode: Literal["sync_pt", "share_pt"] | None = attr(order=2)

    def check(self, node: Node) -> None:
        if not self.state:
            self.mode = None


class Xen(Element, tag="xen", block=True):
    """Xen's features."""

    e820_host: State | None = child("e820_host")
    passthrough: XenPassthrough | None = child()

    def check(self, node: Node) -> None:
        only(node, self.FIELDS, "unsupported Xen feature: {}")


class Smm(Element, tag="smm"):
    """System management mode; `tseg` is its extra memory in bytes."""

    state: OnOff = attr(default=True)
    tseg: int | None = size(unit="bytes", plain="MiB", pretty=True)

    def check(self, node: Node) -> None:
        if not self.state:
            self.tseg = None


class Hpt(Element, tag="hpt", hide_empty=True):
    """POWER's hash page table; `maxpagesize` in KiB."""

    resizing: Literal["enabled", "disabled", "required"] | None = attr()
    maxpagesize: int | None = size()


class Capabilities(Element, tag="capabilities"):
    """What of Linux's capabilities a container has."""

    policy: Literal["default", "allow", "deny"] = attr(default="default")
    audit_control: OnOff | None = attr("audit_control/@state")
    audit_write: OnOff | None = attr("audit_write/@state")
    block_suspend: OnOff | None = attr("block_suspend/@state")
    chown: OnOff | None = attr("chown/@state")
    dac_override: OnOff | None = attr("dac_override/@state")
    dac_read_search: OnOff | None = attr("dac_read_search/@state")
    fowner: OnOff | None = attr("fowner/@state")
    fsetid: OnOff | None = attr("fsetid/@state")
    ipc_lock: OnOff | None = attr("ipc_lock/@state")
    ipc_owner: OnOff | None = attr("ipc_owner/@state")
    kill: OnOff | None = attr("kill/@state")
    lease: OnOff | None = attr("lease/@state")
    linux_immutable: OnOff | None = attr("linux_immutable/@state")
    mac_admin: OnOff | None = attr("mac_admin/@state")
    mac_override: OnOff | None = attr("mac_override/@state")
    mknod: OnOff | None = attr("mknod/@state")
    net_admin: OnOff | None = attr("net_admin/@state")
    net_bind_service: OnOff | None = attr("net_bind_service/@state")
    net_broadcast: OnOff | None = attr("net_broadcast/@state")
    net_raw: OnOff | None = attr("net_raw/@state")
    setgid: OnOff | None = attr("setgid/@state")
    setfcap: OnOff | None = attr("setfcap/@state")
    setpcap: OnOff | None = attr("setpcap/@state")
    setuid: OnOff | None = attr("setuid/@state")
    sys_admin: OnOff | None = attr("sys_admin/@state")
    sys_boot: OnOff | None = attr("sys_boot/@state")
    sys_chroot: OnOff | None = attr("sys_chroot/@state")
    sys_module: OnOff | None = attr("sys_module/@state")
    sys_nice: OnOff | None = attr("sys_nice/@state")
    sys_pacct: OnOff | None = attr("sys_pacct/@state")
    sys_ptrace: OnOff | None = attr("sys_ptrace/@state")
    sys_rawio: OnOff | None = attr("sys_rawio/@state")
    sys_resource: OnOff | None = attr("sys_resource/@state")
    sys_time: OnOff | None = attr("sys_time/@state")
    sys_tty_config: OnOff | None = attr("sys_tty_config/@state")
    syslog: OnOff | None = attr("syslog/@state")
    wake_alarm: OnOff | None = attr("wake_alarm/@state")

    def check(self, node: Node) -> None:
        only(node, self.FIELDS, "unexpected capability feature '{}'")
        for inner in node.children:
            if "state" not in inner.attrs:
                setattr(self, inner.tag, True)


class Features(Element, tag="features", hide_empty=True):
    """What the machine and its hypervisor show to the guest."""

    acpi: bool = present()
    apic: bool = present()
    apic_eoi: OnOff | None = attr("apic/@eoi")
    pae: bool = present()
    hap: OnOff | None = attr("hap/@state")
    viridian: bool = present()
    privnet: bool = present()
    hyperv: Hyperv | None = child()
    kvm: Kvm | None = child()
    pvspinlock: OnOff | None = attr("pvspinlock/@state")
    capabilities: Capabilities | None = child()
    pmu: OnOff | None = attr("pmu/@state")
    vmport: OnOff | None = attr("vmport/@state")
    gic: bool = present()
    gic_version: Literal["host", "2", "3"] | None = attr("gic/@version")
    smm: Smm | None = child()
    ioapic: Literal["qemu", "kvm"] | None = attr("ioapic/@driver")
    hpt: Hpt | None = child()
    vmcoreinfo: OnOff | None = attr("vmcoreinfo/@state")
    htm: OnOff | None = attr("htm/@state")
    nested_hv: OnOff | None = attr("nested-hv/@state")
    msrs_unknown: Literal["ignore", "fault"] | None = attr("msrs/@unknown")
    ccf_assist: OnOff | None = attr("ccf-assist/@state")
    xen: Xen | None = child()
    cfpc: Literal["broken", "workaround", "fixed"] | None = attr("cfpc/@value")
    sbbc: Literal["broken", "workaround", "fixed"] | None = attr("sbbc/@value")
    ibs: Literal["broken", "workaround", "fixed-ibs", "fixed-ccd", "fixed-na"] | None = attr("ibs/@value")
    tcg_tb_cache: int | None = size("tcg/tb-cache", xpath="./tb-cache[1]")

    def check(self, node: Node) -> None:
        """A feature that says nothing of its state is on, or must say it."""
        only(node, KNOWN, "unexpected feature '{}'")
        if self.hpt is not None and self.hpt.resizing is None and self.hpt.maxpagesize is None:
            self.hpt = None
        if self.capabilities == Capabilities():
            self.capabilities = None
        for inner in node.children:
            if inner.tag in IMPLIED and "state" not in inner.attrs:
                setattr(self, inner.tag, True)
            elif inner.tag in EXPLICIT and EXPLICIT[inner.tag] not in inner.attrs:
                raise XMLError(f"Missing required attribute '{EXPLICIT[inner.tag]}' in element '{inner.tag}'")


KNOWN = names(Features)
IMPLIED = frozenset(("hap", "pvspinlock", "pmu", "vmport", "vmcoreinfo"))
EXPLICIT = {"htm": "state", "nested-hv": "state", "ccf-assist": "state", "msrs": "unknown"}
