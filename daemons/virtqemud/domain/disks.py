"""Figures of a guest's disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from splitvirt.api import constants as c
from splitvirt.api.domain_block import BlockInfo, BlockStats, DiskError
from splitvirt.api.errors import InvalidArg, OperationInvalid, SystemError_
from splitvirt.api.params import TypedParam
from splitvirt.xml.devices.disk import Disk
from virtqemud import devicelist
from virtqemud.flags import only

from .base import DomainBase

QEMU = c.VIR_FROM_QEMU


class Figure(NamedTuple):
    """What QEMU counts of one disk."""

    stats: dict[str, Any]
    image: dict[str, Any]

    def one(self, name: str) -> int:
        return int(self.stats.get(name, 0))

    def bulk(self) -> Iterator[tuple[str, int]]:
        """Figures under the names of the bulk statistics."""
        for name, key in (
            ("rd.reqs", "rd_operations"), ("rd.bytes", "rd_bytes"), ("rd.times", "rd_total_time_ns"),
            ("wr.reqs", "wr_operations"), ("wr.bytes", "wr_bytes"), ("wr.times", "wr_total_time_ns"),
            ("fl.reqs", "flush_operations"), ("fl.times", "flush_total_time_ns"),
        ):  # fmt: skip
            yield name, self.one(key)
        if "actual-size" in self.image:
            yield "allocation", int(self.stats.get("wr_highest_offset", 0))
        if "virtual-size" in self.image:
            yield "capacity", int(self.image["virtual-size"])
        if "actual-size" in self.image:
            yield "physical", int(self.image["actual-size"])


def disk_path(disk: Disk) -> str | None:
    """The file or device behind a disk; None for another source, and for an empty drive."""
    source = getattr(disk, "source", None)
    return getattr(source, "file", None) or getattr(source, "dev", None)


class Disks(DomainBase):
    """Figures of disks."""

    def find_disk(self, name: str, words: str = "invalid path: {}") -> Disk:
        """The disk of that target or path. InvalidArg, in `words`, where there is none."""
        for disk in devicelist.of(self.current, Disk):
            if name in (disk.target, disk_path(disk)):
                return disk
        raise InvalidArg(words.format(name), domain=QEMU)

    def disk_of(self, device: str, node: str) -> tuple[str, str]:
        """Path and alias of the disk that QEMU names by its device's path or by a block node."""
        for disk in devicelist.of(self.current, Disk):
            alias = str(disk.alias)
            if alias and alias in device.split("/"):
                return disk_path(disk) or "", alias
        return node, device.rpartition("/")[2]

    async def block_figures(self) -> dict[str, Figure]:
        """Figures by alias of the disk."""
        monitor = self.running().monitor
        stats, blocks = await monitor.batch(("query-blockstats", None), ("query-block", None))
        images = {str(b.get("qdev", "")): b.get("inserted", {}).get("image", {}) for b in blocks}
        found = {}
        for entry in stats:
            device = str(entry.get("qdev", ""))
            if device:
                figure = Figure({**entry["stats"]}, images.get(device, {}))
                found[_alias(device)] = figure
        return found

    async def _figure(self, disk: Disk) -> Figure:
        figures = await self.block_figures()
        found = figures.get(str(disk.alias))
        if found is None:
            raise OperationInvalid(f"no stats found for device {disk.alias}", domain=QEMU)
        return found

    async def _figures(self, disk: str) -> list[Figure]:
        """Those of one disk; of "" all."""
        return [await self._figure(self.find_disk(disk))] if disk else list((await self.block_figures()).values())

    async def block_stats(self, disk: str) -> BlockStats:
        """Requests and bytes."""
        self.running()
        every = await self._figures(disk)
        sums = [sum(f.one(key) for f in every) for key in ("rd_operations", "rd_bytes", "wr_operations", "wr_bytes")]
        return BlockStats(sums[0], sums[1], sums[2], sums[3], -1)

    async def block_stats_params(self, disk: str, flags: int = 0) -> list[TypedParam]:
        """Requests, bytes and nanoseconds."""
        only(flags, c.VIR_TYPED_PARAM_STRING_OKAY, "qemuDomainBlockStatsFlags")
        self.running()
        every = await self._figures(disk)
        names = {
            "wr_bytes": "wr_bytes", "wr_operations": "wr_operations", "rd_bytes": "rd_bytes",
            "rd_operations": "rd_operations", "flush_operations": "flush_operations",
            "wr_total_times": "wr_total_time_ns", "rd_total_times": "rd_total_time_ns",
            "flush_total_times": "flush_total_time_ns",
        }  # fmt: skip
        return [TypedParam.llong(name, sum(f.one(key) for f in every)) for name, key in names.items()]

    async def block_info(self, disk: str, flags: int = 0) -> BlockInfo:
        """Sizes in bytes."""
        only(flags, 0, "qemuDomainGetBlockInfo")
        found = self.find_disk(disk, "invalid path {} not assigned to domain")
        path = disk_path(found)
        if path is None:
            raise InvalidArg(f"disk '{found.target}' does not currently have a source assigned", domain=QEMU)
        if self.guest is not None:
            figure = await self._figure(found)
            capacity = int(figure.image.get("virtual-size", 0))
            allocated, physical = _on_host(path, figure)
            raw = figure.image.get("format") in (None, "raw", "host_device")
            return BlockInfo(allocated if raw else figure.one("wr_highest_offset") or allocated, capacity, physical)
        try:
            about = os.stat(path)
        except OSError as error:
            raise SystemError_(f"cannot stat file '{path}': {error.strerror}", domain=QEMU) from error
        allocated = about.st_blocks * 512
        return BlockInfo(allocated, await self._capacity(found, path, about.st_size), about.st_size)

    async def _capacity(self, disk: Disk, path: str, size: int) -> int:
        """What a guest would see of an image that is not in use."""
        kind = disk.driver.type if disk.driver else None
        if kind in (None, "raw"):
            return size
        import json

        from splitvirt.host.process import run

        answer = await run(["qemu-img", "info", "--output=json", "-f", str(kind), path])
        if answer.returncode:
            raise OperationInvalid(f"cannot read the header of {path}: {answer.stderr.strip()}", domain=QEMU)
        return int(json.loads(answer.stdout)["virtual-size"])

    async def block_resize(self, disk: str, size: int, flags: int = 0) -> None:
        """Make a disk larger or smaller."""
        only(flags, c.VIR_DOMAIN_BLOCK_RESIZE_BYTES, "qemuDomainBlockResize")
        async with self.job.hold("block_resize"):
            monitor = self.running().monitor
            found = self.find_disk(disk, "disk '{}' was not found in the domain config")
            blocks = await monitor.execute("query-block")
            node = next(
                (b["inserted"]["node-name"] for b in blocks if _alias(str(b.get("qdev", ""))) == found.alias), None
            )
            if node is None:
                raise InvalidArg(f"disk '{found.target}' does not currently have a source assigned", domain=QEMU)
            amount = size if flags & c.VIR_DOMAIN_BLOCK_RESIZE_BYTES else size * 1024
            await monitor.execute("block_resize", {"node-name": node, "size": amount})

    async def disk_errors(self, flags: int = 0) -> list[DiskError]:
        """Disks that failed."""
        only(flags, c.VIR_TYPED_PARAM_STRING_OKAY, "qemuDomainGetDiskErrors")
        blocks = await self.running().monitor.execute("query-block")
        status = {_alias(str(b.get("qdev", ""))): b.get("io-status", "ok") for b in blocks}
        codes = {"failed": c.VIR_DOMAIN_DISK_ERROR_UNSPEC, "nospace": c.VIR_DOMAIN_DISK_ERROR_NO_SPACE}
        return [
            DiskError(str(disk.target), codes[status[str(disk.alias)]])
            for disk in devicelist.of(self.current, Disk)
            if status.get(str(disk.alias)) in codes
        ]


def _on_host(path: str, figure: Figure) -> tuple[int, int]:
    """What of an image is allocated and how long it is, in bytes: as the host says, else as QEMU does."""
    try:
        about = os.stat(path)
    except OSError:
        told = int(figure.image.get("actual-size", 0))
        return told, told
    return about.st_blocks * 512, about.st_size or int(figure.image.get("actual-size", 0))


def _alias(device: str) -> str:
    """The alias in QEMU's path of a device: "/machine/peripheral/virtio-disk0/virtio-backend" or just the alias."""
    parts = [part for part in device.split("/") if part and part != "virtio-backend"]
    return parts[-1] if parts else ""
