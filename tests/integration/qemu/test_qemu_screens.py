"""Ports of screens: each instance's own, though none knows of the others."""

import asyncio
from pathlib import Path
from typing import Any

from support.qemu import PAUSED, needs_qemu, tiny

import splitvirt

pytestmark = needs_qemu
VNC = "<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>"


async def port_of(vm: Any) -> int:
    return int((await vm.xml()).partition("type='vnc' port='")[2].partition("'")[0])


async def test_instances_that_start_at_once_take_different_ports(tmp_path: Path) -> None:
    instances = [splitvirt.embed(tmp_path / str(number)) for number in range(4)]
    drivers = [await instance.open() for instance in instances]
    try:
        guests = await asyncio.gather(*(driver.create(tiny(devices=VNC), PAUSED) for driver in drivers))
        ports = [await port_of(guest) for guest in guests]
        assert len(set(ports)) == 4
        for port in ports:
            _, viewer = await asyncio.open_connection("127.0.0.1", port)
            viewer.close()
            await viewer.wait_closed()
    finally:
        for instance in instances:
            await instance.close()
