"""One connection to a message bus."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from splitvirt.api.errors import ServiceError, SystemError_, Timeout, VirtError

from .connection import Connection
from .library import Message, MessageFlag, MessageType, Variant
from .names import BUS, BUS_PATH, ERROR

log = logging.getLogger(__name__)

SYSTEM = "unix:path=/run/dbus/system_bus_socket"
TIMEOUT = 25.0
"""Seconds that a call may take unless its caller says otherwise: D-Bus's customary default."""

Handler = Callable[[Message], bool]


def address_of(which: str) -> str:
    """The address of "system", "session", or an address as it is."""
    if which == "system":
        return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", SYSTEM)
    if which == "session":
        runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
        return os.environ.get("DBUS_SESSION_BUS_ADDRESS", f"unix:path={runtime}/bus")
    return which


class Bus:
    """A connection that passes file descriptors and never gives up on a burst. Made by `connect`."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self._methods: list[Handler] = []
        self._signals: dict[tuple[str, str], list[Callable[[Message], None]]] = {}
        self._on_lost: list[Callable[[], None]] = []
        connection.received = self._received
        connection.gone.add_done_callback(self._lost)

    @classmethod
    async def connect(cls, which: str) -> "Bus":
        """Connect to "system", "session" or an address; SystemError_ with the reason where there is no bus."""
        address = address_of(which)
        try:
            async with asyncio.timeout(TIMEOUT):
                return cls(await Connection.connect(address))
        except TimeoutError:
            raise Timeout(f"the message bus at {address} did not answer in {TIMEOUT:g} s") from None
        except (OSError, EOFError, ValueError) as e:
            raise SystemError_(
                f"cannot connect to the message bus at {address}: {getattr(e, 'strerror', None) or e}"
            ) from None

    @property
    def unique_name(self) -> str:
        """Our own name on the bus."""
        return self.connection.unique_name

    @property
    def connected(self) -> bool:
        """Whether messages can still be sent."""
        return self.connection.connected

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Queue a message; one for a bus that is gone is dropped. `fds` are closed once they are on their way."""
        try:
            if self.connected:
                self.connection.send(message)
        finally:
            close_all(fds)

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[object] = (),
        *,
        timeout: float = TIMEOUT,
        fds: Sequence[int] = (),
    ) -> list[Any]:
        """Make a call and wait for its answer: VirtError with the service's own words when it fails.

        An answer with file descriptors has them in place of the indices; they are the caller's to close.
        """
        to: dict[str, Any] = {"destination": destination, "path": path, "interface": interface, "member": member}
        message = Message(**to, signature=signature, body=list(body), unix_fds=list(fds))
        return with_fds(await self.request(message, timeout))

    async def request(self, message: Message, timeout: float = TIMEOUT) -> Message:
        """Send a method call and wait for the method return; VirtError for anything else."""
        what = f"{message.interface}.{message.member} of {message.destination}"
        try:
            reply = await asyncio.wait_for(self.connection.call(message), timeout)
        except TimeoutError:
            raise Timeout(f"{what} gave no answer in {timeout:g} s") from None
        except Exception as e:
            raise ServiceError(f"the message bus is gone: {e}") from None
        if reply.message_type is MessageType.ERROR:
            raise error_of(reply, what)
        return reply

    async def call_bus(self, member: str, signature: str = "", *body: object) -> list[Any]:
        """Call the bus itself."""
        return await self.call(BUS, BUS_PATH, BUS, member, signature, body)

    async def request_name(self, name: str) -> None:
        """Own a well-known name; SystemError_ when somebody else has it or the bus's policy forbids it."""
        do_not_queue, owner, owned = 4, 1, 4
        (answer,) = await self.call_bus("RequestName", "su", name, do_not_queue)
        if answer not in (owner, owned):
            raise SystemError_(f"bus name {name} is taken by another process")

    async def release_name(self, name: str) -> None:
        """Give a name up, and wait until all that was sent to it before has been handed over."""
        with contextlib.suppress(VirtError):
            await self.call_bus("ReleaseName", "s", name)
            await self.call_bus("GetId")

    def on_method(self, handler: Handler) -> None:
        """Offer every method call to `handler`, which says whether it took it."""
        self._methods.append(handler)

    def on_lost(self, then: Callable[[], None]) -> None:
        """Call `then` when the connection has ended."""
        self._on_lost.append(then)

    def on_signal_of(self, interface: str, member: str, then: Callable[[Message], None]) -> None:
        """Call `then` with each signal of that name that comes, for whatever rule."""
        self._signals.setdefault((interface, member), []).append(then)

    async def subscribe(self, rule: str, interface: str, member: str, then: Callable[[Message], None]) -> None:
        """Ask the bus for signals by a match rule; `then` is called with each of that interface and member."""
        self.on_signal_of(interface, member, then)
        await self.call_bus("AddMatch", "s", rule)

    async def on_signal(
        self, sender: str, interface: str, member: str, then: Callable[[], None], about: str = ""
    ) -> None:
        """Call `then` at each signal of that kind from a service; `about`: of those with that first argument."""
        rule = f"type='signal',sender='{sender}',interface='{interface}',member='{member}'"
        rule += f",arg0='{about}'" if about else ""
        await self.subscribe(rule, interface, member, lambda message: then())

    def variant(self, signature: str, value: object) -> Variant:
        """A value with its type."""
        return Variant(signature, value)

    def close(self) -> None:
        """Leave the bus."""
        self._on_lost.clear()
        self.connection.disconnect()

    async def closed(self) -> None:
        """Wait until the connection has ended."""
        await asyncio.shield(self.connection.gone)

    def _received(self, message: Message) -> bool:
        if message.message_type is MessageType.METHOD_CALL:
            return any(handler(message) for handler in self._methods)
        # anybody may send us what looks like the bus's own word on who has gone
        if message.message_type is MessageType.SIGNAL and (message.interface != BUS or message.sender == BUS):
            for then in self._signals.get((message.interface or "", message.member or ""), ()):
                then(message)
        return False

    def _lost(self, gone: "asyncio.Future[None]") -> None:
        for then in self._on_lost:
            then()


def with_fds(message: Message) -> list[Any]:
    """A message's values, with the descriptors that came along in place of their indices. Unclaimed ones are closed."""
    if not message.unix_fds:
        return list(message.body)
    taken: set[int] = set()
    values = []
    for node, value in zip(message.signature_tree.types, message.body, strict=True):
        if node.token == "h" and 0 <= value < len(message.unix_fds):
            taken.add(value)
            value = message.unix_fds[value]
        values.append(value)
    for index, fd in enumerate(message.unix_fds):
        if index not in taken:
            os.close(fd)
    return values


def error_of(reply: Message, what: str) -> VirtError:
    """The error that a reply carries; one of ours keeps libvirt's code and domain."""
    text = str(reply.body[0]) if reply.body else ""
    if reply.error_name == ERROR and len(reply.body) >= 3:
        return VirtError.of(int(reply.body[1]), int(reply.body[2]), text)
    return ServiceError(f"{what}: {reply.error_name}: {text}")


def expects_reply(message: Message) -> bool:
    """Whether the caller waits for an answer."""
    return not message.flags & MessageFlag.NO_REPLY_EXPECTED


def may_ask(message: Message) -> bool:
    """Whether the caller is ready to wait for a person who types a password."""
    return bool(message.flags & MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION)


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
