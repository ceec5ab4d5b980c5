# mypy: disable-error-code="empty-body"
"""Moments of a domain: snapshots, which it can go back to, and checkpoints, from which on changes are noted."""

from collections.abc import Sequence
from typing import Any

from . import domain as domains
from .call import Older, call
from .record import Object
from .shape import Length, Listing, Names
from .types import U32, Bool, Str


class Snapshot(Object):
    """A snapshot of a domain."""

    KIND, XDR, BUS = "domain_snapshot", "remote_nonnull_domain_snapshot", "org.libvirt.DomainSnapshot"
    name: Str
    domain: "domains.Domain"

    @property
    def owner(self) -> Object | None:
        """Its domain."""
        return self.domain

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The snapshot of that name, of the domain that is meant."""
        domain = await domains.Domain.find(root, ref.domain)
        return await domain.snapshot_by_name(ref.name)

    @call(
        "virDomainSnapshotGetXMLDesc",
        rpc=186,
        acl=("domain:read", "domain:read_secure:VIR_DOMAIN_SNAPSHOT_XML_SECURE"),
        high=True,
        dbus="GetXMLDesc",
    )
    async def xml(self, flags: U32 = 0) -> Str:
        """Its description (VIR_DOMAIN_SNAPSHOT_XML_*)."""

    @call("virDomainRevertToSnapshot", rpc=192, acl="domain:snapshot", dbus="Revert")
    async def revert(self, flags: U32 = 0) -> None:
        """Put the domain back to it (VIR_DOMAIN_SNAPSHOT_REVERT_*)."""

    @call("virDomainSnapshotDelete", rpc=193, acl="domain:snapshot", dbus="Delete")
    async def delete(self, flags: U32 = 0) -> None:
        """Delete it (VIR_DOMAIN_SNAPSHOT_DELETE_*)."""

    @call("virDomainSnapshotGetParent", rpc=244, acl="domain:read", high=True, dbus="GetParent")
    async def parent(self, flags: U32 = 0) -> "Snapshot":
        """The snapshot before it. NoDomainSnapshot where it is the first."""

    @call(
        "virDomainSnapshotListAllChildren",
        rpc=275,
        acl="domain:read",
        high=True,
        dbus="ListChildren",
        shape=Listing(),
        older=[
            Older(246, shape=Length()),
            Older(247, shape=Names(at=-1)),
        ],
    )
    async def children(self, flags: U32 = 0) -> "Sequence[Snapshot]":
        """Those that follow it (VIR_DOMAIN_SNAPSHOT_LIST_DESCENDANTS: also theirs)."""

    @call("virDomainSnapshotIsCurrent", rpc=271, acl="domain:read", dbus="IsCurrent")
    async def is_current(self, flags: U32 = 0) -> Bool:
        """Whether it is the one that the domain last took or went back to."""

    @call("virDomainSnapshotHasMetadata", rpc=272, acl="domain:read")
    async def has_metadata(self, flags: U32 = 0) -> Bool:
        """Whether anything is kept of it that undefining the domain would lose."""


class Checkpoint(Object):
    """A checkpoint of a domain."""

    KIND, XDR = "domain_checkpoint", "remote_nonnull_domain_checkpoint"
    name: Str
    domain: "domains.Domain"

    @property
    def owner(self) -> Object | None:
        """Its domain."""
        return self.domain

    @classmethod
    async def find(cls, root: Any, ref: Any) -> Any:
        """The checkpoint of that name, of the domain that is meant."""
        domain = await domains.Domain.find(root, ref.domain)
        return await domain.checkpoint_by_name(ref.name)

    @call(
        "virDomainCheckpointGetXMLDesc",
        rpc=412,
        acl=("domain:read", "domain:read_secure:VIR_DOMAIN_CHECKPOINT_XML_SECURE"),
    )
    async def xml(self, flags: U32 = 0) -> Str:
        """Its description (VIR_DOMAIN_CHECKPOINT_XML_*)."""

    @call("virDomainCheckpointDelete", rpc=417, acl="domain:checkpoint")
    async def delete(self, flags: U32 = 0) -> None:
        """Delete it (VIR_DOMAIN_CHECKPOINT_DELETE_*)."""

    @call("virDomainCheckpointGetParent", rpc=416, acl="domain:read", high=True)
    async def parent(self, flags: U32 = 0) -> "Checkpoint":
        """The checkpoint before it. NoDomainCheckpoint where it is the first."""

    @call("virDomainCheckpointListAllChildren", rpc=414, acl="domain:read", high=True, shape=Listing())
    async def children(self, flags: U32 = 0) -> "Sequence[Checkpoint]":
        """Those that follow it."""
