# mypy: disable-error-code="empty-body"
"""Disks of a domain: figures, limits, and the jobs that copy, merge and back up."""

from typing import Annotated

from .call import call
from .record import Record, wire
from .rule import CHANGE
from .shape import UINT, Found, Room
from .types import I32, I64, U32, U64, OptStr, Params16, Params32, Peek, Size, Str
from .wire import Many


class BlockStats(Record):
    """Requests and bytes of a disk since its start; -1 where that is not counted."""

    read_requests: I64
    read_bytes: I64
    write_requests: I64
    write_bytes: I64
    errors: I64


class BlockInfo(Record):
    """Sizes of a disk in bytes: what is allocated, what the guest sees, what the host's file has."""

    allocation: U64
    capacity: U64
    physical: U64


class BlockJobInfo(Record):
    """A block job (VIR_DOMAIN_BLOCK_JOB_TYPE_*): its limit, how far it is, and its end, which may move."""

    MEANINGS = {"type": "VIR_DOMAIN_BLOCK_JOB_TYPE_"}
    type: I32
    bandwidth: U64
    current: U64
    end: U64


class DiskError(Record):
    """A disk that failed (VIR_DOMAIN_DISK_ERROR_*)."""

    MEANINGS = {"error": "VIR_DOMAIN_DISK_ERROR_"}
    disk: Str
    error: I32


class Disks:
    """Figures and limits."""

    @call("virDomainBlockStats", rpc=64, acl="domain:read")
    async def block_stats(self, disk: Str) -> BlockStats:
        """Requests and bytes of a disk; "" for all of them."""

    @call("virDomainBlockStatsFlags", rpc=243, acl="domain:read", shape=Room())
    async def block_stats_params(self, disk: Str, flags: U32 = 0) -> Params16:
        """Requests, bytes and nanoseconds of a disk."""

    @call("virDomainGetBlockInfo", rpc=194, acl="domain:read")
    async def block_info(self, disk: Str, flags: U32 = 0) -> BlockInfo:
        """Sizes of a disk in bytes."""

    @call("virDomainBlockPeek", rpc=103, acl="domain:block_read", dbus="BlockPeek")
    async def block_peek(self, disk: Str, offset: U64, size: Size, flags: U32 = 0) -> Peek:
        """Bytes of a disk as the guest sees it, at most 4 MiB."""

    @call("virDomainBlockResize", rpc=251, acl="domain:block_write", dbus="BlockResize")
    async def block_resize(self, disk: Str, size: U64, flags: U32 = 0) -> None:
        """Make a disk of a running domain larger or smaller: to KiB, or bytes by VIR_DOMAIN_BLOCK_RESIZE_BYTES."""

    @call("virDomainGetBlockIoTune", rpc=253, acl="domain:read", dbus="GetBlockIOTune", shape=Room())
    async def block_io_tune(self, disk: OptStr, flags: U32 = 0) -> Params32:
        """The limits of a disk, in bytes and requests a second."""

    @call("virDomainSetBlockIoTune", rpc=252, acl=CHANGE, dbus="SetBlockIOTune")
    async def set_block_io_tune(self, disk: Str, params: Params32, flags: U32 = 0) -> None:
        """Limit a disk, in bytes and requests a second."""

    @call(
        "virDomainGetDiskErrors", rpc=263, acl="domain:read", dbus="GetDiskErrors", shape=Room("maxerrors", wire=UINT)
    )
    async def disk_errors(self, flags: U32 = 0) -> Annotated[list[DiskError], Many(wire(DiskError), 256)]:
        """The disks that failed."""

    @call("virDomainSetBlockThreshold", rpc=386, acl="domain:write")
    async def set_block_threshold(self, device: Str, threshold: U64, flags: U32 = 0) -> None:
        """Have an event sent when a write goes beyond that byte of an image."""


class BlockJobs:
    """Copying, merging, backing up."""

    @call("virDomainGetBlockJobInfo", rpc=238, acl="domain:read", dbus="GetBlockJobInfo", shape=Found())
    async def block_job_info(self, disk: Str, flags: U32 = 0) -> BlockJobInfo:
        """The job on a disk; one of type 0 when there is none."""

    @call("virDomainBlockJobAbort", rpc=237, acl="domain:write", dbus="BlockJobAbort")
    async def block_job_abort(self, disk: Str, flags: U32 = 0) -> None:
        """End the job on a disk, or switch over to its copy (VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)."""

    @call("virDomainBlockJobSetSpeed", rpc=239, acl="domain:write", dbus="BlockJobSetSpeed")
    async def block_job_set_speed(self, disk: Str, bandwidth: U64, flags: U32 = 0) -> None:
        """Limit the job on a disk, in MiB/s, or bytes/s by flag."""

    @call("virDomainBlockPull", rpc=240, acl="domain:block_write", dbus="BlockPull")
    async def block_pull(self, disk: Str, bandwidth: U64 = 0, flags: U32 = 0) -> None:
        """Copy the whole backing chain into the active image, at so many MiB/s at most (0: no limit)."""

    @call("virDomainBlockRebase", rpc=266, acl="domain:block_write", dbus="BlockRebase")
    async def block_rebase(self, disk: Str, base: OptStr, bandwidth: U64 = 0, flags: U32 = 0) -> None:
        """Copy the backing chain down to `base` into the active image, or copy the disk to `base` (flags)."""

    @call("virDomainBlockCommit", rpc=290, acl="domain:block_write", dbus="BlockCommit")
    async def block_commit(self, disk: Str, base: OptStr, top: OptStr, bandwidth: U64 = 0, flags: U32 = 0) -> None:
        """Merge the images from `top` down into `base`."""

    @call("virDomainBlockCopy", rpc=345, acl="domain:block_write", dbus="BlockCopy")
    async def block_copy(self, disk: Str, destxml: Str, params: Params16, flags: U32 = 0) -> None:
        """Copy a disk to where the XML says, and keep the copy in step until the job is ended."""

    @call("virDomainBackupBegin", rpc=421, acl=("domain:checkpoint", "domain:block_write"))
    async def backup_begin(self, backup_xml: Str, checkpoint_xml: OptStr = None, flags: U32 = 0) -> None:
        """Start a backup of disks, and make a checkpoint with it."""

    @call("virDomainBackupGetXMLDesc", rpc=422, acl="domain:read", high=True)
    async def backup_xml(self, flags: U32 = 0) -> Str:
        """The backup that runs. NoDomainBackup where none does."""
