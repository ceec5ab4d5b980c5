# mypy: disable-error-code="empty-body"
"""Saving a domain's state, and its snapshots and checkpoints."""

from collections.abc import Sequence

from . import snapshot
from .call import Older, call
from .shape import Length, Listing, Names
from .types import U32, Bool, OptStr, Params64, Str


class Saving:
    """Saving its memory to a file."""

    @call("virDomainSaveFlags", rpc=232, acl="domain:hibernate", dbus="Save", older=[Older(55, xml=None, flags=0)])
    async def save(self, to: Str, xml: OptStr = None, flags: U32 = 0) -> None:
        """Save its memory to a file and stop it (VIR_DOMAIN_SAVE_*); `xml` replaces the configuration kept."""

    @call("virDomainSaveParams", rpc=440, acl="domain:hibernate")
    async def save_params(self, params: Params64, flags: U32 = 0) -> None:
        """As `save`, with the file and the rest as parameters."""

    @call("virDomainManagedSave", rpc=182, acl="domain:hibernate", dbus="ManagedSave")
    async def managed_save(self, flags: U32 = 0) -> None:
        """Save its memory where its next start looks for it, and stop it."""

    @call("virDomainHasManagedSaveImage", rpc=183, acl="domain:read", dbus="HasManagedSaveImage")
    async def has_managed_save(self, flags: U32 = 0) -> Bool:
        """Whether its next start would go on from saved memory."""

    @call("virDomainManagedSaveRemove", rpc=184, acl="domain:hibernate", dbus="ManagedSaveRemove")
    async def managed_save_remove(self, flags: U32 = 0) -> None:
        """Throw its saved memory away."""

    @call(
        "virDomainManagedSaveGetXMLDesc",
        rpc=388,
        acl=("domain:read", "domain:read_secure:VIR_DOMAIN_SAVE_IMAGE_XML_SECURE"),
    )
    async def managed_save_xml(self, flags: U32 = 0) -> Str:
        """The configuration kept with its saved memory."""

    @call("virDomainManagedSaveDefineXML", rpc=389, acl=("domain:write", "domain:hibernate"))
    async def managed_save_define(self, xml: OptStr, flags: U32 = 0) -> None:
        """Change the configuration kept with its saved memory."""

    @call("virDomainCoreDumpWithFormat", rpc=334, acl="domain:core_dump", dbus="CoreDump", older=[Older(53, format=0)])
    async def core_dump(self, to: Str, format: U32 = 0, flags: U32 = 0) -> None:
        """Write its memory to a file (VIR_DOMAIN_CORE_DUMP_FORMAT_*, VIR_DUMP_*)."""


class Moments:
    """Its snapshots and checkpoints."""

    @call(
        "virDomainSnapshotCreateXML",
        rpc=185,
        acl=("domain:snapshot", "domain:fs_freeze:VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE"),
        dbus="SnapshotCreateXML",
    )
    async def create_snapshot(self, xml: Str, flags: U32 = 0) -> "snapshot.Snapshot":
        """Take a snapshot (VIR_DOMAIN_SNAPSHOT_CREATE_*)."""

    @call("virDomainSnapshotLookupByName", rpc=189, acl="domain:read", high=True, dbus="SnapshotLookupByName")
    async def snapshot_by_name(self, name: Str, flags: U32 = 0) -> "snapshot.Snapshot":
        """The snapshot of that name."""

    @call("virDomainSnapshotCurrent", rpc=191, acl="domain:read", dbus="SnapshotCurrent")
    async def current_snapshot(self, flags: U32 = 0) -> "snapshot.Snapshot":
        """The snapshot that it last took or went back to."""

    @call("virDomainHasCurrentSnapshot", rpc=190, acl="domain:read")
    async def has_current_snapshot(self, flags: U32 = 0) -> Bool:
        """Whether there is such a one."""

    @call(
        "virDomainListAllSnapshots",
        rpc=274,
        acl="domain:read",
        high=True,
        dbus="ListDomainSnapshots",
        shape=Listing(),
        older=[
            Older(187, shape=Length()),
            Older(188, shape=Names(at=-1)),
        ],
    )
    async def snapshots(self, flags: U32 = 0) -> "Sequence[snapshot.Snapshot]":
        """Its snapshots (VIR_DOMAIN_SNAPSHOT_LIST_*)."""

    @call(
        "virDomainCheckpointCreateXML",
        rpc=411,
        acl=("domain:checkpoint", "domain:fs_freeze:VIR_DOMAIN_CHECKPOINT_CREATE_QUIESCE"),
    )
    async def create_checkpoint(self, xml: Str, flags: U32 = 0) -> "snapshot.Checkpoint":
        """Make a checkpoint, from which on changes of its disks are noted."""

    @call("virDomainCheckpointLookupByName", rpc=415, acl="domain:read", high=True)
    async def checkpoint_by_name(self, name: Str, flags: U32 = 0) -> "snapshot.Checkpoint":
        """The checkpoint of that name."""

    @call("virDomainListAllCheckpoints", rpc=413, acl="domain:read", high=True, shape=Listing())
    async def checkpoints(self, flags: U32 = 0) -> "Sequence[snapshot.Checkpoint]":
        """Its checkpoints (VIR_DOMAIN_CHECKPOINT_LIST_*)."""
