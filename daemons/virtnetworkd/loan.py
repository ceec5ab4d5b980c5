"""A port on loan: whose it is, what the next daemon has to know of it, who may see it and end it."""

import json
import logging
import pwd
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from splitvirt.access.identity import Identity
from splitvirt.api.constants import VIR_FROM_NETWORK
from splitvirt.api.dispatch import Caller
from splitvirt.api.errors import InvalidArg
from splitvirt.host.pidfd import Held, command_name
from splitvirt.store.files import remove_durable, write_volatile
from splitvirt.xml.networkport import NetworkPort

from . import guard
from .port import HeldPort
from .prepare.place import random_mac

if TYPE_CHECKING:
    from .network import VirtualNetwork

log = logging.getLogger(__name__)
FORMAT = 1
"""Of the record of what is on loan."""


class Lease:
    """One port on loan: `held` is the port, `process` its taker, `fds` our copies of the tap."""

    def __init__(self, held: HeldPort, device: str, fds: list[int], taker: Identity, since: int) -> None:
        self.held, self.device, self.fds, self.taker, self.since = held, device, fds, taker, since
        self.process: Held | None = None

    @property
    def guarded(self) -> guard.Guarded:
        """What the guard has to know."""
        return guard.Guarded(self.device, self.held.port.mac, self.held.port.bandwidth)

    def record(self) -> dict[str, Any]:
        """What the next daemon has to know."""
        taker = self.taker
        return {
            "network": self.held.network.name,
            "uuid": str(self.held.uuid),
            "device": self.device,
            "since": self.since,
            "taker": [taker.uid, taker.gid, taker.pid, taker.start_time, taker.bus_name],
        }


def write(path: Path, loans: Collection[Lease]) -> None:
    """Keep the record of all that is on loan, none for nothing."""
    if loans:
        write_volatile(path, json.dumps({"format": FORMAT, "lent": [lease.record() for lease in loans]}))
    else:
        remove_durable(path)


def read(path: Path) -> list[dict[str, Any]]:
    """What an earlier daemon wrote; of a form that is not known here, it is put aside."""
    try:
        text = path.read_text()  # json comes in only where there is something to read
        kept = json.loads(text)
        if kept["format"] != FORMAT:
            raise ValueError("it is of a form that this version does not know")
        return list(kept["lent"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        aside = path.with_suffix(".unread")
        log.error("the ports on loan in %s are not taken up, it is now %s: %s", path, aside, error)
        with suppress(OSError):
            path.rename(aside)
        return []


async def manages(caller: Caller, network: "VirtualNetwork") -> bool:
    """Whether a caller may create ports anyway."""
    return await _may(caller, "network_port:create", network)


async def mine_or_managed(caller: Caller | None, lease: Lease, permission: str) -> bool:
    """Whether a caller may have to do with a loan: its user's own, or one who manages ports and has `permission`."""
    if caller is None or caller.identity.uid in (0, lease.taker.uid):
        return True
    return not caller.readonly and await _may(caller, permission, lease.held)


async def _may(caller: Caller, permission: str, on: object) -> bool:
    answer = caller.allowed(permission, on)
    return answer if isinstance(answer, bool) else await answer


def parsed(uuid: str) -> UUID:
    """A UUID from the bus. Raises InvalidArg."""
    try:
        return UUID(uuid)
    except ValueError:
        raise InvalidArg(f"'{uuid}' is not a UUID", domain=VIR_FROM_NETWORK) from None


def completed(xml: str, taker: Identity) -> str:
    """A port's document; without one a port of the taker's with a MAC address made up."""
    if xml.strip():
        return xml
    owner = command_name(taker.pid) or taker.user
    return NetworkPort(
        uuid=str(uuid4()), owner_name=f"{owner}[{taker.pid}]", owner_uuid=str(uuid4()), mac=random_mac()
    ).to_xml()


def in_group(identity: Identity, name: str) -> bool:
    """Whether a user is in a group of that name."""
    import grp

    try:
        found = grp.getgrnam(name)
        return pwd.getpwuid(identity.uid).pw_name in found.gr_mem or identity.member_of([found.gr_gid])
    except KeyError:
        return False
