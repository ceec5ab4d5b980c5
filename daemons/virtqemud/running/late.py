"""What of the host a device takes that comes while the guest runs."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from splitvirt.api.constants import VIR_FROM_QEMU
from splitvirt.api.errors import ConfigUnsupported
from splitvirt.xml.devices.interface import Interface
from virtqemud.argv.parts import Parts

from .resources import Resources

if TYPE_CHECKING:
    from virtqemud.argv.context import Context
    from virtqemud.domain.domain import QemuDomain


@contextlib.asynccontextmanager
async def taken(guest: QemuDomain, context: Context) -> AsyncIterator[Resources]:
    """What is taken here is QEMU's when the context ends, and given back if it ends by an error."""
    res = Resources(guest, context.domain, context, 0)
    before = len(res.helpers)
    try:
        yield res
        while guest.hand_over:
            await guest.hand_over.pop()(guest.running().process.pid)
    except BaseException:
        guest.hand_over.clear()
        for started in res.helpers[before:]:
            await started.stop(1.0)
            started.close()
        del res.helpers[before:]
        raise
    finally:
        res.close()


async def connect(res: Resources, card: Interface) -> None:
    """Plug a card in on the host; `disconnect` of the guest takes that back."""
    from .nics import connect_card

    await connect_card(res, card)
    if res.folders:  # QEMU has inherited none
        raise ConfigUnsupported("the path of passt's socket is too long: use a shorter root", domain=VIR_FROM_QEMU)
    for helper in res.helpers_before:
        await res.start(helper)


def prepare(res: Resources, parts: Parts, alias: str) -> dict[str, int]:
    """Make the folders, files and sockets that a device asks for; the descriptors of the sockets, by path.

    QEMU gets its sockets open: it may have no right to make one there, and paths have no limit so.
    """
    from .order import prepare_files

    prepare_files(parts, res)
    made = {path: _listening(res, path) for path in parts.sockets}
    if made:
        res.guest.connected[alias] = functools.partial(_remove, list(made))
    return made


def _listening(res: Resources, path: str) -> int:
    from virtqemud.security import sockets

    from .order import listening

    user = res.security.user(res.live)
    served = listening(Path(path)) if user is None else sockets.listening(path, user.uid, user.gid)
    return res.own(served.detach())


async def _remove(paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
