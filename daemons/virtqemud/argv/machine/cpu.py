"""`-cpu`: model, features, and what hypervisors tell their guests in CPUID."""

import os
import re

from splitvirt.api.errors import ConfigUnsupported, CPUIncompatible, InternalError
from splitvirt.host import topology
from splitvirt.xml.cpu import Cpu
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, escape
from virtqemud.emulator.cpumodels import QEMU_NAMES, REMOVED, VENDORS, host_model, lacking, offered
from virtqemud.emulator.hostcaps import host_features, host_tsc

from .clock import timer

POLICIES = {"force": "on", "require": "on", "optional": "on", "disable": "off", "forbid": "off"}
HYPERV = (
    "relaxed", "vapic", "vpindex", "runtime", "synic", "stimer", "reset", "frequencies", "reenlightenment",
    "tlbflush", "ipi", "evmcs", "avic",
)  # fmt: skip


def check(ctx: Context) -> None:
    """Raise ConfigUnsupported for the host's CPU without hardware virtualization."""
    found = ctx.domain.cpu
    if found is not None and found.mode == "host-passthrough" and ctx.domain.type not in ("kvm", "hvf"):
        arch = (ctx.domain.os and ctx.domain.os.arch) or "x86_64"
        raise ConfigUnsupported(
            f"CPU mode 'host-passthrough' for {arch} {ctx.domain.type} domain on {os.uname().machine} host is not "
            "supported by hypervisor"
        )
    check_names(ctx)
    check_tsc(ctx)
    if found is not None and (found.mode == "host-model" or (found.model and compared(found, ctx))):
        check_host(found, ctx)


def compared(found: Cpu, ctx: Context) -> bool:
    """Whether a model by name must be one that the host could be."""
    return found.match == "minimum" or (ctx.kvm and found.verify == "partial")


def check_tsc(ctx: Context) -> None:
    """Raise ConfigUnsupported for a rate of the TSC that the host's processor cannot show."""
    tsc, host = timer(ctx, "tsc"), host_tsc()
    if tsc is None or not tsc.frequency or host is None or host[1]:
        return
    rate, tolerance = host[0], host[0] * TOLERANCE // 1_000_000
    if abs(tsc.frequency - rate) > tolerance:
        raise ConfigUnsupported(
            f"Requested TSC frequency {tsc.frequency} Hz is outside tolerance range ([{rate - tolerance}, "
            f"{rate + tolerance}] Hz) around host frequency {rate} Hz and TSC scaling is not supported by the host CPU"
        )


TOLERANCE = 250
"""Parts in a million by which a guest's TSC may differ from the host's."""


def check_host(found: Cpu, ctx: Context) -> None:
    """Raise CPUIncompatible where the host's processor, or the one that TCG makes, is not one that the guest wants."""
    if ctx.kvm:
        flags = topology.cpuinfo()
        vendor = flags.get("vendor_id", "")
        host = frozenset(QEMU_NAMES.get(name, name) for name in host_features(flags.get("flags", "")))
        host |= offered(ctx.caps, "kvm")
    else:
        vendor = (ctx.caps.cpu_expansion() or {}).get("vendor", "")
        host = offered(ctx.caps, "tcg")
    if found.vendor and found.vendor != VENDORS.get(vendor):
        raise CPUIncompatible(f"host CPU vendor does not match required CPU vendor {found.vendor}")
    if found.mode == "host-model" and not found.model:
        found = Cpu(model="", features=[f for f in found.features if f.policy in (None, "require")])
    forbidden = [f.name for f in found.features if f.policy == "forbid" and f.name and qemu_name(f.name) in host]
    if forbidden:
        raise CPUIncompatible(f"Host CPU provides forbidden features: {', '.join(forbidden)}")
    required = [qemu_name(f.name) for f in found.features if f.name and f.policy in (None, "require")]
    without = [qemu_name(f.name) for f in found.features if f.name and f.policy in ("disable", "forbid", "optional")]
    missing = lacking(ctx.caps, found.model or "", required, without, host)
    if missing:
        raise CPUIncompatible(f"Host CPU does not provide required features: {', '.join(missing)}")


def check_names(ctx: Context) -> None:
    """Raise VirtError for a model or a feature that nobody knows."""
    found = ctx.domain.cpu
    if found is None:
        return
    custom = found.mode in (None, "custom")
    if custom and not found.model:
        return
    if custom and (ctx.caps.cpu(found.model or "") is None or NO_MODEL.fullmatch(found.model or "")):
        raise InternalError(f"Unknown CPU model {found.model}")
    known = (ctx.caps.cpu_expansion() or {}).keys()
    for feature in found.features:
        if known and feature.name and qemu_name(feature.name) not in known and feature.name not in HOST_ONLY:
            if feature.policy in ("disable", "forbid"):
                continue
            raise ConfigUnsupported(f"unknown CPU feature: {feature.name}")


NO_MODEL = re.compile("base|host|max|.*-v[0-9]+")
"""QEMU's names that are no models of libvirt's: those of the machine itself, and versions of a model."""

HOST_ONLY = frozenset({"cmt", "mbm_total", "mbm_local", "osxsave", "ospke", "pconfig"})
"""Features that hosts have and guests cannot."""


def cpu(ctx: Context) -> Parts:
    """The whole argument."""
    parts = Parts()
    values = [*model(ctx), *timers(ctx), *hyperv(ctx), *kvm(ctx), *rest(ctx)]
    if values and values[0]:
        parts.add("-cpu", ",".join(values))
    elif any(values):
        parts.add("-cpu", ",".join([default_model(ctx), *values[1:]]))
    return parts


def default_model(ctx: Context) -> str:
    return "qemu32" if ctx.domain.os and ctx.domain.os.arch == "i686" else "qemu64"


def model(ctx: Context) -> list[str]:
    """The model, who says it made the CPU, and single features; an empty name when the guest has none."""
    found = ctx.domain.cpu
    if found is None:
        return [""]
    policies = {qemu_name(f.name): POLICIES[f.policy or "require"] for f in found.features if f.name}
    have = offered(ctx.caps, "kvm" if ctx.kvm else "tcg")
    for feature in found.features if found.match is not None and len(have) > 1 else ():
        if feature.policy == "optional" and feature.name and qemu_name(feature.name) not in have:
            policies[qemu_name(feature.name)] = "off"
    nearest = None
    if found.mode == "host-model" or (found.mode in (None, "custom") and found.match == "minimum"):
        nearest = host_model(ctx.caps, "kvm" if ctx.kvm else "tcg")
    match found.mode:
        case "host-passthrough":
            values = ["host", *migratable(found, ctx)]
        case "maximum":
            values = ["max", *migratable(found, ctx)]
        case "host-model" if nearest is None:
            values = ["host", "migratable=on"] if ctx.kvm else ["max"]
        case _:
            values = [nearest.name if nearest else found.model or ""]
            if found.vendor_id:
                values.append(f"vendor={escape(found.vendor_id)}")
    if nearest is not None:
        policies = dict.fromkeys(nearest.on, "on") | dict.fromkeys(nearest.off, "off") | policies
    for name in REMOVED.get(found.model or "", ()) if found.mode in (None, "custom") and nearest is None else ():
        policies.setdefault(name, "off")
    known = (ctx.caps.cpu_expansion() or {}).keys()
    for name, policy in policies.items():
        if policy == "on" or not known or name in known:  # what QEMU does not know is off anyway
            values.append(f"{name}={policy}")
    return values


def migratable(found: Cpu, ctx: Context) -> list[str]:
    """Whether only what can be migrated is shown of the host; libvirt says it to the 64-bit emulator alone."""
    if found.migratable is None or ctx.caps.arch != "x86_64":
        return []
    return [f"migratable={spell(found.migratable)}"]


def qemu_name(name: str) -> str:
    """A feature's name: QEMU writes "-" for libvirt's "_", and has its own for a few."""
    return QEMU_NAMES.get(name, name.replace("_", "-"))


def timers(ctx: Context) -> list[str]:
    """Paravirtual clocks and the rate of the TSC."""
    values = []
    for name, key in (("kvmclock", "kvmclock"), ("hypervclock", "hv-time")):
        found = timer(ctx, name)
        if found and found.present is not None and (name == "kvmclock" or found.present):
            values.append(f"{key}={'on' if found.present else 'off'}")
    tsc = timer(ctx, "tsc")
    if tsc and tsc.frequency:
        values.append(f"tsc-frequency={tsc.frequency}")
    features = ctx.domain.features
    if features and features.apic_eoi is not None:
        values.append(f"kvm-pv-eoi={spell(features.apic_eoi)}")
    if features and features.pvspinlock is not None:
        values.append(f"kvm-pv-unhalt={spell(features.pvspinlock)}")
    return values


def spell(on: bool) -> str:
    return "on" if on else "off"


def hyperv(ctx: Context) -> list[str]:
    """What Windows is told."""
    features = ctx.domain.features
    found = features.hyperv if features else None
    values: list[str] = []
    if found and found.mode == "passthrough":
        values.append("hv-passthrough=on")
    if found:
        values += [f"hv-{name}=on" for name in HYPERV if (state := getattr(found, name)) and state.state]
        if found.spinlocks and found.spinlocks.state:
            values.append(f"hv-spinlocks=0x{found.spinlocks.retries or 0:x}")
        if found.stimer and found.stimer.state and found.stimer.direct and found.stimer.direct.state:
            values.append("hv-stimer-direct=on")
        if found.vendor_id and found.vendor_id.state:
            values.append(f"hv-vendor-id={escape(found.vendor_id.value or '')}")
    if any(p.model == "hyperv" for p in ctx.domain.devices.panics):
        values.append("hv-crash")
    return values


def kvm(ctx: Context) -> list[str]:
    """What Linux is told."""
    features = ctx.domain.features
    found = features.kvm if features else None
    values: list[str] = []
    if found:
        if found.hidden and found.hidden.state:
            values.append("kvm=off")
        for name in ("hint_dedicated", "poll_control"):
            state = getattr(found, name)
            if state and state.state:
                values.append(f"kvm-{name.replace('_', '-')}=on")
        if found.pv_ipi and found.pv_ipi.state is False:
            values.append("kvm-pv-ipi=off")
    if features and features.pmu is not None:
        values.append(f"pmu={spell(features.pmu)}")
    return values


def rest(ctx: Context) -> list[str]:
    """Caches and the width of addresses."""
    found = ctx.domain.cpu
    values: list[str] = []
    if found and found.cache:
        passthrough = {"passthrough": "on"}.get(found.cache.mode, "off")
        emulate = {"emulate": "on"}.get(found.cache.mode, "off")
        values += [f"host-cache-info={passthrough}"] if found.mode in ("host-passthrough", "maximum") else []
        values.append(f"l3-cache={emulate}")
    if found and found.maxphysaddr:
        if found.maxphysaddr.mode == "passthrough":
            values.append("host-phys-bits=on")
        if found.maxphysaddr.bits:
            limit = "phys-bits" if found.maxphysaddr.mode == "emulate" else "host-phys-bits-limit"
            values.append(f"{limit}={found.maxphysaddr.bits}")
    return values
