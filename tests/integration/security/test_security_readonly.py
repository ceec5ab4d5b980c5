"""Every declared call, with odd numbers, by a client of a read-only socket: refused, or harmless and quick."""

import asyncio
import resource
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.qemu import PAUSED, needs_qemu, tiny

import splitvirt
from splitvirt.access.rules import read_only
from splitvirt.api import constants as c
from splitvirt.api.call import Call, calls
from splitvirt.api.domain import Domain
from splitvirt.api.errors import VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.opaque import Bitmap, FdWire, Opaque
from splitvirt.api.params import Params
from splitvirt.api.record import ObjectWire
from splitvirt.api.stream import pipe
from splitvirt.api.wire import Boolean, Many, Number, Optional, Pairs, String, UuidWire, Wire
from splitvirt.rpc.client import connect_rpc

pytestmark = needs_qemu
PASSWORD = "s3cr3tvn"
FIXED: dict[type, Any] = {
    Optional: None, UuidWire: UUID(int=1), Opaque: b"", Params: [], Pairs: {}, Bitmap: [True], Boolean: False,
}  # fmt: skip


def sample(name: str, wire: Wire, domain: Any, number: int) -> Any:
    """Some value of a type, as near to a number as it gets."""
    if isinstance(wire, Number):
        return 0 if name == "flags" else max(int(wire.low), min(int(wire.high), number))
    if isinstance(wire, ObjectWire):
        return domain if wire.kind is Domain else None
    if isinstance(wire, Many):
        return [max(0, number) & 0xFFFF] if isinstance(wire.of, Number) else []
    if name == "cpumap" and isinstance(wire, String):
        return "0"
    return next((value for kind, value in FIXED.items() if isinstance(wire, kind)), "x")


def callable_calls() -> list[Call]:
    """Calls on the root and on a guest that travel over sockets without descriptors and other objects."""
    return [
        call
        for call in calls(Hypervisor)
        if call.on in (Hypervisor, Domain)
        and call.rpc
        and not any(isinstance(wire, FdWire) for _, wire in call.params)
        and not any(isinstance(w, ObjectWire) and w.kind is not Domain for _, w in call.params[call.on_object :])
    ]


async def code_of(target: Any, call: Call, values: list[Any]) -> int:
    """The error that a call ends with, 0 for none; ten seconds at most."""
    extra = [pipe()[0]] if call.stream else []
    try:
        async with asyncio.timeout(10):
            await getattr(target, call.name)(*values, *extra)
    except VirtError as error:
        if "see the daemon's log" in str(error):
            pytest.fail(f"{call.api}: {error}")
        return error.code
    return 0


@pytest.mark.parametrize("number", [0, -1, 1, (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1])
async def test_every_call_of_a_read_only_client(tmp_path: Path, number: int) -> None:
    async with splitvirt.embed(tmp_path) as hv:
        screen = f"<graphics type='vnc' socket='{tmp_path}/vnc' passwd='{PASSWORD}'/>"
        vm = await hv.create(tiny("seen", devices=screen), PAUSED)
        before = await vm.xml(c.VIR_DOMAIN_XML_SECURE)
        socket = (await hv.expose()).partition("socket=")[2]
        client: Any = await connect_rpc(Hypervisor, socket, "qemu:///system")
        domain = await client.domain_by_name("seen")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for call in callable_calls():
            values = [sample(name, wire, domain, number) for name, wire in call.params]
            began = time.monotonic()
            code = await code_of(client if call.on is Hypervisor else domain, call, values[call.on_object :])
            assert time.monotonic() - began < 30, call.api  # the first may probe QEMU and try KVM
            asked = [rule.name for rule in call.rules if rule.kind != "none" and rule.applies(values)]
            if not all(map(read_only, asked)):
                assert code == c.VIR_ERR_OPERATION_DENIED, f"{call.api} asks for {asked}"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 64 << 10
        assert PASSWORD not in await domain.xml(0)
        for flags in (c.VIR_DOMAIN_XML_SECURE, c.VIR_DOMAIN_XML_MIGRATABLE, 0xFFFFFFFF):
            with pytest.raises(VirtError, match="read only access"):
                await domain.xml(flags)
        assert await vm.xml(c.VIR_DOMAIN_XML_SECURE) == before
        assert [one.name for one in await hv.domains()] == ["seen"]
        await client.close()


async def test_a_client_cannot_give_itself_another_identity(tmp_path: Path) -> None:
    """CONNECT_SET_IDENTITY over a read-only socket is refused even of our own user."""
    import socket
    import struct

    async with splitvirt.embed(tmp_path) as hv:
        path = (await hv.expose()).partition("socket=")[2]

        def speak() -> int:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(path)
                # no parameters, no flags
                client.sendall(struct.pack(">IIIiiIi", 36, 0x20008086, 1, 419, 0, 1, 0) + struct.pack(">II", 0, 0))
                answer = client.recv(4096)
                status, code = struct.unpack_from(">ii", answer, 24)
                assert status == 1
                return int(code)

        assert await asyncio.to_thread(speak) == c.VIR_ERR_ACCESS_DENIED
