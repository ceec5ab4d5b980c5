"""Asking polkit (org.freedesktop.PolicyKit1), without ever making anybody else wait for it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

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

    async def on_signal(self, sender: str, interface: str, member: str, then: Callable[[], None]) -> None:
        """Call `then` at each such signal."""
        ...


class Polkit:
    """polkit on the system bus, connected to when first asked; one that is slow or gone denies, and is logged."""

    def __init__(self, connect: Callable[[], Awaitable[Bus]], deadline: float = DEADLINE):
        self._connect, self.deadline = connect, deadline
        self._bus: Bus | None = None
        self._opening = asyncio.Lock()
        self._known: dict[tuple[object, ...], tuple[float, bool]] = {}

    async def check(self, action: str, caller: Identity, details: dict[str, str], *, interactive: bool = False) -> bool:
        """Whether polkit lets the caller do `action`. Only an interactive one raises, with libvirt's reasons."""
        key = (caller.uid, caller.pid, caller.start_time, caller.bus_name, action, *sorted(details.items()))
        if not interactive and (known := self._known.get(key)) and known[0] > time.monotonic():
            return known[1]
        try:
            allowed, challenge, answer = await self._ask(action, caller, details, interactive)
        except VirtError as e:
            log.warning("polkit gave no answer, denied: %s for %s: %s", action, caller, e, extra={"user": caller.user})
            if interactive:
                raise AuthUnavailable(f"polkit gave no answer about action '{action}': {e}") from None
            return False
        if interactive and not allowed:
            self._explain(action, challenge, answer)
        self._remember(key, allowed)
        return allowed

    def _explain(self, action: str, challenge: bool, answer: dict[str, str]) -> None:
        if "polkit.dismissed" in answer:
            raise AuthCancelled("user cancelled authentication process")
        if challenge:
            raise AuthUnavailable(f"no polkit agent available to authenticate action '{action}'")

    async def _ask(
        self, action: str, caller: Identity, details: dict[str, str], interactive: bool
    ) -> tuple[bool, bool, dict[str, str]]:
        deadline = DEADLINE_INTERACTIVE if interactive else self.deadline
        started = time.monotonic()
        bus = await self._connected()
        body = [self._subject(bus, caller), action, details, _MAY_ASK_USER if interactive else 0, ""]
        left = deadline - (time.monotonic() - started)
        (answer,) = await bus.call(
            _NAME, _PATH, _INTERFACE, "CheckAuthorization", "(sa{sv})sa{ss}us", body, timeout=max(left, 0.1)
        )
        allowed, challenge, found = cast(tuple[bool, bool, dict[str, str]], answer)
        return allowed, challenge, found

    @staticmethod
    def _subject(bus: Bus, caller: Identity) -> list[object]:
        if caller.bus_name:
            return ["system-bus-name", {"name": bus.variant("s", caller.bus_name)}]
        return [
            "unix-process",
            {
                "pid": bus.variant("u", caller.pid),
                "start-time": bus.variant("t", caller.start_time),
                "uid": bus.variant("i", caller.uid),
            },
        ]

    async def _connected(self) -> Bus:
        async with self._opening:
            if self._bus is None or not self._bus.connected:
                self._bus = await self._connect()
                await self._bus.on_signal(_NAME, _INTERFACE, "Changed", self._known.clear)
            return self._bus

    def _remember(self, key: tuple[object, ...], allowed: bool) -> None:
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBERED, allowed)
