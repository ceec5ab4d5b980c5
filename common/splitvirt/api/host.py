# mypy: disable-error-code="empty-body"
"""What every daemon answers, and what a hypervisor tells of its host."""

from typing import Annotated, ClassVar

from .call import call
from .event import Hub
from .opaque import Chars
from .record import Object, Record
from .shape import Listing, OnlineCpus, Room
from .types import (
    I32,
    U32,
    U64,
    Bool,
    CpuMap,
    Names256,
    NodeCpuStats,
    NodeMemoryStats,
    Numbers1024,
    OptStr,
    Params64,
    Sizes1024,
    Str,
)
from .wire import Many, String


class NodeInfo(Record):
    """The host: CPU model, memory in KiB, active processors, MHz, NUMA nodes, and sockets, cores, threads in each."""

    model: Annotated[str, Chars(32, fixed=True)]
    memory: U64
    cpus: I32
    mhz: I32
    nodes: I32
    sockets: I32
    cores: I32
    threads: I32


class SecurityModel(Record):
    """The host's security model and its domain of interpretation."""

    model: Annotated[str, Chars(257)]
    doi: Annotated[str, Chars(257)]


class Connection:
    """What every daemon answers."""

    KIND = "connect"
    BUS = "org.libvirt.Connect"
    PROPS = {"Encrypted": ("encrypted", "b")}
    OBJECTS: ClassVar[tuple[type[Object], ...]] = ()
    encrypted = False
    events: Hub

    @call("virConnectGetType", rpc=3, acl="connect:getattr", high=True)
    async def type(self) -> Str:
        """The driver's name: "QEMU", "LXC", "network" ..."""

    @call("virConnectGetVersion", rpc=4, acl="connect:getattr", high=True, prop="Version")
    async def version(self) -> U64:
        """The hypervisor's version: major * 1,000,000 + minor * 1,000 + release."""

    @call("virConnectGetLibVersion", rpc=157, acl="connect:getattr", high=True, prop="LibVersion")
    async def lib_version(self) -> U64:
        """The version of libvirt's interface that is spoken, numbered likewise."""

    @call("virConnectGetHostname", rpc=59, acl="connect:getattr", high=True, prop="Hostname")
    async def hostname(self) -> Str:
        """The host's name."""

    @call("virConnectGetURI", rpc=110, acl="connect:getattr", high=True)
    async def uri(self) -> Str:
        """The URI that opens it again."""

    @call("virConnectIsSecure", rpc=149, acl="none", high=True, prop="Secure")
    async def is_secure(self) -> Bool:
        """Whether nobody else can read what is said."""

    @call("virConnectGetCapabilities", rpc=7, acl="connect:read", dbus="GetCapabilities")
    async def capabilities(self) -> Str:
        """What the host and the driver can do, as XML."""

    @call("virConnectGetSysinfo", rpc=203, acl="connect:read", high=True, dbus="GetSysinfo")
    async def sysinfo(self, flags: U32 = 0) -> Str:
        """What the host's firmware says of it, as XML."""


class Host(Connection):
    """The machine that a hypervisor runs on."""

    @call("virConnectGetMaxVcpus", rpc=5, acl="connect:read", high=True)
    async def max_vcpus(self, type: OptStr = None) -> I32:
        """How many processors a guest of that kind can have."""

    @call("virNodeGetInfo", rpc=6, acl="connect:read", high=True)
    async def node_info(self) -> NodeInfo:
        """The host at a glance."""

    @call("virNodeGetFreeMemory", rpc=102, acl="connect:read", high=True, dbus="NodeGetFreeMemory")
    async def free_memory(self) -> U64:
        """Free memory in bytes."""

    @call("virNodeGetCellsFreeMemory", rpc=101, acl="connect:read", high=True)
    async def cells_free_memory(self, start: I32, cells: I32) -> Sizes1024:
        """Free memory of NUMA nodes in bytes, from number `start` on."""

    @call("virNodeGetFreePages", rpc=340, acl="connect:read", high=True)
    async def free_pages(self, sizes: Numbers1024, start: I32, cells: U32, flags: U32 = 0) -> Sizes1024:
        """Free pages of each size (KiB), node by node from number `start` on."""

    @call("virNodeAllocPages", rpc=347, acl="connect:write")
    async def alloc_pages(self, sizes: Numbers1024, counts: Sizes1024, start: I32, cells: U32, flags: U32 = 0) -> I32:
        """Set aside, or add (VIR_NODE_ALLOC_PAGES_ADD), pages of each size (KiB); of how many it worked."""

    @call("virNodeGetMemoryParameters", rpc=289, acl="connect:read", dbus="NodeGetMemoryParameters", shape=Room())
    async def node_memory_params(self, flags: U32 = 0) -> Params64:
        """How the host shares equal pages."""

    @call("virNodeSetMemoryParameters", rpc=288, acl="connect:write", dbus="NodeSetMemoryParameters")
    async def set_node_memory_params(self, params: Params64, flags: U32 = 0) -> None:
        """Set how the host shares equal pages."""

    @call("virNodeGetCPUStats", rpc=227, acl="connect:read", high=True, dbus="NodeGetCPUStats", shape=Room())
    async def node_cpu_stats(self, cpu: I32, flags: U32 = 0) -> NodeCpuStats:
        """Time of a processor by use, in nanoseconds; of all of them by VIR_NODE_CPU_STATS_ALL_CPUS."""

    @call("virNodeGetMemoryStats", rpc=228, acl="connect:read", high=True, dbus="NodeGetMemoryStats", shape=Room(at=0))
    async def node_memory_stats(self, cell: I32, flags: U32 = 0) -> NodeMemoryStats:
        """Memory of a NUMA node by use, in KiB; of all of them by VIR_NODE_MEMORY_STATS_ALL_CELLS."""

    @call("virNodeGetCPUMap", rpc=293, acl="connect:read", dbus="NodeGetCPUMap", shape=OnlineCpus())
    async def cpu_map(self, flags: U32 = 0) -> CpuMap:
        """Which of the host's processors are online."""

    @call("virNodeGetSecurityModel", rpc=122, acl="connect:read", high=True, dbus="NodeGetSecurityModel")
    async def security_model(self) -> SecurityModel:
        """The host's first security model."""

    @call("virNodeGetSEVInfo", rpc=395, acl="connect:read", shape=Room())
    async def sev_info(self, flags: U32 = 0) -> Params64:
        """What the platform says of AMD SEV."""

    @call("virNodeSuspendForDuration", rpc=250, acl="connect:pm_control")
    async def suspend_host(self, target: U32, duration: U64, flags: U32 = 0) -> None:
        """Suspend the host (VIR_NODE_SUSPEND_TARGET_*), and wake it after so many seconds, at least 60."""

    @call("virConnectGetCPUModelNames", rpc=312, acl="connect:read", dbus="GetCPUModelNames", shape=Listing())
    async def cpu_models(self, arch: Str, flags: U32 = 0) -> Annotated[list[str], Many(String(), 8192)]:
        """The CPU models known for an architecture."""

    @call("virConnectCompareCPU", rpc=158, acl="connect:read", high=True, dbus="CompareCPU")
    async def compare_cpu(self, xml: Str, flags: U32 = 0) -> I32:
        """How a CPU compares to the host's (VIR_CPU_COMPARE_*)."""

    @call("virConnectBaselineCPU", rpc=162, acl="connect:read", dbus="BaselineCPU")
    async def baseline_cpu(self, cpus: Names256, flags: U32 = 0) -> Str:
        """The best CPU that all of these can provide, as XML."""

    @call("virConnectCompareHypervisorCPU", rpc=393, acl="connect:write")
    async def compare_hypervisor_cpu(
        self, emulator: OptStr, arch: OptStr, machine: OptStr, virt_type: OptStr, cpu: Str, flags: U32 = 0
    ) -> I32:
        """How a CPU compares to what the hypervisor can give a guest (VIR_CPU_COMPARE_*)."""

    @call("virConnectBaselineHypervisorCPU", rpc=394, acl="connect:write")
    async def baseline_hypervisor_cpu(
        self, emulator: OptStr, arch: OptStr, machine: OptStr, virt_type: OptStr, cpus: Names256, flags: U32 = 0
    ) -> Str:
        """The best CPU that all of these can provide and the hypervisor can give a guest, as XML."""
