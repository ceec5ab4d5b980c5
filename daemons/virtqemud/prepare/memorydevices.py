"""Memory devices: their defaults and slots, and what they may not be, in libvirt's words. Sizes in KiB."""

from splitvirt.api.errors import ConfigUnsupported, InternalError, XMLDetail
from splitvirt.xml.address import DimmAddress
from splitvirt.xml.devices.memory import MemoryDevice
from splitvirt.xml.domain import Domain
from virtqemud.emulator.capabilities import Capabilities

SLOTTED = ("dimm", "nvdimm")
LEAST_BLOCK = 2048  # a transparent huge page


def defaults(domain: Domain, caps: Capabilities) -> None:
    """Fill in what is left open, and drop what the model has no use for."""
    for memory in domain.devices.memories:
        source = memory.source
        if memory.model == "virtio-pmem" and memory.access is None:
            memory.access = "shared"
        if memory.model == "virtio-mem" and memory.requested is None:
            memory.requested = 0
        if source is not None:
            source.alignsize = source.alignsize or None
            if memory.model not in ("nvdimm", "virtio-pmem"):
                source.path = source.alignsize = None
                source.pmem = False
    if any(memory.model in SLOTTED for memory in domain.devices.memories):
        slots(domain)


def slots(domain: Domain) -> None:
    """The first free slot for every DIMM that has none. Raises InternalError when there are too few."""
    plugged = [m for m in domain.devices.memories if m.model in SLOTTED]
    taken = {m.address.slot for m in plugged if isinstance(m.address, DimmAddress)}
    for memory in plugged:
        address = memory.address = memory.address or DimmAddress()
        if isinstance(address, DimmAddress) and address.slot is None:
            address.slot = next(i for i in range(len(taken) + 1) if i not in taken)
            if domain.max_memory_slots is not None and address.slot >= domain.max_memory_slots:
                raise InternalError("failed to find an empty memory slot")
            taken.add(address.slot)


def check(domain: Domain, caps: Capabilities) -> None:
    """Each device alone, then the slots, addresses and NUMA nodes that they share with others."""
    memories = domain.devices.memories
    if memories and domain.max_memory is None:
        raise ConfigUnsupported("cannot use/hotplug a memory device when domain 'maxMemory' is not defined")
    for memory in memories:
        check_device(memory, caps)
        check_node(memory, domain)
    check_places(memories, domain)


def check_device(memory: MemoryDevice, caps: Capabilities) -> None:
    """What each model must have."""
    path = memory.source.path if memory.source else None
    if memory.model in ("nvdimm", "virtio-pmem") and not path:
        raise XMLDetail(f"path is required for model '{memory.model}'")
    if memory.model == "nvdimm":
        check_nvdimm(memory)
    elif memory.model == "virtio-pmem":
        if memory.access != "shared":
            raise ConfigUnsupported("shared access mode required for virtio-pmem device")
        if memory.node is not None:
            raise ConfigUnsupported("virtio-pmem does not support NUMA nodes")
    elif memory.model == "virtio-mem":
        check_virtio_mem(memory)
    elif memory.model == "sgx-epc" and not caps.has_object("memory-backend-epc"):
        raise ConfigUnsupported("sgx epc isn't supported by this QEMU binary")


def check_nvdimm(memory: MemoryDevice) -> None:
    """What is in it stays."""
    if memory.discard:
        raise ConfigUnsupported("discard is not supported for nvdimms")
    if memory.uuid is not None:
        raise ConfigUnsupported("UUID is not supported for NVDIMM device")


def check_virtio_mem(memory: MemoryDevice) -> None:
    """Memory that comes and goes in blocks."""
    block, requested = memory.block or 0, memory.requested or 0
    if requested > memory.size:
        raise XMLDetail(f"requested size must be smaller than or equal to @size ({memory.size}KiB)")
    if block & (block - 1) or not block:
        raise XMLDetail("block size must be a power of two")
    if block < LEAST_BLOCK:
        raise XMLDetail(f"block size too small, must be at least {LEAST_BLOCK}KiB")
    if requested % block:
        raise XMLDetail("requested size must be an integer multiple of block size")


def check_node(memory: MemoryDevice, domain: Domain) -> None:
    """The NUMA cell that the memory belongs to."""
    cells = len(domain.cpu.numa.cells) if domain.cpu and domain.cpu.numa else 0
    if memory.model in ("dimm", "nvdimm", "virtio-mem"):
        if not cells:
            raise ConfigUnsupported("At least one numa node has to be configured when enabling memory hotplug")
        if memory.node is None:
            raise ConfigUnsupported("target NUMA node needs to be specified for memory device")
    if memory.node is not None and memory.node >= cells:
        raise XMLDetail(
            f"can't add memory backend for guest node '{memory.node}' as the guest has only '{cells}' NUMA nodes "
            "configured"
        )


def check_places(memories: list[MemoryDevice], domain: Domain) -> None:
    """No slot and no base address twice, and no slot beyond the last."""
    seen: set[tuple[str, int]] = set()
    for memory in memories:
        address = memory.address
        if not isinstance(address, DimmAddress):
            continue
        if address.slot is not None and domain.max_memory_slots and address.slot >= domain.max_memory_slots:
            text = f"memory device slot '{address.slot}' exceeds slots count '{domain.max_memory_slots}'"
            raise ConfigUnsupported(text)
        for name, value, shown in (("slot", address.slot, f"{address.slot}"), ("base", address.base, None)):
            if value is None or (name == "base" and not value):
                continue
            if (name, value) in seen:
                text = f"memory device {name} '{shown or hex(value)}' is already being used by another memory device"
                raise ConfigUnsupported(text)
            seen.add((name, value))
