"""The calls of the session itself, which belong to a connection and not to a contract: authentication, open, close,
features, identity. Words and codes of the errors are libvirtd's.
"""

import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from splitvirt.api import params
from splitvirt.api.errors import (
    AccessDenied,
    AuthFailed,
    InternalError,
    InvalidArg,
    NoConnect,
    OperationDenied,
    RPCError,
)
from splitvirt.api.program import ADMIN, REMOTE
from splitvirt.api.record import Layout, wire
from splitvirt.api.types import I32, U32, OptStr, Params32
from splitvirt.api.wire import Reader

from .message import Message
from .procedure import AUTHENTICATED, NOTHING, OPENED, Procedure, Programs

if TYPE_CHECKING:
    from .peer import Peer

AUTH_POLKIT: Final = 2
CONNECT_RO: Final = 1

_INT: Final = struct.Struct(">i")
_FLAGS: Final = Layout([wire(U32)])
_OPEN: Final = Layout([wire(OptStr), wire(U32)])
_FEATURE: Final = Layout([wire(I32)])
_IDENTITY: Final = Layout([wire(Params32), wire(U32)])
_IDENTITY_MAX: Final = 20

FEATURES: Final = frozenset(
    {
        8,  # descriptors can be passed
        9,  # typed parameters may be strings
        10,  # keepalive
        11,  # XML for another host can be asked for
        14,  # events come with callback numbers
        15,  # the end of the connection can be watched for
        16,  # network updates have their arguments in the documented order
    }
)
"""What every driver behind this server has, by libvirt's VIR_DRV_FEATURE numbers; a driver adds its own `FEATURES`."""

_BEFORE_OPEN: Final = frozenset({8, 10, 14, 15})

Handler = Callable[["Peer", Reader], Awaitable[bytes | bytearray | None]]


async def auth_list(peer: "Peer", data: Reader) -> bytes:
    """What must be proved: nothing, or what polkit asks."""
    return struct.pack(">Ii", 1, peer.server.access.auth(peer.identity, peer.readonly))


async def auth_refused(peer: "Peer", data: Reader) -> bytes:
    """SASL is for connections over a network, which we do not serve."""
    raise AuthFailed("SASL is not offered on this socket", domain=RPCError.FROM)


async def auth_polkit(peer: "Peer", data: Reader) -> bytes:
    """Ask polkit about the client."""
    if peer.stage != NOTHING:
        raise AuthFailed("the client has authenticated already", domain=RPCError.FROM)
    if peer.proving:
        raise AuthFailed("the client is being asked to authenticate already", domain=RPCError.FROM)
    peer.proving = True
    try:
        await peer.server.access.authenticate(peer.identity, peer.readonly)
    finally:
        peer.proving = False
    peer.authenticated()
    return _INT.pack(1)


async def connect_open(peer: "Peer", data: Reader) -> bytes:
    """Open the driver by its URI; of the flags only "read-only" means anything here, clients send private ones."""
    name, flags = _OPEN.read(data)
    if peer.stage == OPENED:
        raise InternalError("connection already open", domain=RPCError.FROM)
    uris = peer.server.uris
    if name and uris is not None and name.partition("?")[0] not in uris:
        raise NoConnect(f"no connection driver available for {name}, this daemon answers for {', '.join(sorted(uris))}")
    if flags & CONNECT_RO:
        peer.readonly = True
    await require(peer, "connect:getattr")
    peer.opened()
    return b""


async def connect_close(peer: "Peer", data: Reader) -> bytes:
    """Reply, then close."""
    peer.closing = True
    return b""


async def admin_open(peer: "Peer", data: Reader) -> bytes:
    """Open the admin contract."""
    if _FLAGS.read(data)[0]:
        raise InvalidArg("virAdmConnectOpen knows no flags")
    peer.opened()
    return b""


async def supports_feature(peer: "Peer", data: Reader) -> bytes:
    """Whether a feature is there; before the open only what is not the driver's can be asked."""
    (feature,) = _FEATURE.read(data)
    if feature == 10:
        peer.keepalive.start()
    if peer.stage != OPENED and feature not in _BEFORE_OPEN:
        raise InternalError("hypervisor connection not open", domain=RPCError.FROM)
    root = next(iter(peer.server.offers.values()))
    return _INT.pack(feature in FEATURES or feature in getattr(root, "FEATURES", ()))


async def close_callback(peer: "Peer", data: Reader) -> bytes:
    """We do not announce our end beforehand: the end of the connection is the message."""
    return b""


async def set_identity(peer: "Peer", data: Reader) -> bytes:
    """A sibling daemon says whom it speaks for; only root and our own user may."""
    given, flags = _IDENTITY.read(data)
    if flags:
        raise InvalidArg(f"virConnectSetIdentity knows no flags, {flags} were given")
    if len(given) > _IDENTITY_MAX:
        raise RPCError("Unable to decode message payload: too many parameters")
    access = peer.server.access
    if not access.trusts(peer.process) or peer.listener.readonly:
        raise AccessDenied(f"{peer.process} may not speak for others")
    if given:
        try:
            peer.identity = access.assume(params.values(given))
        except KeyError as error:
            raise InvalidArg(f"an identity without {error}") from None
        peer.siblings.clear()  # those that are connected were told of another
    return b""


async def require(peer: "Peer", permission: str) -> None:
    """Raise unless the client may use `permission` on the connection: AccessDenied, or OperationDenied if read-only."""
    root = next(iter(peer.server.offers.values()))
    verdict = peer.allowed(permission, root)
    if not (verdict if isinstance(verdict, bool) else await verdict):
        if peer.readonly:
            raise OperationDenied(f"read only access prevents what needs '{permission}'")
        raise AccessDenied(f"'{permission.replace(':', '.')}' is not allowed to {peer.name}")


_TABLE: Final[tuple[tuple[int, int, str, Handler, int], ...]] = (
    (REMOTE, 1, "connect_open", connect_open, AUTHENTICATED),
    (REMOTE, 2, "connect_close", connect_close, NOTHING),
    (REMOTE, 60, "connect_supports_feature", supports_feature, AUTHENTICATED),
    (REMOTE, 66, "auth_list", auth_list, NOTHING),
    (REMOTE, 67, "auth_sasl_init", auth_refused, NOTHING),
    (REMOTE, 68, "auth_sasl_start", auth_refused, NOTHING),
    (REMOTE, 69, "auth_sasl_step", auth_refused, NOTHING),
    (REMOTE, 70, "auth_polkit", auth_polkit, NOTHING),
    (REMOTE, 360, "connect_register_close_callback", close_callback, OPENED),
    (REMOTE, 361, "connect_unregister_close_callback", close_callback, OPENED),
    (REMOTE, 419, "connect_set_identity", set_identity, AUTHENTICATED),
    (ADMIN, 1, "admin_connect_open", admin_open, AUTHENTICATED),
    (ADMIN, 2, "admin_connect_close", connect_close, NOTHING),
)


def procedures(programs: Programs) -> None:
    """Add the session's calls to what a server answers."""
    for program, number, name, handler, stage in _TABLE:
        programs.setdefault(program, {})[number] = session_procedure(name, handler, stage)


def session_procedure(name: str, handler: Handler, stage: int = OPENED) -> Procedure:
    """A procedure that is answered by a function of the client and the request."""

    async def answer(peer: "Peer", message: Message) -> bytes | bytearray | None:
        return await handler(peer, Reader(message.payload))

    return Procedure(name, answer, high=True, stage=stage)
