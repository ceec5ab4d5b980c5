# mypy: disable-error-code="empty-body"
"""Memory, processors and their tuning."""

from typing import Annotated

from . import constants as c
from .call import Older, call
from .params import TypedParam
from .record import Record, wire
from .rule import CHANGE
from .shape import UINT, Counted, PerCpu, Pins, Room, VcpuList
from .types import (
    I32,
    PARAM_LISTS,
    U32,
    U64,
    Bool,
    Count,
    CpuMap,
    CpuMaps,
    CpuText,
    MemoryStats,
    Params16,
    Params64,
    Peek,
    Size,
    Str,
)
from .wire import Many


class SchedulerType(Record):
    """The scheduler's name, and how many parameters it has."""

    type: Str
    params: I32


class VcpuInfo(Record):
    """A virtual processor: number, state (VIR_VCPU_*), processor time in nanoseconds, the host's processor or -1."""

    MEANINGS = {"state": "VIR_VCPU_"}
    number: U32
    state: I32
    cpu_time: U64
    cpu: I32


class Vcpu(Record):
    """A virtual processor and the host's processors that it may run on."""

    info: VcpuInfo
    cpumap: CpuMap


class IOThread(Record):
    """An I/O thread and the host's processors that it may run on."""

    id: U32
    cpumap: CpuMap


class Memory:
    """Its memory."""

    @call("virDomainGetMaxMemory", rpc=17, acl="domain:read", high=True)
    async def max_memory(self) -> U64:
        """The most memory that it can have, in KiB."""

    @call(
        "virDomainSetMemoryFlags",
        rpc=204,
        acl=CHANGE,
        dbus="SetMemory",
        older=[
            Older(31, flags=c.VIR_DOMAIN_AFFECT_LIVE),
            Older(30, high=True, acl="domain:write", flags=c.VIR_DOMAIN_MEM_MAXIMUM),
        ],
    )
    async def set_memory(self, memory: U64, flags: U32 = 0) -> None:
        """Give it that much memory, in KiB (VIR_DOMAIN_MEM_MAXIMUM: at most)."""

    @call(
        "virDomainMemoryStats",
        rpc=159,
        acl="domain:read",
        dbus="MemoryStats",
        shape=Room("maxStats", total=False, wire=UINT),
    )
    async def memory_stats(self, flags: U32 = 0) -> MemoryStats:
        """Statistics by number (VIR_DOMAIN_MEMORY_STAT_*), amounts in KiB."""

    @call("virDomainSetMemoryStatsPeriod", rpc=308, acl=CHANGE, dbus="SetMemoryStatsPeriod")
    async def set_memory_stats_period(self, period: I32, flags: U32 = 0) -> None:
        """Have the balloon collect statistics every so many seconds; 0: not at all."""

    @call("virDomainGetMemoryParameters", rpc=198, acl="domain:read", dbus="GetMemoryParameters", shape=Room())
    async def memory_params(self, flags: U32 = 0) -> Params16:
        """Limits of its memory use, in KiB."""

    @call("virDomainSetMemoryParameters", rpc=197, acl=CHANGE, dbus="SetMemoryParameters")
    async def set_memory_params(self, params: Params16, flags: U32 = 0) -> None:
        """Limit its memory use, in KiB."""

    @call("virDomainGetNumaParameters", rpc=255, acl="domain:read", dbus="GetNumaParameters", shape=Room())
    async def numa_params(self, flags: U32 = 0) -> Params16:
        """From which of the host's nodes its memory comes."""

    @call("virDomainSetNumaParameters", rpc=254, acl=CHANGE, dbus="SetNumaParameters")
    async def set_numa_params(self, params: Params16, flags: U32 = 0) -> None:
        """Say from which of the host's nodes its memory comes."""

    @call("virDomainMemoryPeek", rpc=104, acl="domain:mem_read", dbus="MemoryPeek")
    async def memory_peek(self, offset: U64, size: Size, flags: U32) -> Peek:
        """Bytes of its memory (VIR_MEMORY_*), at most 4 MiB."""

    @call("virDomainStartDirtyRateCalc", rpc=427, acl="domain:write")
    async def start_dirty_rate_calc(self, seconds: I32, flags: U32 = 0) -> None:
        """Measure for so many seconds how fast it writes to memory; the bulk statistics tell the outcome."""


class Processors:
    """Its virtual processors and I/O threads."""

    @call(
        "virDomainGetVcpusFlags",
        rpc=200,
        acl=("domain:read", "domain:write:VIR_DOMAIN_VCPU_GUEST"),
        dbus="GetVcpus",
        older=[Older(18, high=True, flags=c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_VCPU_MAXIMUM)],
    )
    async def vcpu_count(self, flags: U32 = 0) -> Count:
        """How many virtual processors it has (VIR_DOMAIN_VCPU_*)."""

    @call(
        "virDomainSetVcpusFlags",
        rpc=199,
        acl=(*CHANGE, "domain:write:VIR_DOMAIN_VCPU_GUEST"),
        dbus="SetVcpus",
        older=[Older(32, flags=c.VIR_DOMAIN_AFFECT_LIVE)],
    )
    async def set_vcpus(self, count: U32, flags: U32 = 0) -> None:
        """Give it so many virtual processors."""

    @call("virDomainSetVcpu", rpc=384, acl=CHANGE)
    async def set_vcpu(self, cpumap: Str, state: Bool, flags: U32 = 0) -> None:
        """Plug or unplug single processors, in the form "0-3,5"."""

    @call("virDomainGetVcpus", rpc=20, acl="domain:read", high=True, shape=VcpuList())
    async def vcpus(self) -> Annotated[list[Vcpu], Many(wire(Vcpu), 16384)]:
        """Its virtual processors, and where they may run."""

    @call("virDomainGetVcpuPinInfo", rpc=230, acl="domain:read", dbus="GetVcpuPinInfo", shape=Pins())
    async def vcpu_pins(self, flags: U32 = 0) -> CpuMaps:
        """For each virtual processor, the host's processors that it may run on."""

    @call(
        "virDomainPinVcpuFlags", rpc=225, acl=CHANGE, dbus="PinVcpu", older=[Older(26, flags=c.VIR_DOMAIN_AFFECT_LIVE)]
    )
    async def pin_vcpu(self, vcpu: U32, cpumap: CpuMap, flags: U32 = 0) -> None:
        """Say where a virtual processor may run."""

    @call("virDomainGetEmulatorPinInfo", rpc=280, acl="domain:read", dbus="GetEmulatorPinInfo", shape=Pins(many=False))
    async def emulator_pin(self, flags: U32 = 0) -> CpuMap:
        """The host's processors that the emulator may run on; empty where that was never said."""

    @call("virDomainPinEmulator", rpc=279, acl=CHANGE, dbus="PinEmulator")
    async def pin_emulator(self, cpumap: CpuMap, flags: U32 = 0) -> None:
        """Say where the emulator may run."""

    @call("virDomainGetIOThreadInfo", rpc=351, acl="domain:read", dbus="GetIOThreadInfo", shape=Counted())
    async def iothreads(self, flags: U32 = 0) -> Annotated[list[IOThread], Many(wire(IOThread), 16384)]:
        """Its I/O threads, and where they may run."""

    @call("virDomainPinIOThread", rpc=352, acl=CHANGE, dbus="PinIOThread")
    async def pin_iothread(self, id: U32, cpumap: CpuMap, flags: U32 = 0) -> None:
        """Say where an I/O thread may run."""

    @call("virDomainAddIOThread", rpc=355, acl=CHANGE, dbus="AddIOThread")
    async def add_iothread(self, id: U32, flags: U32 = 0) -> None:
        """Add an I/O thread of that number."""

    @call("virDomainDelIOThread", rpc=356, acl=CHANGE, dbus="DelIOThread")
    async def del_iothread(self, id: U32, flags: U32 = 0) -> None:
        """Remove an I/O thread."""

    @call("virDomainSetIOThreadParams", rpc=402, acl=CHANGE)
    async def set_iothread_params(self, id: U32, params: Params64, flags: U32 = 0) -> None:
        """Set how an I/O thread polls."""

    @call("virDomainGetGuestVcpus", rpc=371, acl="domain:write", dbus="GetGuestVcpus")
    async def guest_vcpus(self, flags: U32 = 0) -> Params64:
        """What the guest says of its processors (by its agent)."""

    @call("virDomainSetGuestVcpus", rpc=372, acl="domain:write", dbus="SetGuestVcpus")
    async def set_guest_vcpus(self, cpumap: CpuText, state: I32, flags: U32 = 0) -> None:
        """Have the guest (by its agent) use processors in the form "0-3,5", or not."""


class Scheduling:
    """How the host shares out time."""

    @call("virDomainGetSchedulerType", rpc=56, acl="domain:read", prop="SchedulerType")
    async def scheduler_type(self) -> SchedulerType:
        """How the host shares out processor time."""

    @call(
        "virDomainGetSchedulerParametersFlags",
        rpc=223,
        acl="domain:read",
        dbus="GetSchedulerParameters",
        shape=Room(total=False),
        older=[Older(57, shape=Room(at=None, total=False), flags=0)],
    )
    async def scheduler_params(self, flags: U32 = 0) -> Params16:
        """Its share of processor time; periods and quotas in microseconds."""

    @call(
        "virDomainSetSchedulerParametersFlags",
        rpc=219,
        acl=CHANGE,
        dbus="SetSchedulerParameters",
        # libvirt's table asks only domain:read of the older one; that would let a read-only client write
        older=[Older(58, flags=0)],
    )
    async def set_scheduler_params(self, params: Params16, flags: U32 = 0) -> None:
        """Set its share of processor time; periods and quotas in microseconds."""

    @call("virDomainGetBlkioParameters", rpc=206, acl="domain:read", dbus="GetBlockIOParameters", shape=Room())
    async def blkio_params(self, flags: U32 = 0) -> Params16:
        """Its share of the host's disks."""

    @call("virDomainSetBlkioParameters", rpc=205, acl=CHANGE, dbus="SetBlockIOParameters")
    async def set_blkio_params(self, params: Params16, flags: U32 = 0) -> None:
        """Set its share of the host's disks."""

    @call("virDomainGetCPUStats", rpc=262, acl="domain:read", shape=PerCpu())
    async def cpu_stats(self, start: I32, cpus: U32, flags: U32 = 0) -> Annotated[list[list[TypedParam]], PARAM_LISTS]:
        """Processor time in nanoseconds on `cpus` of the host's processors from number `start` on.

        With a start of -1 and one processor the totals. With no processors all of them, and from afar only how many
        there are: an empty list for each.
        """

    @call("virDomainGetPerfEvents", rpc=365, acl="domain:read", dbus="GetPerfEvents")
    async def perf_events(self, flags: U32 = 0) -> Params64:
        """Which of the host's performance counters are on for it."""

    @call("virDomainSetPerfEvents", rpc=366, acl="domain:write", dbus="SetPerfEvents")
    async def set_perf_events(self, params: Params64, flags: U32 = 0) -> None:
        """Turn performance counters on or off."""
