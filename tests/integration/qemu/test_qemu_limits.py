"""Limits of the next start."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, needs_qemu, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import InvalidArg, NoSupport, OperationInvalid, VirtError
from splitvirt.api.params import TypedParam, values

pytestmark = needs_qemu
CONFIG = c.VIR_DOMAIN_AFFECT_CONFIG


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as hv:
        yield await hv.define(tiny())


async def test_memory(vm: Any) -> None:
    assert set(values(await vm.memory_params()).values()) == {(1 << 53) - 1}
    await vm.set_memory_params(
        [TypedParam.ullong("hard_limit", 4096), TypedParam.ullong("swap_hard_limit", 8192)], CONFIG
    )
    told = values(await vm.memory_params(CONFIG))
    assert (told["hard_limit"], told["swap_hard_limit"]) == (4096, 8192)
    assert "<hard_limit unit='KiB'>4096</hard_limit>" in await vm.xml()
    with pytest.raises(InvalidArg, match="hard_limit tunable value must be lower"):
        await vm.set_memory_params([TypedParam.ullong("swap_hard_limit", 1024)], CONFIG)
    assert values(await vm.memory_params())["swap_hard_limit"] == 8192


async def test_processor_time(vm: Any) -> None:
    assert (await vm.scheduler_type()).params == len(await vm.scheduler_params())
    await vm.set_scheduler_params([TypedParam.ullong("cpu_shares", 512), TypedParam.llong("vcpu_quota", -1)], CONFIG)
    told = values(await vm.scheduler_params())
    assert (told["cpu_shares"], told["vcpu_quota"]) == (512, -1)
    with pytest.raises(InvalidArg, match="'vcpu_period' is out of range"):
        await vm.set_scheduler_params([TypedParam.ullong("vcpu_period", 5)], CONFIG)
    with pytest.raises(VirtError, match="parameter 'nope' not supported"):
        await vm.set_scheduler_params([TypedParam.ullong("nope", 5)], CONFIG)


async def test_disks_and_nodes(vm: Any) -> None:
    await vm.set_blkio_params([TypedParam.string("device_read_bytes_sec", "/dev/sda,1000,/dev/sdb,2000")], CONFIG)
    await vm.set_blkio_params(
        [TypedParam.string("device_read_bytes_sec", "/dev/sda,0"), TypedParam.uint("weight", 200)]
    )
    told = values(await vm.blkio_params())
    assert (told["weight"], told["device_read_bytes_sec"]) == (200, "/dev/sdb,2000")
    with pytest.raises(InvalidArg):
        await vm.set_blkio_params([TypedParam.string("device_weight", "/dev/sda")])
    await vm.set_numa_params([TypedParam.int_("numa_mode", 2), TypedParam.string("numa_nodeset", "0-1")])
    assert values(await vm.numa_params()) == {"numa_mode": 2, "numa_nodeset": "0-1"}


async def test_a_running_guest_has_no_cgroup_of_its_own(vm: Any) -> None:
    await vm.create(PAUSED)
    with pytest.raises(OperationInvalid, match="cgroup CPU controller is not mounted"):
        await vm.set_scheduler_params([TypedParam.ullong("cpu_shares", 512)])
    await vm.set_scheduler_params([TypedParam.ullong("cpu_shares", 512)], CONFIG)


async def test_what_this_driver_does_not_do_yet_is_said_so(vm: Any) -> None:
    with pytest.raises(OperationInvalid, match="domain is not running"):
        await vm.managed_save()
    await vm.create(PAUSED)
    for call, arguments in (
        ("managed_save", ()),
        ("save", ("/tmp/x",)),
        ("core_dump", ("/tmp/x",)),
        ("backup_xml", ()),
    ):
        with pytest.raises(NoSupport):
            await getattr(vm, call)(*arguments)
    assert not await vm.has_managed_save()
    assert not await vm.has_current_snapshot()
