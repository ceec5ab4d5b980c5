"""vCPUs that come before the guest runs, and while it does, as QEMU and the kernel tell it."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, needs_qemu, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import ConfigUnsupported, InvalidArg, OperationUnsupported

pytestmark = needs_qemu
OURS = sorted(os.sched_getaffinity(0))
FIRST, LAST = OURS[0], OURS[-1]
LIVE_CONFIG = c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_AFFECT_CONFIG


def individual(*states: str, tune: str = "") -> str:
    """A guest with a processor for each state: "on", "off" or "ON", which may be unplugged, and its order."""
    each = "".join(
        f"<vcpu id='{number}' enabled='{'no' if state[:3] == 'off' else 'yes'}' "
        f"hotpluggable='{'no' if state[:2] == 'on' else 'yes'}'"
        + (f" order='{state[2:]}'" if state[2:].isdigit() else "")
        + "/>"
        for number, state in enumerate(states)
    )
    return tiny(extra=tune).replace("<vcpu>1</vcpu>", f"<vcpu>{len(states)}</vcpu><vcpus>{each}</vcpus>")


async def told(vm: Any) -> str:
    """The running configuration's words of each processor, in short."""
    found = re.findall(r"enabled='(\w+)' hotpluggable='(\w+)'(?: order='(\d)')?", await vm.xml())
    return ",".join(("ON" if on == "yes" else "off") + (hot == "no") * "!" + rank for on, hot, rank in found)


@pytest.fixture
async def hv(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path) as hypervisor:
        yield hypervisor


async def test_those_that_may_leave_are_there_from_the_start_in_their_order(hv: Any) -> None:
    pins = f"<cputune><vcpupin vcpu='3' cpuset='{LAST}'/><vcpupin vcpu='1' cpuset='{FIRST}'/></cputune>"
    vm = await hv.create(individual("on1", "ON3", "off", "ON2", tune=pins), PAUSED)
    assert list(vm.guest.vcpus) == [0, 3, 1]
    assert await told(vm) == "ON!1,ON3,off,ON2"
    assert os.sched_getaffinity(vm.guest.vcpus[3]) == {LAST}
    assert os.sched_getaffinity(vm.guest.vcpus[1]) == {FIRST}
    assert [vcpu.info.number for vcpu in await vm.vcpus()] == [0, 1, 3]
    await vm.pin_vcpu(3, [number == FIRST for number in range(LAST + 1)])
    assert os.sched_getaffinity(vm.guest.vcpus[3]) == {FIRST}


async def test_orders_that_contradict_are_refused_and_nothing_runs(hv: Any) -> None:
    vm = await hv.define(individual("on1", "ON2", "ON2"))
    with pytest.raises(ConfigUnsupported, match="duplicate vcpu order '2'"):
        await vm.create(PAUSED)
    assert not vm.active


async def test_single_ones_come_while_it_runs(hv: Any) -> None:
    vm = await hv.define(tiny().replace("<vcpu>1</vcpu>", "<vcpu current='2'>4</vcpu>"))
    await vm.create(PAUSED)
    assert "<vcpus>" not in await vm.xml()
    for number, state, error, words in (
        ("2-3", True, OperationUnsupported, "only one hotpluggable entity can be selected"),
        ("1", True, InvalidArg, "vcpu '1' is already in requested state"),
        ("1", False, OperationUnsupported, "vcpu '1' can't be unplugged"),
        ("9", True, InvalidArg, "vcpu 9 is not present in live config"),
    ):
        with pytest.raises(error, match=words):
            await vm.set_vcpu(number, state, c.VIR_DOMAIN_AFFECT_LIVE)
    assert "<vcpus>" not in await vm.xml()
    await vm.set_vcpu("3", True, c.VIR_DOMAIN_AFFECT_LIVE)
    assert await told(vm) == "ON!1,ON!2,off,ON3"
    await vm.set_vcpus(4, LIVE_CONFIG | c.VIR_DOMAIN_VCPU_HOTPLUGGABLE)
    assert await told(vm) == "ON!1,ON!2,ON4,ON3"
    await vm.destroy()
    assert await told(vm) == "ON!,ON!,ON,ON"
    await vm.create(PAUSED)
    assert list(vm.guest.vcpus) == [0, 1, 2, 3]
    assert vm.guest.plugged == {2, 3}


async def test_they_are_found_again(tmp_path: Path) -> None:
    async with splitvirt.embed(tmp_path, lifetime="keep") as hv:
        vm = await hv.create(individual("on", "off", "ON", "off"), PAUSED)
        before = vm.guest.vcpus
    async with splitvirt.embed(tmp_path) as hv:
        (vm,) = await hv.domains()
        assert vm.guest.vcpus == before
        assert vm.guest.plugged == {2}
        await vm.set_vcpus(3, c.VIR_DOMAIN_AFFECT_LIVE)
        assert await told(vm) == "ON!1,ON3,ON2,off"
