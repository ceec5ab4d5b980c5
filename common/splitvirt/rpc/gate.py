"""What a server needs to know about its clients; `splitvirt.access` supplies it."""

import socket
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol


class Identity(Protocol):
    """Who is at the other end (splitvirt.access.identity.Identity)."""

    @property
    def uid(self) -> int:
        """User."""
        ...

    @property
    def gid(self) -> int:
        """Group."""
        ...

    @property
    def pid(self) -> int:
        """Process; 0 where it is not known."""
        ...


class Gate(Protocol):
    """Who may connect, and what each may do then (splitvirt.access.rules.Access). `Any` is the gate's own identity."""

    def identify(self, sock: socket.socket) -> Any:
        """The peer of a connected socket."""
        ...

    def assume(self, given: Mapping[str, object]) -> Any:
        """The caller that a sibling daemon speaks for; KeyError when it names no user."""
        ...

    def admits(self, caller: Any, readonly: bool) -> bool:
        """Whether the caller may connect to that socket."""
        ...

    def auth(self, caller: Any, readonly: bool) -> int:
        """What the caller must prove first: libvirt's remote_auth_type, 0 for nothing."""
        ...

    async def authenticate(self, caller: Any, readonly: bool) -> None:
        """Have the caller prove it; VirtError when it does not."""
        ...

    def trusts(self, peer: Any) -> bool:
        """Whether the peer may speak for another caller."""
        ...

    def allowed(self, caller: Any, readonly: bool, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether the caller may use `permission` on the object."""
        ...
