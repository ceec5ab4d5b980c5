"""Procedures of libvirt's protocol that a server does not offer: "not supported" is what clients expect of them."""

import functools

from splitvirt.api.call import calls
from splitvirt.api.errors import NoSupport, RPCError, VirtError


def error_for(program: int, procedure: int, why: str = "") -> VirtError:
    """NoSupport with the function's name, and why, where the protocol has the procedure, else RPCError."""
    name = _names().get((program, procedure))
    return NoSupport(f"{name}: {why}" if why else name) if name else RPCError(f"unknown procedure: {procedure}")


@functools.cache
def _names() -> dict[tuple[int, int], str]:
    """The function behind every procedure; read when one is first asked for that is not offered."""
    from splitvirt.api.reference import contracts

    found: dict[tuple[int, int], str] = {}
    for contract in contracts():
        for declared in calls(contract):
            for call in (declared, *declared.older):
                if call.rpc:
                    found.setdefault((call.program, call.rpc), call.api)
    return found
