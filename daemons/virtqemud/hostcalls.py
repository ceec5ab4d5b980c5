"""What the driver tells of itself and of its host."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from splitvirt.api import constants as c
from splitvirt.api.errors import (
    ConfigUnsupported,
    InternalError,
    InvalidArg,
    OperationFailed,
    OperationInvalid,
    SystemError_,
    VirtError,
)
from splitvirt.api.host import NodeInfo, SecurityModel
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.params import TypedParam
from splitvirt.host import topology

from .flags import only

if TYPE_CHECKING:
    from .emulator.capabilities import Capabilities

QEMU = c.VIR_FROM_QEMU
LIB_VERSION = 9_000_000
"""libvirt's interface as of 9.0 is what is spoken here."""

_KSM = Path("/sys/kernel/mm/ksm")
_KSM_FIGURES = {
    "shm_pages_to_scan": ("pages_to_scan", "uint"),
    "shm_sleep_millisecs": ("sleep_millisecs", "uint"),
    "shm_pages_shared": ("pages_shared", "ullong"),
    "shm_pages_sharing": ("pages_sharing", "ullong"),
    "shm_pages_unshared": ("pages_unshared", "ullong"),
    "shm_pages_volatile": ("pages_volatile", "ullong"),
    "shm_full_scans": ("full_scans", "ullong"),
    "shm_merge_across_nodes": ("merge_across_nodes", "uint"),
}


class HostCalls(Hypervisor):
    """The host, and the driver itself."""

    own_uri: str

    async def type(self) -> str:
        """Always "QEMU"."""
        return "QEMU"

    async def version(self) -> int:
        """The version of the usual emulator."""
        return (await self.usual_capabilities()).version_number

    async def usual_capabilities(self) -> Capabilities:
        """What the usual emulator can do."""
        raise NotImplementedError

    async def lib_version(self) -> int:
        """The version of libvirt's interface."""
        return LIB_VERSION

    async def hostname(self) -> str:
        """The host's name."""
        return socket.gethostname()

    async def uri(self) -> str:
        """What opens it again."""
        return self.own_uri

    async def is_secure(self) -> bool:
        """It is reached within the host alone."""
        return True

    async def max_vcpus(self, type: str | None = None) -> int:
        """Processors that a guest of a kind can have."""
        if type not in (None, "qemu", "kvm"):
            raise InvalidArg(f"unknown type '{type}'", domain=QEMU)
        caps = await self.usual_capabilities()
        return max((int(m["cpu-max"]) for m in caps.machines.values() if m.get("is-default")), default=1)

    async def node_info(self) -> NodeInfo:
        """The host at a glance."""
        info = topology.node_info()
        return NodeInfo(
            info.model, info.memory, info.cpus, info.mhz, info.nodes, info.sockets, info.cores, info.threads
        )

    async def free_memory(self) -> int:
        """Bytes."""
        return topology.meminfo().get("MemFree", 0) * 1024

    async def cells_free_memory(self, start: int, cells: int) -> list[int]:
        """Bytes by NUMA cell."""
        found = _cells(start, cells)
        return [topology.cell_memory(cell)[1] * 1024 for cell in found]

    async def free_pages(self, sizes: list[int], start: int, cells: int, flags: int = 0) -> list[int]:
        """Free pages of each size, by cell."""
        only(flags, 0, "nodeGetFreePages")
        told = []
        for cell in _cells(start, cells):
            for size in sizes:
                free = topology.free_pages(cell, size)
                if free is None:
                    raise OperationInvalid(f"page size {size} is not available on node {cell}", domain=QEMU)
                told.append(free)
        return told

    async def alloc_pages(self, sizes: list[int], counts: list[int], start: int, cells: int, flags: int = 0) -> int:
        """Set pages of each size aside, in each cell; how many pools were changed."""
        only(flags, c.VIR_NODE_ALLOC_PAGES_SET | c.VIR_NODE_ALLOC_PAGES_ADD, "nodeAllocPages")
        done = 0
        for cell in _cells(start, cells):
            pools = dict(topology.huge_pools(cell))
            for size, count in zip(sizes, counts, strict=True):
                if size not in pools:
                    raise OperationFailed(f"page size {size} is not available", domain=QEMU)
                file = pools[size] / "nr_hugepages"
                add = int(file.read_text()) if flags & c.VIR_NODE_ALLOC_PAGES_ADD else 0
                try:
                    file.write_text(str(count + add))
                except OSError as error:
                    raise SystemError_(f"cannot write to {file}: {error.strerror}", domain=QEMU) from error
                done += 1
        return done

    async def node_memory_params(self, flags: int = 0) -> list[TypedParam]:
        """How the host shares equal pages."""
        only(flags, c.VIR_TYPED_PARAM_STRING_OKAY, "nodeGetMemoryParameters")
        told = []
        for name, (file, kind) in _KSM_FIGURES.items():
            if (_KSM / file).exists():
                told.append(getattr(TypedParam, kind)(name, int((_KSM / file).read_text())))
        return told

    async def set_node_memory_params(self, params: list[TypedParam], flags: int = 0) -> None:
        """Set how the host shares equal pages."""
        only(flags, 0, "nodeSetMemoryParameters")
        settable = ("shm_pages_to_scan", "shm_sleep_millisecs", "shm_merge_across_nodes")
        for param in params:
            if param.name not in settable:
                raise InvalidArg(f"parameter '{param.name}' is not supported", domain=QEMU)
        for param in params:
            try:
                (_KSM / _KSM_FIGURES[param.name][0]).write_text(str(param.value))
            except OSError as error:
                raise SystemError_(f"failed to set {param.name}: {error.strerror}", domain=QEMU) from error

    async def node_cpu_stats(self, cpu: int, flags: int = 0) -> dict[str, int]:
        """Nanoseconds by use, of a processor or of all (-1)."""
        only(flags, 0, "nodeGetCPUStats")
        times = topology.cpu_times(None if cpu == c.VIR_NODE_CPU_STATS_ALL_CPUS else cpu)
        if times is None:
            raise VirtError.of(c.VIR_ERR_INVALID_ARG, QEMU, "Invalid cpuNum in virHostCPUGetStatsLinux")
        return times

    async def node_memory_stats(self, cell: int, flags: int = 0) -> dict[str, int]:
        """KiB by use, of a cell or of all (-1)."""
        only(flags, 0, "nodeGetMemoryStats")
        if cell != c.VIR_NODE_MEMORY_STATS_ALL_CELLS and cell not in topology.cell_ids():
            words = f"cellNum in virHostMemGetStats must be less than or equal to {max(topology.cell_ids())}"
            raise VirtError.of(c.VIR_ERR_INVALID_ARG, QEMU, words)
        figures = topology.meminfo(None if cell == c.VIR_NODE_MEMORY_STATS_ALL_CELLS else cell)
        names = {"total": "MemTotal", "free": "MemFree", "buffers": "Buffers", "cached": "Cached"}
        return {name: figures[key] for name, key in names.items() if key in figures}

    async def cpu_map(self, flags: int = 0) -> list[bool]:
        """Which processors are online."""
        only(flags, 0, "nodeGetCPUMap")
        online = set(topology.online_cpus())
        return [number in online for number in range(max(topology.present_cpus()) + 1)]

    async def security_model(self) -> SecurityModel:
        """None."""
        return SecurityModel("none", "0")

    async def cpu_models(self, arch: str, flags: int = 0) -> list[str]:
        """CPU models known for an architecture."""
        only(flags, 0, "qemuConnectGetCPUModelNames")
        caps = await self.usual_capabilities()
        if arch not in (caps.arch, "i686"):
            raise InvalidArg(f"cannot find architecture {arch}", domain=QEMU)
        from .emulator.capabilities import named

        return named(caps.cpus["tcg"])

    async def sysinfo(self, flags: int = 0) -> str:
        """What the firmware says of the host. ConfigUnsupported where it says nothing that we may read."""
        only(flags, 0, "qemuConnectGetSysinfo")
        from .emulator.sysinfo import sysinfo_xml

        made = sysinfo_xml()
        if made is None:
            raise ConfigUnsupported("Host SMBIOS information is not available", domain=QEMU)
        return made


def host_uuid(config: Mapping[str, Any]) -> UUID:
    """The host's UUID: as configured (`host_uuid`, `host_uuid_source`), its firmware's, or one of its machine id."""
    if given := config.get("host_uuid"):
        return UUID(given)
    by_machine = config.get("host_uuid_source") == "machine-id"
    with contextlib.suppress(OSError, ValueError):
        if not by_machine:
            return UUID(Path("/sys/class/dmi/id/product_uuid").read_text().strip())
    try:
        machine = Path("/etc/machine-id").read_text().strip()
        if by_machine:
            return UUID(machine)
    except (OSError, ValueError):
        machine = os.uname().nodename
    return uuid5(UUID("7d0c0fd6-8e8c-4b0e-9d5f-3a6a4a3d6c11"), machine)


def _cells(start: int, count: int) -> list[int]:
    known = topology.cell_ids()
    if start > max(known):
        raise InternalError(f"start cell {start} out of range (0-{max(known)})", domain=QEMU)
    return [cell for cell in known if cell >= start][: count or None]
