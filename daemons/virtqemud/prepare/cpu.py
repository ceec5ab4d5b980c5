"""The guest's CPU: its model where none was named, how strictly it is checked, its vCPUs and their topology."""

import itertools

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLError
from splitvirt.xml.cpu import Cpu
from splitvirt.xml.cputune import Vcpu
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities


def defaults(domain: Domain, caps: Capabilities) -> None:
    """A model for guests that name none, and the attributes that follow from the mode."""
    cpu = domain.cpu = domain.cpu or Cpu()
    cpu.mode = cpu.mode or "custom"
    if cpu.mode == "custom":
        custom(domain, cpu, caps)
    else:
        cpu.match = None
        if cpu.mode != "host-model":
            cpu.model = cpu.vendor = cpu.vendor_id = None
        cpu.verify = cpu.verify or ("partial" if cpu.mode == "host-model" else "none")
        if cpu.mode == "host-passthrough" and cpu.migratable is None:
            cpu.migratable = True
    if cpu.model is None:
        cpu.fallback = None
    elif cpu.fallback is None:
        cpu.fallback = "allow"
    for feature in cpu.features:
        feature.policy = feature.policy or "require"


def custom(domain: Domain, cpu: Cpu, caps: Capabilities) -> None:
    """A model by name."""
    cpu.match = cpu.match or "exact"
    if cpu.model is None:
        machine = caps.machine(domain.os.machine or "") if domain.os else None
        cpu.model = str((machine or {}).get("default-cpu-type", "")).partition(f"-{caps.arch}-")[0] or None
        cpu.model = cpu.model.removesuffix("-x86_64-cpu").removesuffix("-i386-cpu") if cpu.model else None
        cpu.fallback, cpu.verify = "forbid", "none"
    cpu.verify = cpu.verify or ("partial" if domain.type == "kvm" else "none")


def vcpus(domain: Domain, caps: Capabilities) -> None:
    """How many there are, and which of them are on."""
    if domain.vcpu is None:
        domain.vcpu = 1
    if domain.vcpus:
        individual(domain, domain.vcpu)
    elif domain.vcpu_current is not None and domain.vcpu_current > domain.vcpu:
        raise ConfigUnsupported("maximum vCPU count must not be less than current vCPU count")
    if domain.vcpu_current == domain.vcpu:
        domain.vcpu_current = None
    elif domain.vcpu_current == 0:
        raise ConfigUnsupported("vcpu 0 can't be offline")


def individual(domain: Domain, total: int) -> None:
    """`<vcpus>` lists each vCPU; one that is not listed is off."""
    states = [Vcpu(id=i, enabled=False) for i in range(total)]
    for vcpu in domain.vcpus:
        if vcpu.id >= total:
            raise XMLError(f"vcpu id '{vcpu.id}' is out of range of maximum vcpu count")
        states[vcpu.id] = vcpu
    check_individual(states)
    for vcpu in states:
        if vcpu.hotpluggable is None:
            vcpu.hotpluggable = not vcpu.enabled
    domain.vcpus, domain.vcpu_current = states, sum(vcpu.enabled for vcpu in states)


def check_individual(states: list[Vcpu]) -> None:
    """What is said of each: those that a QEMU is started with are the first ones, in their order."""
    first = states[0]
    if not first.enabled:
        raise ConfigUnsupported("vcpu 0 can't be offline")
    if first.hotpluggable:
        raise ConfigUnsupported("vcpu0 can't be hotpluggable")
    if first.order not in (None, 0, 1):
        raise ConfigUnsupported("vcpu0 must be enabled first")
    if len({bool(vcpu.order) for vcpu in states if vcpu.enabled}) > 1:
        raise ConfigUnsupported("all vcpus must have either set or unset order")
    for before, vcpu in itertools.pairwise(states):
        if vcpu.hotpluggable is not False:
            continue
        if before.hotpluggable:
            raise ConfigUnsupported("online non-hotpluggable vcpus need to be ordered prior to hotplugable vcpus")
        if (before.order or 0) > (vcpu.order or 0):
            raise ConfigUnsupported("online non-hotpluggable vcpus must be ordered in ascending order")
        if not vcpu.enabled:
            raise ConfigUnsupported(f"vcpu '{vcpu.id}' is both offline and not hotpluggable")


def check(domain: Domain, caps: Capabilities) -> None:
    """What contradicts itself, or is more than the machine has."""
    check_vcpus(domain, caps)
    cpu = domain.cpu
    assert cpu is not None
    if cpu.cache is not None:
        check_cache(cpu)
    if cpu.maxphysaddr is not None:
        if cpu.maxphysaddr.mode == "emulate" and cpu.maxphysaddr.bits is None:
            raise ConfigUnsupported("if using CPU maximum physical address mode='emulate', bits= must be specified too")
        if cpu.maxphysaddr.mode == "passthrough" and cpu.maxphysaddr.bits is not None:
            raise ConfigUnsupported(
                "CPU maximum physical address bits number specification cannot be used with mode='passthrough'"
            )
    t = cpu.topology
    if t is not None and domain.vcpu != t.sockets * t.dies * t.cores * t.threads:
        raise ConfigUnsupported("CPU topology doesn't match maximum vcpu count")


def check_vcpus(domain: Domain, caps: Capabilities) -> None:
    total = domain.vcpu or 0
    if not total:
        raise InternalError("CPU IDs in <numa> exceed the <vcpu> count")
    limit = (caps.machine(domain.os.machine or "") or {}).get("cpu-max") if domain.os else None
    if limit and total > limit:
        raise ConfigUnsupported(f"Maximum CPUs greater than specified machine type limit {limit}")
    iommu = domain.devices.iommu
    if total > 255 and not (iommu is not None and getattr(iommu.driver, "eim", None)):
        raise ConfigUnsupported("more than 255 vCPUs require extended interrupt mode enabled on the iommu device")


def check_cache(cpu: Cpu) -> None:
    """Which cache each mode can show."""
    cache = cpu.cache
    assert cache is not None
    if cache.mode == "emulate" and cache.level != 3:
        raise ConfigUnsupported("CPU cache mode 'emulate' can only be used with level='3'")
    if cache.mode == "passthrough":
        if cpu.mode not in ("host-passthrough", "maximum"):
            raise ConfigUnsupported(
                "CPU cache mode 'passthrough' can only be used with 'host-passthrough' / 'maximum' CPUs"
            )
        if cache.level is not None:
            raise ConfigUnsupported("unsupported CPU cache level for mode 'passthrough'")
    if cache.mode == "disable" and cache.level is not None:
        raise ConfigUnsupported("unsupported CPU cache level for mode 'disable'")
