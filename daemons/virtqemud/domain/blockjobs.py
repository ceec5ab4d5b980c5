"""Jobs on disks: filling an image from those below it; and the mark at which a growing image is told of."""

from __future__ import annotations

from typing import Any

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.domain_block import BlockJobInfo
from splitvirt.api.errors import InvalidArg, OperationInvalid
from splitvirt.xml.devices.disk import Disk
from virtqemud import devicelist
from virtqemud.flags import only

from .base import DomainBase
from .disks import disk_path

QEMU = c.VIR_FROM_QEMU
MIB = 1 << 20
KINDS = {
    "stream": c.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL,
    "mirror": c.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY,
    "commit": c.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT,
    "backup": c.VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP,
}


class BlockJobs(DomainBase):
    """Jobs on disks. A job is named after its kind and its disk, as libvirt names it: "pull-vda-libvirt-1-format"."""

    def _disk(self, name: str) -> Disk:
        self.running()
        for disk in devicelist.of(self.current, Disk):
            if name in (disk.target, disk_path(disk)):
                return disk
        raise InvalidArg(f"disk '{name}' not found in domain", domain=QEMU)

    async def _job(self, disk: Disk) -> dict[str, Any] | None:
        jobs = await self.running().monitor.execute("query-block-jobs")
        return next((job for job in jobs if str(job["device"]).partition("-")[2].startswith(f"{disk.target}-")), None)

    async def _active(self, disk: Disk) -> dict[str, Any]:
        job = await self._job(disk)
        if job is None:
            raise InvalidArg(f"disk {disk.target} does not have an active block job", domain=QEMU)
        return job

    async def block_job_info(self, disk: str, flags: int = 0) -> BlockJobInfo:
        """The job on a disk."""
        only(flags, c.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES, "qemuDomainGetBlockJobInfo")
        job = await self._job(self._disk(disk))
        if job is None:
            return BlockJobInfo(0, 0, 0, 0)
        limit = int(job["speed"]) if flags else -(-int(job["speed"]) // MIB)
        end = int(job["len"])
        # A job that has not begun has no length yet, which readers would take for its end.
        return BlockJobInfo(KINDS.get(job["type"], 0), limit, int(job["offset"]), end or 1)

    async def block_job_abort(self, disk: str, flags: int = 0) -> None:
        """End the job on a disk."""
        only(flags, c.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC | c.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT, "qemuDomainBlockJobAbort")
        async with self.job.hold("block_job_abort"):
            job = await self._active(self._disk(disk))
            if flags & c.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT:
                raise OperationInvalid(f"job type '{job['type']}' does not support pivot", domain=QEMU)
            await self.running().monitor.execute("job-cancel", {"id": job["device"]})

    async def block_job_set_speed(self, disk: str, bandwidth: int, flags: int = 0) -> None:
        """Limit the job on a disk."""
        only(flags, c.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES, "qemuDomainBlockJobSetSpeed")
        async with self.job.hold("block_job_set_speed"):
            job = await self._active(self._disk(disk))
            arguments = {"device": job["device"], "speed": bandwidth if flags else bandwidth * MIB}
            await self.running().monitor.execute("block-job-set-speed", arguments)

    async def block_pull(self, disk: str, bandwidth: int = 0, flags: int = 0) -> None:
        """Copy what lies below the top image into it."""
        only(flags, c.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES, "qemuDomainBlockPull")
        async with self.job.hold("block_pull"):
            found = self._disk(disk)
            if found.empty or found.source is None or found.source.index is None:
                raise InvalidArg(f"disk '{found.target}' does not currently have a source assigned", domain=QEMU)
            if await self._job(found) is not None:
                raise OperationInvalid(f"disk '{found.target}' already in active block job", domain=QEMU)
            node = f"libvirt-{found.source.index}-format"
            arguments = {"device": node, "job-id": f"pull-{found.target}-{node}", "auto-dismiss": True}
            if bandwidth:
                arguments["speed"] = bandwidth if flags else bandwidth * MIB
            await self.running().monitor.execute("block-stream", arguments)

    def block_job_ended(self, data: dict[str, Any], status: int) -> None:
        """QEMU says that a job ended."""
        target = str(data["device"]).partition("-")[2].partition("-")[0]
        disk = next((d for d in devicelist.of(self.current, Disk) if d.target == target), None)
        if disk is None:
            return
        if data.get("error"):
            status = c.VIR_DOMAIN_BLOCK_JOB_FAILED
        kind = KINDS.get(str(data["type"]), 0)
        self.driver.events.emit(Domain.block_job, self, disk_path(disk) or "", kind, status)
        self.driver.events.emit(Domain.block_job_2, self, target, kind, status)

    async def set_block_threshold(self, device: str, threshold: int, flags: int = 0) -> None:
        """Have a write beyond that byte of an image told."""
        only(flags, 0, "qemuDomainSetBlockThreshold")
        async with self.job.hold("set_block_threshold"):
            self.running()
            target = device.partition("[")[0]
            disk = next((d for d in devicelist.of(self.current, Disk) if d.target == target), None)
            if disk is None or disk.source is None or disk.source.index is None:
                raise InvalidArg(f"failed to find disk '{device}'", domain=QEMU)
            arguments = {"node-name": f"libvirt-{disk.source.index}-storage", "write-threshold": threshold}
            await self.running().monitor.execute("block-set-write-threshold", arguments)

    def write_beyond(self, data: dict[str, Any]) -> None:
        """QEMU says that a write went beyond the mark."""
        number = str(data["node-name"]).split("-")[1]
        for disk in devicelist.of(self.current, Disk):
            if disk.source is not None and str(disk.source.index) == number:
                mark, excess = int(data["write-threshold"]), int(data["amount-exceeded"])
                self.driver.events.emit(Domain.block_threshold, self, str(disk.target), disk_path(disk), mark, excess)
