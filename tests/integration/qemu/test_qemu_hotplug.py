"""Devices that come to a guest that runs and leave it again, as its QEMU tells it."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, needs_qemu, tiny
from support.rpc_house import until

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import VirtError
from splitvirt.host import unix
from virtqemud.domain.plug import chardev_arguments

pytestmark = needs_qemu
LIVE = c.VIR_DOMAIN_AFFECT_LIVE
PORTS = "<controller type='virtio-serial'/><controller type='usb' model='qemu-xhci'/>"


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[Any]:
    async with splitvirt.embed(tmp_path / "r") as hypervisor:
        yield await hypervisor.create(tiny(devices=PORTS), PAUSED)


async def chardevs(vm: Any) -> dict[str, str]:
    return {one["label"]: one["filename"] for one in await vm.guest.monitor.execute("query-chardev")}


async def test_channels_come_and_leave(vm: Any, tmp_path: Path) -> None:
    before = await chardevs(vm)
    channel = "<channel type='{}'>{}<target type='virtio' name='org.test.{}'/></channel>"
    wanted = (
        channel.format("unix", "", 0),
        channel.format("pty", "", 1),
        channel.format("file", f"<source path='{tmp_path}/said,1' append='on'/>", 2),
        channel.format("null", "", 3),
        channel.format("tcp", "<source mode='bind' host='127.0.0.1' service='0'/>", 4),
    )
    for xml in wanted:
        await vm.attach_device(xml, LIVE)
    xml = await vm.xml()
    found = await chardevs(vm)
    assert found.keys() - before.keys() == {f"charchannel{n}" for n in range(5)}
    path = re.search(r"<source mode='bind' path='([^']*org\.test\.0)'", xml)
    assert path is not None
    unix.connect(Path(path[1])).close()
    assert found["charchannel1"].removeprefix("pty:") in xml
    assert (tmp_path / "said,1").exists()
    for xml in wanted:
        await vm.detach_device(xml, LIVE)
    await until(lambda: not vm.live.devices.channels)
    assert await chardevs(vm) == before
    assert not Path(path[1]).exists()


async def test_what_cannot_come_is_refused_and_nothing_is_there(vm: Any) -> None:
    before = await vm.xml()
    for xml, words in (
        ("<graphics type='vnc'/>", "live attach of device 'graphics' is not supported"),
        ("<audio id='2' type='none'/>", "live attach of device 'audio' is not supported"),
        ("<input type='keyboard' bus='ps2'/>", "input device on bus 'ps2' cannot be hot plugged"),
        ("<controller type='sata'/>", "'sata' controller cannot be hot plugged"),
        ("<disk type='file' device='floppy'><target dev='fda'/></disk>", "floppy device hotplug isn't supported"),
        (
            "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source>"
            "</hostdev>",
            "Did not find USB device 1234:beef",
        ),
    ):
        with pytest.raises(VirtError, match=words):
            await asyncio.wait_for(vm.attach_device(xml, LIVE), 30)
    assert await vm.xml() == before


async def test_a_card_keeps_what_its_guest_knows(vm: Any) -> None:
    card = "<interface type='user'><mac address='52:54:00:00:00:0{}'/><model type='{}'/><link state='{}'/></interface>"
    await vm.attach_device(card.format(1, "virtio", "up"), LIVE)
    await vm.update_device(card.format(1, "virtio", "down"), LIVE)
    assert "<link state='down'/>" in await vm.xml()
    with pytest.raises(VirtError, match="cannot modify network device model from virtio to e1000"):
        await vm.update_device(card.format(1, "e1000", "up"), LIVE)
    other = card.replace("user'>", "bridge'><source bridge='br0'/>").format(1, "virtio", "up")
    with pytest.raises(VirtError, match="unable to change config on 'bridge' network type"):
        await vm.update_device(other, LIVE)
    assert "<link state='down'/>" in await vm.xml()


@pytest.mark.parametrize(
    ("line", "backend"),
    [
        ("pty,id=a", {"type": "pty", "data": {}}),
        (
            "socket,id=a,path=/x,,y,server=on,wait=off,logfile=/l,logappend=on",
            {
                "type": "socket",
                "data": {
                    "addr": {"type": "unix", "data": {"path": "/x,y"}}, "server": True, "wait": False,
                    "logfile": "/l", "logappend": True,
                },
            },
        ),
        (
            "socket,id=a,host=h,port=1,telnet=on,reconnect=5",
            {
                "type": "socket",
                "data": {
                    "addr": {"type": "inet", "data": {"host": "h", "port": "1"}}, "server": False, "telnet": True,
                    "reconnect": 5,
                },
            },
        ),
        (
            "udp,id=a,host=,port=7,localaddr=::1,localport=8",
            {
                "type": "udp",
                "data": {
                    "remote": {"type": "inet", "data": {"host": "localhost", "port": "7"}},
                    "local": {"type": "inet", "data": {"host": "::1", "port": "8"}},
                },
            },
        ),
        ("spicevmc,id=a,name=usbredir", {"type": "spicevmc", "data": {"type": "usbredir"}}),
    ],
)  # fmt: skip
def test_backends_as_the_monitor_takes_them(line: str, backend: dict[str, Any]) -> None:
    assert chardev_arguments(line) == {"id": "a", "backend": backend}
