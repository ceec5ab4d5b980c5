"""The board and what runs it: `-machine`, `-accel`, `-sandbox` and the globals that belong to them."""

from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.security import Sev
from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options

from .memory import default_memory_id, numa_backends

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def machine(ctx: Context, pflash: list[str], smm: bool) -> Parts:
    """`-machine`; `pflash` are the block nodes of the firmware, `smm` says that it needs system management mode."""
    parts, domain = Parts(), ctx.domain
    features = domain.features
    dump = domain.dump_core if domain.dump_core is not None else ctx.settings.dump_guest_core
    backing = domain.memory_backing
    sev = isinstance(domain.launch_security, Sev)
    values = {
        "usb": False,
        "vmport": features.vmport if features else None,
        "smm": management_mode(ctx, smm),
        "kernel_irqchip": irqchip(ctx),
        "dump_guest_core": dump,
        "mem_merge": False if backing and backing.nosharepages else None,
        "graphics": False if domain.os and domain.os.bios_useserial else None,
        "gic_version": features.gic_version if features and features.gic else None,
        "nvdimm": True if any(m.model == "nvdimm" for m in domain.devices.memories) else None,
        "hmat": True if has_hmat(ctx) else None,
        "confidential_guest_support": "lsec0" if sev else None,
        "memory_backend": None if numa_backends(ctx) else default_memory_id(ctx),
        "pcspk_audiodev": speaker(ctx),
    }
    spelled = options(ctx.machine, **values).replace("kernel-irqchip", "kernel_irqchip")
    parts.add("-machine", ",".join([spelled, *(f"pflash{i}={node}" for i, node in enumerate(pflash))]))
    return parts


def management_mode(ctx: Context, needed: bool) -> bool | None:
    """System management mode: as asked for, and where the firmware or its memory needs it."""
    smm = ctx.domain.features.smm if ctx.domain.features else None
    loader = ctx.domain.os.loader if ctx.domain.os else None
    if smm is not None:
        return smm.state
    return True if needed or (loader and loader.secure) else None


def check(ctx: Context) -> None:
    """Raise ConfigUnsupported for key wrapping where the board has none."""
    for cipher in ctx.domain.keywrap:
        if ctx.x86 or not ctx.caps.machine_has(f"{cipher.name}-key-wrap"):
            raise ConfigUnsupported(f"{cipher.name}-key-wrap is not available with this QEMU binary")


def irqchip(ctx: Context) -> str | None:
    """Who emulates the interrupt controllers."""
    features = ctx.domain.features
    return {"qemu": "split", "kvm": "on"}.get((features and features.ioapic) or "")


def has_hmat(ctx: Context) -> bool:
    """Whether the guest is told the cost of reaching its memory."""
    numa = ctx.domain.cpu.numa if ctx.domain.cpu else None
    return numa is not None and (bool(numa.interconnects) or any(cell.caches for cell in numa.cells))


def speaker(ctx: Context) -> str | None:
    """The audio backend of the board's PC speaker; libvirt prints another option for it."""
    devices = ctx.domain.devices
    if ctx.native or not any(s.model == "pcspk" for s in devices.sounds):
        return None
    return f"audio{devices.audios[0].id}" if devices.audios else None


def accelerator(ctx: Context) -> Parts:
    """`-accel`."""
    parts, features = Parts(), ctx.domain.features
    if ctx.domain.type == "kvm":
        ring = features.kvm.dirty_ring if features and features.kvm else None
        parts.add("-accel", options("kvm", dirty_ring_size=ring.entries if ring and ring.state else None))
    elif ctx.domain.type == "hvf":
        parts.add("-accel", "hvf")
    else:
        cache = features.tcg_tb_cache if features else None
        parts.add("-accel", options("tcg", tb_size=cache >> 10 if cache else None))
    return parts


def tseg(ctx: Context) -> Parts:
    """Extra memory of system management mode on q35, in MiB."""
    parts, features = Parts(), ctx.domain.features
    size = features.smm.tseg if features and features.smm and features.smm.state else None
    if size is not None:
        parts.add("-global", f"mch.extended-tseg-mbytes={size >> 20}")
    return parts


def sandbox(ctx: Context) -> Parts:
    """System calls that QEMU may make, where the filter is built in."""
    parts = Parts()
    if ctx.settings.seccomp_sandbox and ctx.caps.sandbox:
        parts.add("-sandbox", SANDBOX)
    return parts


def security(ctx: Context) -> Parts:
    """The object of encrypted memory."""
    parts, sev = Parts(), ctx.domain.launch_security
    if isinstance(sev, Sev):
        parts.object(
            "sev-guest", "lsec0", cbitpos=sev.cbitpos, reduced_phys_bits=sev.reduced_phys_bits, policy=sev.policy,
            dh_cert_file=f"{ctx.folder}/dh_cert.base64" if sev.dh_cert else None,
            session_file=f"{ctx.folder}/session.base64" if sev.session else None, kernel_hashes=sev.kernel_hashes,
        )  # fmt: skip
        for name, text in (("dh_cert", sev.dh_cert), ("session", sev.session)):
            if text:
                parts.files[f"{ctx.folder}/{name}.base64"] = text.encode()
    return parts
