"""The calls of the contracts that a server offers, as procedures that it answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from splitvirt.api.call import Call, calls
from splitvirt.api.dispatch import perform
from splitvirt.api.errors import AccessDenied, OperationDenied, OperationFailed
from splitvirt.api.program import ADMIN
from splitvirt.api.wire import Payload

from . import events, session
from .message import Message
from .procedure import AUTHENTICATED, OPENED, Procedure, Programs
from .stream import ServedStream, WireStream

if TYPE_CHECKING:
    from .forward import Routes
    from .peer import Peer

MAX_STREAMS: Final = 256


def programs_of(offers: Mapping[type, Any], routes: "Routes | None" = None) -> Programs:
    """What a server answers. Of a call that several contracts have, the first one's root answers.

    What is not offered is forwarded where there is a route for it.
    """
    programs: Programs = {}
    session.procedures(programs)
    for contract, root in offers.items():
        events.procedures(programs, contract, root)
        for declared in calls(contract):
            for call in (declared, *declared.older) if declared.rpc else ():
                programs.setdefault(call.program, {}).setdefault(call.rpc, _procedure(root, call))
    if routes is not None:
        routes.procedures(programs)
    return programs


def _procedure(root: Any, call: Call) -> Procedure:
    name = f"{call.on.__name__}.{call.name}" if call.on_object else call.name
    stage = AUTHENTICATED if call.program == ADMIN else OPENED

    async def answer(peer: "Peer", message: Message) -> Payload:
        values, note = call.unpack_args(message.payload, message.fds or ())
        try:
            result = await perform(root, call, values, peer)
        except AccessDenied as error:
            raise _denied(call, peer, error) from None
        return call.pack_result(result, note)

    async def answer_stream(peer: "Peer", message: Message) -> None:
        values, note = call.unpack_args(message.payload, message.fds or ())
        stream = _open_stream(peer, message, call, values)
        try:
            payload = call.pack_result(await perform(root, call, [*values, stream], peer), note)
        except BaseException as error:
            stream.dismiss()
            if isinstance(error, AccessDenied):
                raise _denied(call, peer, error) from None
            raise
        peer.send_reply(message, payload)
        stream.open()

    return Procedure(name, answer_stream if call.stream else answer, high=call.high, stage=stage)


def _denied(call: Call, peer: "Peer", error: AccessDenied) -> AccessDenied | OperationDenied:
    """What a client is told that may not make a call: on a read-only connection, that it is one."""
    if peer.readonly:
        return OperationDenied(f"read only access prevents {call.api}", domain=error.domain)
    return error


def _open_stream(peer: "Peer", message: Message, call: Call, values: list[Any]) -> ServedStream:
    flags = values[-1] if call.sparse else 0
    if len(peer.streams) >= MAX_STREAMS:
        raise OperationFailed(f"{MAX_STREAMS} streams are open on this connection, which is the most there may be")
    earlier = peer.streams.get(message.serial)
    if earlier is not None:
        earlier.lost()

    def ended(stream: WireStream) -> None:
        if peer.streams.get(stream.serial) is stream:
            del peer.streams[stream.serial]

    stream = ServedStream(peer.channel, message, ended, call.stream, bool(flags & call.sparse))
    peer.streams[message.serial] = stream
    return stream
