"""Capabilities of the host and of its emulators, as libvirt's capabilities document tells them."""

import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import UUID

from splitvirt.host import topology
from splitvirt.xml.tree import Tree

from .capabilities import Capabilities
from .cpumodels import ITS_NAMES, QEMU_NAMES, VENDORS, features, in_order, nearest

_WORDSIZE = {"x86_64": 64, "i686": 32, "aarch64": 64}

# Where the kernel's name of a CPU feature (/proc/cpuinfo) is not QEMU's.
_FLAG_NAMES = {
    "pclmulqdq": "pclmuldq", "sse4_1": "sse4.1", "sse4_2": "sse4.2", "tsc_deadline_timer": "tsc-deadline",
    "lahf_lm": "lahf_lm", "cr8_legacy": "cr8legacy", "sha_ni": "sha-ni", "avx512_vbmi2": "avx512vbmi2",
    "avx512_vnni": "avx512vnni", "avx512_bitalg": "avx512bitalg", "avx512_vpopcntdq": "avx512-vpopcntdq",
    "avx512_vp2intersect": "avx512-vp2intersect", "avx_vnni": "avx-vnni", "avx512_bf16": "avx512-bf16",
    "fxsr_opt": "fxsr_opt", "nrip_save": "nrip-save", "cx16": "cx16", "lbrv": "lbrv", "perfctr_core": "perfctr_core",
}  # fmt: skip
_KERNEL_ONLY = {
    "constant_tsc", "rep_good", "nopl", "xtopology", "nonstop_tsc", "cpuid", "extd_apicid", "tsc_known_freq",
    "vmmcall", "arch_perfmon", "pebs", "bts", "aperfmperf", "dtherm", "ida", "pln", "pts", "hwp", "hwp_notify",
    "hwp_act_window", "hwp_epp", "ibrs", "ibpb", "stibp", "ssbd", "pti", "tpr_shadow", "vnmi", "flexpriority", "ept",
    "vpid", "ept_ad", "cpuid_fault", "epb", "invpcid_single", "cat_l3", "cdp_l3", "rdt_a", "cqm", "cqm_llc",
}  # fmt: skip


def capabilities_xml(uuid: UUID, emulators: Iterable[tuple[str, Capabilities]], label: str = "") -> str:
    """The document: the host, then every architecture that an emulator is there for.

    `label` is the usual guest's label of the model "dac".
    """
    emulators = list(emulators)
    host = Tree(
        "host",
        Tree("uuid", text=uuid),
        host_cpu(next((caps for _, caps in emulators), None)),
        Tree("power_management"),
        _iommu(),
        _migration(),
    )
    host.add([_cells(), _caches(), *_secmodels(label)])
    guests = [guest(arch, caps) for arch, caps in emulators]
    parts = "\n".join(part.to_xml(indent=2) for part in [host, *guests])
    return f"<capabilities>\n\n{parts}\n</capabilities>\n"


def host_cpu(caps: Capabilities | None) -> Tree:
    """The host's processor: the nearest model that an emulator knows, how it is arranged, what it can do beside."""
    facts = topology.cpuinfo()
    info = topology.node_info()
    vendor = VENDORS.get(facts.get("vendor_id", ""))
    model, beside = named(facts, caps)
    cpu = Tree("cpu", Tree("arch", text=platform.machine()))
    if vendor:
        cpu.add([Tree("model", text=model), Tree("vendor", text=vendor)])
    if "microcode" in facts:
        cpu.add([Tree("microcode", version=int(facts["microcode"], 0))])
    if "cpu family" in facts:
        cpu.add([Tree("signature", family=facts["cpu family"], model=facts["model"], stepping=facts["stepping"])])
    if (tsc := host_tsc()) is not None:
        cpu.add([Tree("counter", name="tsc", frequency=tsc[0], scaling=tsc[1])])
    cpu.add([Tree("topology", sockets=info.sockets, dies=1, cores=info.cores, threads=info.threads)])
    if "address sizes" in facts:
        cpu.add([Tree("maxphysaddr", mode="emulate", bits=facts["address sizes"].split()[0])])
    cpu.add(Tree("feature", name=name) for name in beside)
    pages = {size for cell in topology.cell_ids() for size, _ in topology.huge_pools(cell)}
    plain = os.sysconf("SC_PAGE_SIZE") // 1024
    return cpu.add(Tree("pages", unit="KiB", size=size) for size in [plain, *sorted(pages)])


def named(facts: Mapping[str, str], caps: Capabilities | None) -> tuple[str, list[str]]:
    """The nearest model of which the processor has everything, and its further features."""
    flags = host_features(facts.get("flags", ""))
    have = frozenset(QEMU_NAMES.get(flag, flag) for flag in flags)
    processor = int(facts.get("cpu family", 0)), int(facts.get("model", 0))
    model = nearest(caps, have, facts.get("vendor_id", ""), processor, whole=True) if caps else None
    if caps is None or model is None:
        return "qemu64", flags
    return model, [ITS_NAMES.get(name, name) for name in in_order(have - features(caps, model))]


def host_tsc() -> tuple[int, bool] | None:
    """The rate of the processor's time stamp counter in Hz, and whether guests can have another; None if unknown."""
    facts = topology.cpuinfo()
    flags = facts.get("flags", "").split()
    if "constant_tsc" not in flags or "tsc_known_freq" not in flags:
        return None
    scaling = "tsc_scale" in flags or "tsc_scaling" in facts.get("vmx flags", "").split()
    return int(float(facts["cpu MHz"]) * 1000) * 1000, scaling


def host_features(flags: str) -> list[str]:
    """The kernel's processor flags under QEMU's names, without those that only the kernel knows."""
    kernels = flags.split()
    found = [_FLAG_NAMES.get(flag, flag) for flag in kernels if flag not in _KERNEL_ONLY]
    found += ["osxsave"] if "xsave" in kernels else []  # the kernel uses what it shows
    return found + (["invtsc"] if {"constant_tsc", "nonstop_tsc"} <= set(kernels) else [])


def guest(arch: str, caps: Capabilities) -> Tree:
    """One architecture: its emulator, machines and domain types."""
    machines: list[Tree] = []
    for name, machine in sorted(caps.machines.items(), key=lambda item: not item[1].get("is-default")):
        if name == "none":
            continue
        deprecated = True if machine.get("deprecated") else None
        most = machine["cpu-max"]
        machines.append(Tree("machine", text=name, maxCpus=most, deprecated=deprecated))
        if "alias" in machine:
            alias = machine["alias"]
            machines.append(Tree("machine", text=alias, canonical=name, maxCpus=most, deprecated=deprecated))
    inner = Tree(
        "arch", Tree("wordsize", text=_WORDSIZE.get(arch, 64)), Tree("emulator", text=caps.emulator), name=arch
    )
    inner.add(machines)
    inner.add(Tree("domain", type=kind) for kind in caps.accelerators)
    offers = Tree("features")
    if arch == "i686":
        offers.add([Tree("pae"), Tree("nonpae")])
    offers.add([Tree("acpi", default="on", toggle="yes"), Tree("apic", default="on", toggle="no")])
    offers.add([Tree("cpuselection"), Tree("deviceboot"), Tree("disksnapshot", default="on", toggle="no")])
    return Tree("guest", Tree("os_type", text="hvm"), inner, offers)


def _iommu() -> Tree:
    groups = Path("/sys/kernel/iommu_groups")
    return Tree("iommu", support=groups.is_dir() and any(groups.iterdir()))


def _migration() -> Tree:
    transports = Tree("uri_transports", Tree("uri_transport", text="tcp"), Tree("uri_transport", text="rdma"))
    return Tree("migration_features", Tree("live"), transports)


def _cells() -> Tree:
    cells = Tree("cells")
    for cell in topology.cells():
        pages = [Tree("pages", unit="KiB", size=size, text=count) for size, count in cell.pages]
        distances = [Tree("sibling", id=other, value=distance) for other, distance in cell.distances]
        cpus = [
            Tree("cpu", id=c.id, socket_id=c.socket, die_id=c.die, core_id=c.core, siblings=c.siblings)
            for c in cell.cpus
        ]
        inner = Tree("cell", Tree("memory", unit="KiB", text=cell.memory), *pages, id=cell.id)
        inner.add([Tree("distances", *distances) if distances else None, Tree("cpus", *cpus, num=len(cpus))])
        cells.add([inner])
    cells.attributes["num"] = len(cells.children)
    return Tree("topology", cells)


def _caches() -> Tree | None:
    banks: dict[tuple[int, str], Tree] = {}
    for number in topology.online_cpus():
        for index in sorted((topology.CPUS / f"cpu{number}/cache").glob("index*")):
            facts = {name: _read(index / name) for name in ("id", "level", "type", "size", "shared_cpu_list")}
            if facts["level"] == "3" and facts["id"]:
                size = int(facts["size"].removesuffix("K") or 0)
                amount, unit = (size // 1024, "MiB") if size % 1024 == 0 else (size, "KiB")
                kind = {"Unified": "both", "Data": "data", "Instruction": "code"}[facts["type"]]
                bank = Tree("bank", id=facts["id"], level=3, type=kind, size=amount, unit=unit)
                bank.attributes["cpus"] = facts["shared_cpu_list"]
                banks.setdefault((3, facts["id"]), bank)
    return Tree("cache", *banks.values()) if banks else None


def _secmodels(label: str) -> list[Tree]:
    base = label or f"+{os.geteuid()}:+{os.getegid()}"
    labels = [Tree("baselabel", type=kind, text=base) for kind in ("kvm", "qemu")]
    return [
        Tree("secmodel", Tree("model", text="none"), Tree("doi", text=0)),
        Tree("secmodel", Tree("model", text="dac"), Tree("doi", text=0), *labels),
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
