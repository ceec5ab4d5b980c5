"""A daemon that cannot start tells those who wait in systemd's sockets: else they would wait, and start it, again."""

import asyncio
import contextlib
from collections.abc import Iterable

from splitvirt.api.errors import RPCError
from splitvirt.daemon.sockets import Listening
from splitvirt.rpc.door import Refusal

WAITING_MAX = 1000
"""Clients that are told; the others by the next process."""


async def refuse(listeners: Iterable[Listening], daemon: str, why: str) -> None:
    """Answer whoever is connected already with why not, and close; done in `rpc.door.REFUSAL_SECONDS` at most.

    Anybody may connect, and configuration has secrets: what exactly is wrong is for the journal.
    """
    error = RPCError(f"{daemon} cannot start: {why} (`journalctl -u {daemon}` tells more)")
    told: set[Refusal] = set()
    for one in listeners:
        with contextlib.suppress(OSError):  # nobody is left
            one.socket.setblocking(False)
            while len(told) < WAITING_MAX:
                told.add(Refusal(one.socket.accept()[0], error, told.discard))
    while told:  # noqa: ASYNC110 (bounded by each one's own timer)
        await asyncio.sleep(0.01)
