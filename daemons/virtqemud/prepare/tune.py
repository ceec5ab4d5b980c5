"""Threads and shares: iothreads, pinning, scheduling, periods and quotas, resource control; uid maps and labels."""

from itertools import combinations

from splitvirt.api.errors import ConfigUnsupported, InvalidArg, XMLDetail, XMLError
from splitvirt.xml.cputune import CacheShare, CacheTune, CpuTune, IoThread, IoThreadSched, MemoryTuneGroup, VcpuSched
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

PERIOD = (1000, 1_000_000)
QUOTA = (1000, 17_592_186_044_415)


def defaults(domain: Domain, caps: Capabilities) -> None:
    """List iothreads by id where any was named, and what is tuned by number one by one."""
    iothreads(domain)
    if domain.cputune is not None:
        one_by_one(domain, domain.cputune)
        resctrl(domain, domain.cputune)
    domain.uid_map.sort(key=lambda r: r.start)
    domain.gid_map.sort(key=lambda r: r.start)
    labels(domain)


IOTHREADS_MAX = 65535
"""Each is a thread of QEMU's; no bound but the host's is known, and a list of milliards is the end of the daemon."""


def iothreads(domain: Domain) -> None:
    """As many ids as iothreads: those named, then the lowest that are free."""
    named = [thread.id for thread in domain.iothreadids]
    for i, number in enumerate(named):
        if number in named[:i]:
            raise XMLError(f"duplicate iothread id '{number}' found")
    total = max(domain.iothreads or 0, len(named))
    if total > IOTHREADS_MAX:
        raise ConfigUnsupported(f"{total} iothreads are more than the {IOTHREADS_MAX} that a guest may have")
    domain.iothreads = total or None
    if named:
        free = (i for i in range(1, total + 1) if i not in named)
        domain.iothreadids += [IoThread(id=i) for i, _ in zip(free, range(total - len(named)), strict=False)]


def thread_ids(domain: Domain) -> set[int]:
    """The ids of all iothreads."""
    return {t.id for t in domain.iothreadids} or set(range(1, (domain.iothreads or 0) + 1))


def one_by_one(domain: Domain, tune: CpuTune) -> None:
    """Schedulers for each vCPU and iothread; pins of vCPUs that are not there are left out."""
    overlap([s.vcpus for s in tune.vcpuscheds], "'vcpusched' attributes 'vcpus' must not overlap")
    overlap([s.iothreads for s in tune.iothreadscheds], "'iothreadsched' attributes 'iothreads' must not overlap")
    total, ids = domain.vcpu or 1, thread_ids(domain)
    for sched in tune.vcpuscheds:
        for vcpu in sorted(sched.vcpus):
            if vcpu >= total:
                raise ConfigUnsupported(f"vCPU '{vcpu}' is not present in domain definition")
    for pool in tune.iothreadscheds:
        for thread in sorted(pool.iothreads):
            if thread not in ids:
                raise ConfigUnsupported(f"Cannot find 'iothread' : {thread}")
    for pin in tune.iothreadpins:
        if pin.iothread not in ids:
            raise ConfigUnsupported(f"Cannot find 'iothread' : {pin.iothread}")
    each = [VcpuSched(vcpus=frozenset((v,)), scheduler=s.scheduler, priority=s.priority)
            for s in tune.vcpuscheds for v in s.vcpus]  # fmt: skip
    tune.vcpuscheds = sorted(each, key=lambda s: min(s.vcpus))
    threads = [IoThreadSched(iothreads=frozenset((t,)), scheduler=s.scheduler, priority=s.priority)
               for s in tune.iothreadscheds for t in s.iothreads]  # fmt: skip
    tune.iothreadscheds = sorted(threads, key=lambda s: min(s.iothreads))
    tune.vcpupins = [pin for pin in tune.vcpupins if pin.vcpu < total]


def overlap(sets: list[frozenset[int]], message: str) -> None:
    for a, b in combinations(sets, 2):
        if a & b:
            raise XMLDetail(message)


def resctrl(domain: Domain, tune: CpuTune) -> None:
    """Cache and memory bandwidth: each vCPU in one group, groups without a vCPU or a rule left out."""
    present = frozenset(range(domain.vcpu or 1))
    both: list[CacheTune | MemoryTuneGroup] = [*tune.cachetunes, *tune.memorytunes]
    for group in both:
        group.vcpus &= present
        for monitor in group.monitors if group.vcpus else ():
            monitor.vcpus &= present
            if [m.vcpus for m in group.monitors].count(monitor.vcpus) > 1:
                raise InvalidArg("Identical vcpus found in same type monitors")
            if not monitor.vcpus <= group.vcpus:
                raise InvalidArg("Monitor vcpus conflicts with allocation")
    for cachetune in tune.cachetunes:
        check_caches(cachetune.caches)
        for monitor in cachetune.monitors:
            if monitor.level is None:
                raise XMLError("Missing required attribute 'level' in element 'monitor'")
            if monitor.level != 3:
                raise XMLError(f"Invalid monitor cache level '{monitor.level}'")
    for memorytune in tune.memorytunes:
        check_bandwidths([(node.id, node.bandwidth) for node in memorytune.nodes])
    tune.cachetunes = [g for g in tune.cachetunes if g.vcpus and (g.caches or g.monitors)]
    tune.memorytunes = [g for g in tune.memorytunes if g.vcpus and (g.nodes or g.monitors)]
    groups = {g.vcpus for g in both if g.vcpus}
    for a, b in combinations(groups, 2):
        if a & b:
            raise XMLError("Overlapping vcpus in resctrls")


def check_caches(caches: list[CacheShare]) -> None:
    seen: list[tuple[int, int, str]] = []
    for cache in caches:
        for level, number, kind in seen:
            if (level, number) == (cache.level, cache.id) and (kind == cache.type or "both" in (kind, cache.type)):
                raise XMLError(
                    f"Colliding cache allocations for cache level '{level}' id '{number}', type '{cache.type}'"
                )
        seen.append((cache.level, cache.id, cache.type))


def check_bandwidths(shares: list[tuple[int, int]]) -> None:
    for i, (node, percent) in enumerate(shares):
        if node in [other for other, _ in shares[:i]]:
            raise XMLError(f"Memory Bandwidth already defined for node {node}")
        if percent > 100:
            raise XMLError("Memory Bandwidth value exceeding 100 is invalid.")


def labels(domain: Domain) -> None:
    """Security labels: a model each, none twice; a single one without a model is for the driver without any."""
    models = [label.model for label in domain.seclabels if label.model is not None]
    for model in models:
        if models.count(model) > 1:
            raise XMLDetail(f"seclabel for model {model} is already provided")
    for label in domain.seclabels:
        if label.model is None:
            if len(domain.seclabels) > 1:
                raise XMLError("missing security model when using multiple labels")
            if label.type in (None, "static") or label.baselabel:
                raise XMLError("missing security model in domain seclabel")
            label.model, label.type = "none", "none"
    domain.seclabels = [label for label in domain.seclabels if label.type is not None]


def check(domain: Domain, caps: Capabilities) -> None:
    """Values out of range."""
    tune = domain.cputune
    if tune is not None:
        if tune.shares and not 2 <= tune.shares <= 262144:
            raise ConfigUnsupported("Value of cputune 'shares' must be in range [2, 262144]")
        for prefix in ("", "global_", "emulator_", "iothread_"):
            check_range(f"{prefix}period", getattr(tune, f"{prefix}period"), PERIOD)
            quota = getattr(tune, f"{prefix}quota")
            check_range(f"{prefix}quota", 0 if (quota or 0) < 0 else quota, QUOTA)
        if (tune.cachetunes or tune.memorytunes) and domain.type != "kvm":
            raise ConfigUnsupported("cachetune is only supported for KVM domains")
    pools = [(t.thread_pool_min, t.thread_pool_max) for t in domain.iothreadids]
    for low, high in (*pools, (domain.default_iothread_min, domain.default_iothread_max)):
        check_pool(low, high)
    if bool(domain.uid_map) is not bool(domain.gid_map):
        raise ConfigUnsupported("uid and gid should be mapped both")
    if domain.launch_security is not None:
        name = "SEV" if domain.launch_security.type == "sev" else "S390 PV"
        raise ConfigUnsupported(f"{name} launch security is not supported with this QEMU binary")


def check_range(name: str, value: int | None, limits: tuple[int, int]) -> None:
    if value and not limits[0] <= value <= limits[1]:
        raise ConfigUnsupported(f"Value of cputune '{name}' must be in range [{limits[0]}, {limits[1]}]")


def check_pool(low: int | None, high: int | None) -> None:
    """A pool of threads has room for its minimum."""
    if high is not None and high <= 0:
        raise ConfigUnsupported("thread_pool_max must be a positive integer")
    if low is not None and low > (-1 if high is None else high):
        raise ConfigUnsupported("thread_pool_min must be smaller or equal to thread_pool_max")
