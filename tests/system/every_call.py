"""Makes every declared call of the QEMU driver as whoever runs it, and prints what became of each as JSON.

Run in the container: `every_call.py socket|bus PERMISSION...`, the permissions being those that the caller has been
given (none: all). Flags are all set, so that no call gets past its access check and does anything.
"""

import asyncio
import json
import sys
from typing import Any
from uuid import UUID

from splitvirt.api.call import Call, calls
from splitvirt.api.domain import Domain
from splitvirt.api.errors import VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.opaque import Bitmap, FdWire, Opaque
from splitvirt.api.params import Params
from splitvirt.api.record import ObjectWire
from splitvirt.api.stream import pipe
from splitvirt.api.wire import Boolean, Many, Number, Optional, Pairs, String, UuidWire, Wire
from splitvirt.dbus.proxy import connect_bus
from splitvirt.rpc.client import connect_rpc

ALL = 0xFFFFFFFF
LAST = ("undefine", "destroy", "shutdown", "rename")


def sample(name: str, wire: Wire, domain: Any) -> Any:
    """Some value of a type."""
    if isinstance(wire, Number):
        return int(wire.high) if name == "flags" else 0
    if isinstance(wire, ObjectWire):
        return domain if wire.kind is Domain else None
    fixed: dict[type, Any] = {Optional: None, UuidWire: UUID(int=1), Opaque: b"", Params: [], Many: [], Pairs: {}}
    if name == "cpumap" and isinstance(wire, String):
        return "0"
    fixed |= {Bitmap: [True], Boolean: False}
    return next((value for kind, value in fixed.items() if isinstance(wire, kind)), "x")


async def outcome(target: Any, call: Call, values: list[Any]) -> int:
    """The error code that a call ends with, 0 for none."""
    extra = [pipe()[0]] if call.stream else []
    try:
        async with asyncio.timeout(20):
            await getattr(target, call.name)(*values, *extra)
    except VirtError as error:
        return error.code
    except TimeoutError:
        return -1
    return 0


async def main(front: str, granted: list[str]) -> None:
    root: Any
    if front == "socket":
        root = await connect_rpc(Hypervisor, "/run/libvirt/virtqemud-sock", "qemu:///system")
    else:
        root = await connect_bus(Hypervisor, "system", "org.splitvirt.virtqemud", "/org/libvirt/QEMU")
    domain = await root.domain_by_name("demo")
    told = []
    for call in sorted(calls(Hypervisor), key=lambda call: call.name in LAST):
        on_bus = call.dbus or call.prop
        if call.on not in (Hypervisor, Domain) or not (call.rpc if front == "socket" else on_bus):
            continue
        if any(isinstance(wire, FdWire) for _, wire in call.params):
            continue
        named = [(name, sample(name, wire, domain)) for name, wire in call.params]
        values = [value for _, value in named]
        if front == "bus":
            values = [call.defaults[name] if name in call.off_bus else value for name, value in named]
        if None in values and any(isinstance(wire, ObjectWire) for _, wire in call.params[call.on_object :]):
            continue
        needs = sorted({rule.name for rule in call.rules if rule.kind != "none" and rule.applies(values)})
        code = await outcome(root if call.on is Hypervisor else domain, call, values[call.on_object :])
        told.append({"call": call.name, "needs": needs, "code": code, "late": call.finds})
    print(json.dumps(told))
    await root.close()


asyncio.run(main(sys.argv[1], sys.argv[2:]))
