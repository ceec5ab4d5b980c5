"""Who of those that connect is let in at once, who waits, and who is turned away: no user takes all the room.

libvirt counts clients for the whole server, so that one user can fill it. Here each user other than root and the
server's own has a part of it; how much of it is left to others does not depend on what one user does.
"""

import asyncio
import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from splitvirt.api.errors import RPCError

from .channel import Channel
from .fault import pack_error
from .message import CALL, CALL_WITH_FDS, ERROR, MAX_FRAME_BEFORE_AUTH, REPLY, Message, frame

if TYPE_CHECKING:
    from .listener import Listener
    from .server import Server

log = logging.getLogger(__name__)

REFUSAL_SECONDS: Final = 2.0
"""How long one that is turned away may take to ask, so as to be told why."""
REFUSALS_MAX: Final = 20
LOG_SECONDS: Final = 60.0


class Waiting(NamedTuple):
    """A connection that is not read from yet."""

    listener: "Listener"
    sock: socket.socket
    identity: Any
    timer: asyncio.TimerHandle


class Door:
    """The users of one server's clients. `enter` makes a client of a connection."""

    def __init__(self, server: "Server", enter: Callable[["Listener", socket.socket, Any], None]) -> None:
        self._server, self._enter = server, enter
        self.users: Counter[int] = Counter()  # clients by user, with those that wait
        self.waiting: deque[Waiting] = deque()
        self._turned: set[Refusal] = set()
        self._logged: dict[int, float] = {}

    def came(self, listener: "Listener", sock: socket.socket, identity: Any) -> bool:
        """Somebody connected who may: let it in, have it wait, or turn it away. False: the socket is not ours."""
        server, uid = self._server, identity.uid
        bounded = not server.access.trusts(identity)
        if bounded and self.users[uid] >= server.limits.user_clients:
            return self._turn_away(sock, identity)
        self.users[uid] += 1
        if bounded and server.access.auth(identity, listener.readonly) and not self._may_prove(uid):
            timer = asyncio.get_running_loop().call_later(server.limits.auth_seconds, self._give_up, sock)
            self.waiting.append(Waiting(listener, sock, identity, timer))
        else:
            self._enter(listener, sock, identity)
        return True

    def left(self, uid: int) -> None:
        """A client of a user's is gone."""
        self.users[uid] -= 1
        if not self.users[uid]:
            del self.users[uid]

    def call_in(self) -> None:
        """Let in who waits and need not any longer, in the order in which they came."""
        for one in [one for one in self.waiting if self._may_prove(one.identity.uid)]:
            if self._may_prove(one.identity.uid) and one in self.waiting:
                self.waiting.remove(one)
                one.timer.cancel()
                self._enter(one.listener, one.sock, one.identity)

    def close(self) -> None:
        """Drop who waits, and who is being turned away."""
        for one in list(self.waiting):
            self._give_up(one.sock)
        for refusal in list(self._turned):
            refusal.give_up()

    def _may_prove(self, uid: int) -> bool:
        most = self._server.limits.user_anonymous_clients
        return not most or sum(peer.process.uid == uid for peer in self._server.unproved) < most

    def _give_up(self, sock: socket.socket) -> None:
        for one in [one for one in self.waiting if one.sock is sock]:
            self.waiting.remove(one)
            one.timer.cancel()
            self.left(one.identity.uid)
        sock.close()

    def _turn_away(self, sock: socket.socket, identity: Any) -> bool:
        self._server.refused += 1
        most, now = self._server.limits.user_clients, time.monotonic()
        if now - self._logged.get(identity.uid, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged[identity.uid] = now
            log.warning("connections of %s are refused: %d clients (max_user_clients) are there", identity, most)
        if len(self._turned) >= REFUSALS_MAX:
            return False
        error = RPCError(f"user {identity.user} has {most} clients connected and may have no more (max_user_clients)")
        self._turned.add(Refusal(sock, error, self._turned.discard))
        return True


class Refusal:
    """A connection that is told why it is closed when it first asks for something."""

    def __init__(self, sock: socket.socket, error: RPCError, gone: Callable[["Refusal"], None]) -> None:
        self._error, self._gone = error, gone
        self._channel = Channel(sock, self, max_frame=MAX_FRAME_BEFORE_AUTH)
        self._timer = asyncio.get_running_loop().call_later(REFUSAL_SECONDS, self.give_up)
        self._channel.start()

    def give_up(self) -> None:
        """Close it, asked or not."""
        self._channel.abort()

    def received(self, message: Message) -> None:
        """It asks."""
        message.close_fds()
        if message.type in (CALL, CALL_WITH_FDS):
            head = (message.program, message.procedure, REPLY, message.serial, ERROR)
            self._channel.send(frame(*head, pack_error(self._error), message.version))
            self._channel.close()

    def lost(self, reason: BaseException | None) -> None:
        """It is closed."""
        self._timer.cancel()
        self._gone(self)
