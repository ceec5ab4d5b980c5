"""CPU models by name, and which of them is nearest to what a machine offers: `host-model`.

What a model has is asked of QEMU (`Capabilities.models`); where libvirt 9.0 knows a model otherwise, measured by its
answers, is said here. Names of features are QEMU's.
"""

from collections.abc import Iterable
from typing import NamedTuple

from .capabilities import Capabilities

LEAVES = """
fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 pn clflush ds acpi mmx fxsr sse sse2 ss ht tm
ia64 pbe
pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid fma cx16 xtpr pdcm pcid dca sse4.1 sse4.2 x2apic movbe
popcnt tsc-deadline aes xsave osxsave avx f16c rdrand hypervisor
arat
fsgsbase tsc-adjust bmi1 hle avx2 smep bmi2 erms invpcid rtm mpx avx512f avx512dq rdseed adx smap avx512ifma pcommit
clflushopt clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl
avx512vbmi umip pku waitpkg avx512vbmi2 gfni vaes vpclmulqdq avx512vnni avx512bitalg avx512-vpopcntdq la57 rdpid
bus-lock-detect cldemote movdiri movdir64b pks
avx512-4vnniw avx512-4fmaps fsrm avx512-vp2intersect md-clear serialize tsx-ldtrk arch-lbr amx-bf16 avx512-fp16 amx-tile
amx-int8 spec-ctrl stibp arch-capabilities core-capability ssbd
avx-vnni avx512-bf16
xsaveopt xsavec xgetbv1 xsaves xfd
syscall nx mmxext fxsr-opt pdpe1gb rdtscp lm 3dnowext 3dnow
lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw xop skinit wdt lwp fma4 tce nodeid-msr
tbm topoext perfctr-core perfctr-nb
invtsc
clzero xsaveerptr wbnoinvd ibpb ibrs amd-stibp amd-ssbd virt-ssbd amd-no-ssb
npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists pause-filter pfthreshold avic
v-vmsave-vmload vgif svme-addr-chk
rdctl-no ibrs-all rsba skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no tsx-ctrl taa-no
split-lock-detect
"""
ORDER = tuple(LEAVES.split())
"""Features in the order of CPUID's leaves, registers and bits, in which libvirt lists them."""
MSR = frozenset(ORDER[ORDER.index("rdctl-no") :])
"""Features that model specific registers tell of."""
PLACE = {name: i for i, name in enumerate(ORDER)}

ITS_NAMES = {
    "pclmulqdq": "pclmuldq", "fxsr-opt": "fxsr_opt", "lahf-lm": "lahf_lm", "tsc-adjust": "tsc_adjust",
    "cmp-legacy": "cmp_legacy", "ds-cpl": "ds_cpl", "perfctr-core": "perfctr_core", "perfctr-nb": "perfctr_nb",
    "nodeid-msr": "nodeid_msr",
}  # fmt: skip
"""Features that libvirt spells otherwise than QEMU."""
QEMU_NAMES = {theirs: ours for ours, theirs in ITS_NAMES.items()}

REMOVED = dict.fromkeys(("Icelake-Client", "Icelake-Client-noTSX"), ("intel-pt",)) | {
    "Icelake-Server": ("intel-pt",), "Icelake-Server-noTSX": ("intel-pt",), "EPYC": ("monitor",),
    "EPYC-IBPB": ("monitor",), "Dhyana": ("monitor",), "Opteron_G3": ("monitor",),
}  # fmt: skip
"""Features that a model once had in libvirt and no longer has: off unless the guest says otherwise."""

LACKS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("Westmere",), ("arat", "pclmulqdq")),
    (("SandyBridge", "IvyBridge"), ("arat", "xsaveopt")),
    (("Haswell", "Broadwell"), ("arat", "xsaveopt", "abm", "f16c", "rdrand")),
    (("Skylake-Server", "Cascadelake"), ("pku",)),
    (("Snowridge",), ("monitor", "mpx")),
    (("coreduo", "n270", "core2duo"), ("acpi", "ss")),
    (("EPYC", "Dhyana"), ("topoext",)),
    (("pentium",), ("apic",)),
    (("n270",), ("lahf-lm", "movbe")),
    (("core2duo",), ("cx16", "lahf-lm")),
    (("qemu64",), ("lahf-lm",)),
    (("athlon",), ("mca",)),
    (("phenom",), ("abm", "cx16", "lahf-lm", "npt", "pdpe1gb", "popcnt", "rdtscp", "sse4a")),
    (("Opteron_G4", "Opteron_G5", "Dhyana"), ("npt", "nrip-save")),
    (("EPYC-Rome",), ("monitor", "xsaves")),
    (("EPYC-Milan",), ("monitor",)),
)
"""What libvirt's models have not and QEMU's have, by the beginnings of names."""
LACKS_EXACTLY = {"EPYC": ("npt", "nrip-save"), "EPYC-IBPB": ("npt", "nrip-save"), "Skylake-Server": ("clflushopt",)}
HAS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("486", "pentium", "coreduo", "n270", "core2duo", "IvyBridge", "Skylake", "Cascadelake", "Icelake", "Cooperlake",
      "Snowridge", "athlon", "EPYC", "Dhyana"), ("vme",)),
    (("Skylake", "Cascadelake", "Icelake"), ("mpx",)),
    (("Opteron_G2",), ("rdtscp",)),
)  # fmt: skip
"""What libvirt's models have and TCG's have not."""

ANY_VENDOR = ("486", "pentium", "qemu", "kvm")
"""Models that are nobody's."""
VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon"}
SIGNATURES: tuple[tuple[str, int, tuple[int, ...]], ...] = (
    ("Nehalem", 6, (26, 30, 31, 46)), ("Westmere", 6, (37, 44, 47)), ("SandyBridge", 6, (42, 45)),
    ("IvyBridge", 6, (58, 62)), ("Haswell", 6, (60, 63, 69, 70)), ("Broadwell", 6, (61, 71, 79, 86)),
    ("Skylake-Client", 6, (78, 94, 142, 158)), ("Skylake-Server", 6, (85,)), ("Cascadelake-Server", 6, (85,)),
    ("Cooperlake", 6, (85,)), ("Icelake-Server", 6, (106, 108)), ("Snowridge", 6, (134,)),
    ("EPYC-Rome", 23, (49, 113)), ("EPYC-Milan", 25, (1,)), ("EPYC", 23, (1, 17)), ("Dhyana", 24, (0, 1)),
    ("Opteron_G5", 21, (2,)), ("Opteron_G4", 21, (1,)), ("Opteron_G3", 16, (2,)),
)  # fmt: skip
"""Families and models of processors of each name."""


class HostModel(NamedTuple):
    """A named model, and single features that are on and off beside it, in libvirt's order."""

    name: str
    vendor: str
    on: tuple[str, ...]
    off: tuple[str, ...]


def in_order(features: Iterable[str]) -> tuple[str, ...]:
    """Features as CPUID has them."""
    return tuple(sorted(features, key=lambda name: (PLACE.get(name, len(ORDER)), name)))


def features(caps: Capabilities, model: str) -> frozenset[str]:
    """What libvirt's model of that name has, without what was taken from it."""
    found = set(caps.models.get(model, {}).get("on", ()))
    for names, lacking in LACKS:
        found -= set(lacking) if model.startswith(names) else set()
    found -= set(LACKS_EXACTLY.get(model, ())) | {"hypervisor"}
    for names, more in HAS:
        found |= set(more) if model.startswith(names) else set()
    return frozenset(found - set(REMOVED.get(model, ())))


def offered(caps: Capabilities, accelerator: str) -> frozenset[str]:
    """What the accelerator can show a guest."""
    expansion = caps.cpu_expansion(accelerator) or {}
    told = set() if caps.arch == "x86_64" else MSR  # libvirt asks 64-bit emulators alone for them
    return frozenset({name for name in ORDER if expansion.get(name) is True and name not in told} | {"hypervisor"})


def host_model(caps: Capabilities, accelerator: str) -> HostModel | None:
    """The named model from which what is offered differs least, those of the same processor before all others.

    None where QEMU does not say what it offers.
    """
    expansion = caps.cpu_expansion(accelerator)
    if not expansion:
        return None
    vendor = str(expansion.get("vendor", ""))
    processor = int(expansion.get("family", 0)), int(expansion.get("model", 0))
    have = offered(caps, accelerator)
    name = nearest(caps, have, vendor, processor)
    if name is None:
        return None
    wanted = features(caps, name)
    blocked = set((caps.cpu(name, accelerator) or {}).get("unavailable-features", ())) & PLACE.keys()
    return HostModel(
        name, VENDORS.get(vendor, ""), in_order(have - wanted), in_order((wanted - have) | (blocked - have))
    )


def nearest(
    caps: Capabilities, have: frozenset[str], vendor: str, processor: tuple[int, int], *, whole: bool = False
) -> str | None:
    """The model that differs least from some features; with `whole` only of those of which nothing is missing."""
    best: tuple[bool, int, int, str] | None = None
    for name, facts in caps.models.items():
        if facts["vendor"] != vendor and not name.startswith(ANY_VENDOR):
            continue
        wanted = features(caps, name)
        if whole and wanted - have:
            continue
        rank = (not same_processor(name, processor), len(have ^ wanted), len(wanted - have), name)
        best = rank if best is None or rank < best else best
    return best[3] if best else None


def same_processor(name: str, processor: tuple[int, int]) -> bool:
    """Whether a processor of that family and model is the one that the model is named after."""
    found = next(((family, models) for start, family, models in SIGNATURES if name.startswith(start)), None)
    return found is not None and processor[0] == found[0] and processor[1] in found[1]


def lacking(
    caps: Capabilities, model: str, required: Iterable[str], without: Iterable[str], host: frozenset[str]
) -> tuple[str, ...]:
    """What a model `without` some features and with others `required` needs that the host's processor has not.

    As libvirt spells and orders it.
    """
    missing = in_order((features(caps, model) - set(without) | set(required)) - host)
    return tuple(ITS_NAMES.get(name, name) for name in missing)
