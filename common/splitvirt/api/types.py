"""The types that declarations are written in: `flags: U32` is an `int` to mypy, and knows how it travels."""

from typing import Annotated
from uuid import UUID

from .opaque import Bitmap, CpuTextWire, FdWire, Opaque
from .params import Params
from .params import TypedParam as TypedParam
from .wire import Boolean, Many, Number, Optional, Pairs, String, UuidWire

I32 = Annotated[int, Number("int", "i", "i", -(2**31), 2**31 - 1)]
U32 = Annotated[int, Number("unsigned int", "u", "I", 0, 2**32 - 1)]
I64 = Annotated[int, Number("hyper", "x", "q", -(2**63), 2**63 - 1)]
U64 = Annotated[int, Number("unsigned hyper", "t", "Q", 0, 2**64 - 1)]
F64 = Annotated[float, Number("double", "d", "d", float("-inf"), float("inf"))]
U8 = Annotated[int, Number("unsigned char", "y", "I", 0, 255)]
I8 = Annotated[int, Number("char", "y", "i", -128, 127)]
U16 = Annotated[int, Number("unsigned short", "q", "I", 0, 65535)]
# Those that libvirt-dbus shows as another type.
Size = Annotated[int, Number("unsigned int", "t", "I", 0, 2**32 - 1)]
Count = Annotated[int, Number("int", "u", "i", -(2**31), 2**31 - 1)]
Seconds = Annotated[int, Number("hyper", "t", "q", 0, 2**63 - 1)]
PoolState = Annotated[int, Number("unsigned char", "i", "I", 0, 255)]
VolType = Annotated[int, Number("char", "i", "i", -128, 127)]
Bool = Annotated[bool, Boolean()]

Str = Annotated[str, String()]
OptStr = Annotated[str | None, Optional(String(), "remote_string")]
Uuid = Annotated[UUID, UuidWire()]
CpuMap = Annotated[list[bool], Bitmap(2048)]
CpuMaps = Annotated[list[list[bool]], Many(Bitmap(2048), 16384)]
CpuText = Annotated[str, CpuTextWire()]

# File descriptors belong to who hands them over: what a method is given is closed after it returns (dup to keep),
# and so is what it returns, once it is sent.
Fd = Annotated[int, FdWire(False)]
Fds = Annotated[list[int], FdWire(True)]

# Typed parameters, by the bound that the protocol gives the list.
Params16 = Annotated[list[TypedParam], Params(16)]
PARAM_LISTS = Many(Params(2048), 128)
Params32 = Annotated[list[TypedParam], Params(32)]
Params64 = Annotated[list[TypedParam], Params(64)]
Params2048 = Annotated[list[TypedParam], Params(2048)]
AdminParams32 = Annotated[list[TypedParam], Params(32, "admin_typed_param")]
AdminParams64 = Annotated[list[TypedParam], Params(64, "admin_typed_param")]
ParamsAll = Annotated[list[TypedParam], Params(262144)]

_U32, _U64 = Number("unsigned int", "u", "I", 0, 2**32 - 1), Number("unsigned hyper", "t", "Q", 0, 2**64 - 1)
_I32 = Number("int", "i", "i", -(2**31), 2**31 - 1)
Names256 = Annotated[list[str], Many(String(), 256)]
Names2048 = Annotated[list[str], Many(String(), 2048)]
Numbers1024 = Annotated[list[int], Many(_U32, 1024)]
Sizes1024 = Annotated[list[int], Many(_U64, 1024)]
KeyCodes = Annotated[list[int], Many(_U32, 16)]
_MEMORY = Pairs(_I32, _U64, 1024, "remote_domain_memory_stat", "VIR_DOMAIN_MEMORY_STAT_")
MemoryStats = Annotated[dict[int, int], _MEMORY]
NodeCpuStats = Annotated[dict[str, int], Pairs(String(), _U64, 16, "remote_node_get_cpu_stats")]
NodeMemoryStats = Annotated[dict[str, int], Pairs(String(), _U64, 16, "remote_node_get_memory_stats")]
Cookie = Annotated[bytes, Opaque(4194304)]
Peek = Annotated[bytes, Opaque(4194304)]
SecretValue = Annotated[bytes, Opaque(65536)]
