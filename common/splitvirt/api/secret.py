# mypy: disable-error-code="empty-body"
"""Secrets: passwords and keys, of volumes and of servers."""

from collections.abc import Sequence
from typing import Any

from .call import Older, call
from .event import event
from .host import Connection
from .record import Object
from .shape import Length, Listing, Names
from .types import I32, U32, SecretValue, Str, Uuid


class Secret(Object):
    """A secret, and what it is for (VIR_SECRET_USAGE_TYPE_*)."""

    KIND, XDR, BUS = "secret", "remote_nonnull_secret", "org.libvirt.Secret"
    PROPS = {"UUID": ("uuid", "s"), "UsageID": ("usage_id", "s"), "UsageType": ("usage_type", "i")}
    uuid: Uuid
    usage_type: I32
    usage_id: Str

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The secret of that UUID."""
        return await root.secret_by_uuid(ref.uuid)

    @call("virSecretGetXMLDesc", rpc=143, acl="secret:read", high=True, dbus="GetXMLDesc")
    async def xml(self, flags: U32 = 0) -> Str:
        """Its description, without its value."""

    @call("virSecretSetValue", rpc=144, acl="secret:write", high=True, dbus="SetValue")
    async def set_value(self, value: SecretValue, flags: U32 = 0) -> None:
        """Set its value."""

    @call("virSecretGetValue", rpc=145, acl="secret:read_secure", high=True, dbus="GetValue")
    async def value(self, flags: U32 = 0) -> SecretValue:
        """Its value, unless it is private."""

    @call("virSecretUndefine", rpc=146, acl="secret:delete", high=True, dbus="Undefine")
    async def undefine(self) -> None:
        """Forget it."""

    @event(rpc=382, id=0, dbus="SecretEvent", on_root=True)
    def lifecycle(self, event: I32, detail: I32) -> None:
        """It was defined or undefined (VIR_SECRET_EVENT_*)."""

    @event(rpc=383, id=1)
    def value_changed(self) -> None:
        """Its value was set."""


class Secrets(Connection):
    """The secrets of a host or a user."""

    OBJECTS = (Secret,)

    @call(
        "virConnectListAllSecrets",
        rpc=287,
        acl="connect:search_secrets",
        filter="secret:getattr",
        high=True,
        dbus="ListSecrets",
        shape=Listing(),
        older=[
            Older(139, shape=Length(), flags=0),
            Older(140, shape=Names("maxuuids", attribute="uuid"), flags=0),
        ],
    )
    async def secrets(self, flags: U32 = 0) -> Sequence[Secret]:
        """All secrets; VIR_CONNECT_LIST_SECRETS_* say which, any of each group."""

    @call("virSecretLookupByUUID", rpc=141, acl="secret:getattr", high=True, dbus="SecretLookupByUUID")
    async def secret_by_uuid(self, uuid: Uuid) -> Secret:
        """The secret of that UUID. NoSecret where there is none."""

    @call("virSecretLookupByUsage", rpc=147, acl="secret:getattr", high=True, dbus="SecretLookupByUsage")
    async def secret_by_usage(self, type: I32, id: Str) -> Secret:
        """The secret that is for that. NoSecret where there is none."""

    @call("virSecretDefineXML", rpc=142, acl=("secret:write", "secret:save"), high=True, dbus="SecretDefineXML")
    async def define(self, xml: Str, flags: U32 = 0) -> Secret:
        """Keep a secret, without a value yet."""
