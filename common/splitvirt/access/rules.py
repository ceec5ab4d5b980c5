"""The decision: may this caller do this to that object. Both front ends ask here and nowhere else."""

import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol

from splitvirt.api.constants import VIR_FROM_POLKIT
from splitvirt.api.errors import AccessDenied, AuthFailed, AuthUnavailable

from .identity import Identity

log = logging.getLogger(__name__)

MONITOR, MANAGE = "org.libvirt.unix.monitor", "org.libvirt.unix.manage"
AUTH_NONE, AUTH_POLKIT = 0, 2
"""How a client must prove itself before the first call: libvirt's remote_auth_type."""

Auth = Literal["none", "polkit"]
NOBODY = Identity(65534, 65534, groups=())


class Authority(Protocol):
    """What decides where the rules of this module do not: polkit, as far as the daemons are concerned."""

    async def check(self, action: str, caller: Identity, details: dict[str, str], *, interactive: bool = False) -> bool:
        """Whether `caller` may do `action`, soon; raises VirtError with the reason where it cannot tell."""
        ...


def read_only(permission: str) -> bool:
    """Whether a permission ("domain:getattr") lets one look only: all that a read-only socket gives."""
    verb = permission.partition(":")[2]
    return verb in ("getattr", "read") or verb.startswith("search_")


def action_of(permission: str) -> str:
    """The polkit action of a permission: "domain:read_secure" is org.libvirt.api.domain.read-secure."""
    return "org.libvirt.api." + permission.replace(":", ".").replace("_", "-")


_ATTRIBUTES: dict[str, tuple[tuple[str, str], ...]] = {
    "domain": (("domain_name", "name"), ("domain_uuid", "uuid")),
    "interface": (("interface_name", "name"), ("interface_macaddr", "mac")),
    "network": (("network_name", "name"), ("network_uuid", "uuid")),
    "network_port": (("network_name", "network.name"), ("network_uuid", "network.uuid"), ("port_uuid", "uuid")),
    "node_device": (("node_device_name", "name"),),
    "nwfilter": (("nwfilter_name", "name"), ("nwfilter_uuid", "uuid")),
    "nwfilter_binding": (
        ("nwfilter_binding_portdev", "device"),
        ("nwfilter_binding_linkdev", "linkdev"),
        ("nwfilter_binding_filter", "filter"),
    ),
    "secret": (("secret_uuid", "uuid"),),
    "storage_pool": (("pool_name", "name"), ("pool_uuid", "uuid")),
    "storage_vol": (("pool_name", "pool"), ("pool_uuid", "pool_uuid"), ("vol_name", "name"), ("vol_key", "key")),
}  # libvirt.org/aclpolkit.html: what an admin's rules look up


def details_of(driver: str, permission: str, on: object) -> dict[str, str]:
    """What polkit's rules may look up about the object: libvirt's attributes, by the kind of the permission."""
    found = {"connect_driver": driver}
    for attribute, path in _ATTRIBUTES.get(permission.partition(":")[0], ()):
        value: object = on
        for step in path.split("."):
            value = getattr(value, step, None) or (getattr(value, "owner", None) if step == "network" else None)
        if value is not None:
            found[attribute] = str(value)
    return found


class Access:
    """Who may connect, and what each may do then.

    `private`: a session or embedded daemon, which serves its own user (and root) alone. `auth_ro` and `auth_rw` say
    what a socket asks before the first call; `fine` whether polkit is asked about each permission as well (libvirt's
    access_drivers = ["polkit"]).
    """

    def __init__(
        self,
        driver: str,
        *,
        private: bool = True,
        auth_ro: Auth = "none",
        auth_rw: Auth = "none",
        fine: bool = False,
        authority: Authority | None = None,
    ):
        self.driver, self.private, self.fine, self.authority = driver, private, fine, authority
        self.auth_ro, self.auth_rw = auth_ro, auth_rw
        self.opens: Callable[[Identity, bool], bool] = lambda caller, readonly: True
        """Whether the mode and group of a socket (read-only or not) let the caller open it."""
        self.confined: Callable[[Identity, bool], bool] = lambda caller, readonly: True
        """Whether what the configuration says of a socket lets the caller use one that others opened more widely."""

    @staticmethod
    def identify(sock: socket.socket) -> Identity:
        """Who is at the other end of a connected UNIX socket."""
        return Identity.of_socket(sock)

    @staticmethod
    def assume(given: Mapping[str, object]) -> Identity:
        """The caller that a trusted peer speaks for; KeyError when it names no user."""
        return Identity.of_parameters(given)

    def admits(self, caller: Identity, readonly: bool | None = None) -> bool:
        """Whether the caller may connect at all, and to that socket."""
        own = not self.private or caller.uid in (0, os.geteuid())
        return own and (readonly is None or self.confined(caller, readonly))

    @property
    def open_to_all(self) -> bool:
        """Whether whoever can reach the daemon at all may know of everything: no decision is left to be made.

        A session's bus is its user's alone; on the system's, an account that owns nothing stands for everybody.
        """
        if self.fine or self.private:
            return not self.fine
        return self.auth_ro == "none" and self.opens(NOBODY, True)

    def auth(self, caller: Identity, readonly: bool) -> int:
        """What the caller must prove first: AUTH_NONE or AUTH_POLKIT. Root need not: polkit never refuses it."""
        wanted = self.auth_ro if readonly else self.auth_rw
        return AUTH_POLKIT if wanted == "polkit" and caller.uid != 0 else AUTH_NONE

    async def authenticate(self, caller: Identity, readonly: bool) -> None:
        """Ask polkit whether the caller may use the socket; AuthFailed or AuthCancelled when not."""
        if self.auth(caller, readonly) == AUTH_NONE:
            return
        action = MONITOR if readonly else MANAGE
        if self.authority is None:
            raise AuthFailed(f"{action} needs polkit, and this daemon has no system bus to ask it over")
        if not await self.authority.check(action, caller, {}, interactive=True):
            log.info("%s is denied %s", caller, action, extra={"user": caller.user})
            raise AuthFailed("access denied by policy", domain=VIR_FROM_POLKIT)  # virsh asks again, by that domain

    async def grade(self, caller: Identity) -> bool:
        """What a caller over D-Bus gets, which has no socket to choose: False for all calls, True for read-only ones.

        It is what the sockets would give it, without asking anybody for a password, and is asked at every call: what
        polkit said is good for a few seconds, and until it says that something changed. AuthFailed when that is
        nothing, AuthUnavailable where polkit gives no answer.
        """
        if not self.admits(caller):
            raise AuthFailed(f"this daemon does not serve {caller}")
        silent = None
        for readonly in (False, True):
            try:
                if self.opens(caller, readonly) and await self._proved(caller, readonly):
                    return readonly
            except AuthUnavailable as e:
                silent = e
        raise silent or AuthFailed(f"access denied by policy for {caller}")

    async def _proved(self, caller: Identity, readonly: bool) -> bool:
        if self.auth(caller, readonly) == AUTH_NONE:
            return True
        action = MONITOR if readonly else MANAGE
        return self.authority is not None and await self.authority.check(action, caller, {})

    async def manage(self, caller: Identity) -> None:
        """Have a caller over D-Bus prove, with a password if need be, that it may do what a read-write socket lets do.

        AuthFailed, AuthCancelled or AuthUnavailable when it may not, or nobody could be asked.
        """
        if not self.admits(caller) or not self.opens(caller, False):
            raise AuthFailed(f"access denied by policy for {caller}")
        await self.authenticate(caller, readonly=False)

    def trusts(self, peer: Identity) -> bool:
        """Whether the peer may speak for another caller: root and this daemon's own user, as sibling daemons are."""
        return peer.uid in (0, os.geteuid())

    def allowed(self, caller: Identity, readonly: bool, permission: str, on: object) -> bool | Awaitable[bool]:
        """Whether the caller may use `permission` on the object; an awaitable only where polkit has to be asked.

        The awaitable raises AccessDenied where polkit gives no answer.
        """
        if readonly and not read_only(permission):
            return False
        if not self.fine or caller.uid == 0:
            return True
        return self._ask(caller, permission, on)

    async def _ask(self, caller: Identity, permission: str, on: object) -> bool:
        if self.authority is None:
            return False
        try:
            return await self.authority.check(action_of(permission), caller, details_of(self.driver, permission, on))
        except AuthUnavailable as e:
            raise AccessDenied(e.message.removeprefix(f"{e.PREFIX}: ")) from None
