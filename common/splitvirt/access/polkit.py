"""Asking polkit (org.freedesktop.PolicyKit1), without ever making anybody else wait for it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from splitvirt.api.constants import VIR_FROM_POLKIT
from splitvirt.api.errors import AuthCancelled, AuthUnavailable, VirtError

from .identity import Identity

log = logging.getLogger(__name__)

_NAME = "org.freedesktop.PolicyKit1"
_PATH = "/org/freedesktop/PolicyKit1/Authority"
_INTERFACE = "org.freedesktop.PolicyKit1.Authority"
_MAY_ASK_USER = 1

DEADLINE = 5.0
"""Seconds for an answer that needs nobody's password."""
DEADLINE_INTERACTIVE = 120.0
"""Seconds for an answer that may wait for a person."""
REMEMBERED = 5.0
"""Seconds that an answer is good for, unless polkit says earlier that something changed."""
_REMEMBERED_MAX = 10_000
_DETAILS_MAX = 4096
"""Characters of all that rules may look up about one object: names come from callers, and are kept for a while."""


class Bus(Protocol):
    """What this needs of a D-Bus connection."""

    @property
    def connected(self) -> bool:
        """Whether it still is one."""
        ...

    async def call(
        self, destination: str, path: str, interface: str, member: str, signature: str, body: Sequence[object],
        *, timeout: float,
    ) -> list[object]:  # fmt: skip
        """Make a call; VirtError with the service's words when it fails or takes too long."""
        ...

    def variant(self, signature: str, value: object) -> object:
        """A value with its type, for a{sv}."""
        ...

    async def on_signal(self, sender: str, interface: str, member: str, then: Callable[[], None], about: str) -> None:
        """Call `then` at each such signal, of those whose first argument is `about` if that is not empty."""
        ...

    def close(self) -> None:
        """Leave it."""
        ...


class NoAnswer(Exception):
    """Why polkit was not asked, or what it said is no answer."""


class Answer(NamedTuple):
    """What polkit says: yes or no; that a password would do; and why not."""

    allowed: bool
    challenge: bool
    details: dict[str, str]


class Polkit:
    """polkit on the system bus, connected to when first asked; one that is slow or gone denies, and is logged.

    An answer is remembered for five seconds at most, and only until polkit says that something changed: a rule, an
    authorization, a session. Whoever asks the same meanwhile waits for the same answer.
    """

    def __init__(self, connect: Callable[[], Awaitable[Bus]], deadline: float = DEADLINE):
        self._connect, self.deadline = connect, deadline
        self._bus: Bus | None = None
        self._opening = asyncio.Lock()
        self._known: dict[tuple[object, ...], tuple[float, bool]] = {}
        self._asking: dict[tuple[object, ...], asyncio.Future[Answer]] = {}

    async def check(self, action: str, caller: Identity, details: dict[str, str], *, interactive: bool = False) -> bool:
        """Whether polkit lets the caller do `action`.

        AuthUnavailable where it gives no answer; an interactive question raises with libvirt's reasons for a no, too.
        """
        if sum(map(len, details.values())) > _DETAILS_MAX:  # before it is a key of anything
            raise AuthUnavailable(f"polkit is not asked about '{action}' on what has a name of such length")
        key = (caller.uid, caller.pid, caller.start_time, caller.bus_name, action, *sorted(details.items()))
        if not interactive and (known := self._known.get(key)) and known[0] > time.monotonic():
            return known[1]
        try:
            said = await (self._ask if interactive else self._share)(action, caller, details, interactive, key)
        except (VirtError, NoAnswer) as e:
            log.warning("polkit gave no answer, denied: %s for %s: %s", action, caller, e, extra={"user": caller.user})
            raise AuthUnavailable(f"polkit gave no answer about action '{action}': {e}") from None
        if interactive and not said.allowed:
            _explain(action, said)
        return said.allowed

    async def _share(
        self, action: str, caller: Identity, details: dict[str, str], interactive: bool, key: tuple[object, ...]
    ) -> Answer:
        """Ask, or wait with those who ask the same."""
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(action, caller, details, interactive, key))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asking)

    def _answered(self, key: tuple[object, ...], asked: "asyncio.Future[Answer]") -> None:
        if self._asking.get(key) is asked:
            del self._asking[key]
        if not asked.cancelled():
            asked.exception()

    async def _ask(
        self, action: str, caller: Identity, details: dict[str, str], interactive: bool, key: tuple[object, ...]
    ) -> Answer:
        deadline = DEADLINE_INTERACTIVE if interactive else self.deadline
        try:
            async with asyncio.timeout(deadline):
                bus = await self._connected()
                known = self._known
                body = [_subject(bus, caller), action, details, _MAY_ASK_USER if interactive else 0, ""]
                told = await bus.call(
                    _NAME, _PATH, _INTERFACE, "CheckAuthorization", "(sa{sv})sa{ss}us", body, timeout=deadline
                )
        except TimeoutError:
            raise NoAnswer(f"it took longer than {deadline:g} s") from None
        said = _read(told)
        if known is self._known and not interactive:  # nothing has changed since; a password counts once
            self._remember(key, said.allowed)
        return said

    async def _connected(self) -> Bus:
        async with self._opening:
            if self._bus is None or not self._bus.connected:
                bus = await self._connect()
                try:
                    await bus.on_signal(_NAME, _INTERFACE, "Changed", self._forget, "")
                    of_bus = "org.freedesktop.DBus"
                    await bus.on_signal(of_bus, of_bus, "NameOwnerChanged", self._forget, _NAME)
                except BaseException:
                    bus.close()
                    raise
                self._forget()
                self._bus = bus
            return self._bus

    def _forget(self) -> None:
        """Something changed: nothing that was said, or is about to be, holds any longer."""
        self._known = {}
        self._asking.clear()

    def _remember(self, key: tuple[object, ...], allowed: bool) -> None:
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBERED, allowed)


def _subject(bus: Bus, caller: Identity) -> list[object]:
    """Whom polkit is asked about. A process that cannot be told from a later one of its pid is nobody."""
    if caller.bus_name:
        return ["system-bus-name", {"name": bus.variant("s", caller.bus_name)}]
    if not caller.pid or not caller.start_time:
        raise NoAnswer("the calling process is not known, or has ended")
    if caller.uid > 0x7FFFFFFF:
        raise NoAnswer(f"polkit knows no user of the number {caller.uid}")
    return [
        "unix-process",
        {
            "pid": bus.variant("u", caller.pid),
            "start-time": bus.variant("t", caller.start_time),
            "uid": bus.variant("i", caller.uid),
        },
    ]


def _read(told: list[object]) -> Answer:
    """An answer, which is a yes only if it says so in so many words; NoAnswer for what is none."""
    match told:
        case [[bool(allowed), bool(challenge), dict(details)]]:
            return Answer(allowed, challenge, details)
    raise NoAnswer("what it said is no answer")


def _explain(action: str, said: Answer) -> None:
    if "polkit.dismissed" in said.details:
        raise AuthCancelled("user cancelled authentication process", domain=VIR_FROM_POLKIT)
    if said.challenge:
        raise AuthUnavailable(f"no polkit agent available to authenticate action '{action}'")
