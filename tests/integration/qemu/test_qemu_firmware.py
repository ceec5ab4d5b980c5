"""Guests whose firmware is chosen for them: what runs, and what is changed while it does."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.qemu import PAUSED, needs_qemu, tiny

import splitvirt
from splitvirt.api import constants as c
from splitvirt.api.errors import VirtError

pytestmark = [
    needs_qemu,
    pytest.mark.skipif(not Path("/usr/share/OVMF/OVMF_CODE_4M.fd").exists(), reason="needs OVMF (Debian: ovmf)"),
]
BOTH = c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_AFFECT_CONFIG
CONFIG = c.VIR_DOMAIN_AFFECT_CONFIG
ASKED = {
    "first": "",
    "plain": "<firmware><feature enabled='no' name='secure-boot'/></firmware>",
    "secure": "<firmware><feature enabled='yes' name='secure-boot'/></firmware>",
    "own": "<nvram>{folder}/own.fd</nvram>",
}


@pytest.fixture(params=ASKED)
async def vm(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    ports = "".join(f"<controller type='pci' index='{n}' model='pcie-root-port'/>" for n in range(1, 7))
    cdrom = "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
    xml = tiny(memory=128, devices=ports + cdrom).replace("machine='pc'", "machine='q35'")
    asked = ASKED[request.param].format(folder=tmp_path)
    xml = xml.replace("<os>", "<os firmware='efi'>").replace("</os>", f"{asked}</os>")
    xml = xml.replace("<vcpu>1</vcpu>", "<vcpu current='1'>2</vcpu>")
    async with splitvirt.embed(tmp_path) as hv:
        yield await hv.define(xml)


def firmware(xml: str) -> str:
    return xml[xml.index("<os") : xml.index("</os>")]


async def test_what_runs_names_its_firmware(vm: Any) -> None:
    """As libvirt 9.0 tells it; the kept configuration goes on asking."""
    kept = firmware(await vm.xml())
    await vm.create(PAUSED)
    runs = await vm.xml()
    assert "firmware='efi'" not in runs
    assert "<feature " not in firmware(runs)
    assert "<loader readonly='yes' secure='" in runs
    assert " type='pflash'>/usr/share/OVMF/OVMF_CODE_4M" in runs
    assert "<nvram template='/usr/share/OVMF/OVMF_VARS_4M" in runs
    assert ("<smm state='on'" in runs) is ("secure='yes'" in runs)
    assert firmware(await vm.xml(c.VIR_DOMAIN_XML_INACTIVE)) == kept


async def test_changes_while_it_runs_and_starts_after_them(vm: Any, tmp_path: Path) -> None:
    for name in ("disk", "medium"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    disk = f"""<disk type='file'><driver name='qemu' type='raw'/><source file='{tmp_path}/disk'/>
    <target dev='vdb' bus='virtio'/></disk>"""
    medium = f"""<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{tmp_path}/medium'/>
    <target dev='sda' bus='sata'/><readonly/></disk>"""
    card = "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>"
    changes: list[tuple[Any, tuple[Any, ...], str]] = [
        (vm.attach_device, (disk, BOTH), "dev='vdb'"),
        (vm.update_device, (medium, BOTH), f"{tmp_path}/medium"),
        (vm.attach_device, (card, BOTH), "52:54:00:00:00:01"),
        (vm.set_vcpus, (2, BOTH), "<vcpu placement='static'>2</vcpu>"),
        (vm.set_memory, (65536, CONFIG), ">65536</currentMemory>"),
    ]
    await vm.create(PAUSED)
    for change, values, told in changes:
        await change(*values)
        assert told in await vm.xml(c.VIR_DOMAIN_XML_INACTIVE)
        await vm.destroy()
        await vm.create(PAUSED)
    await vm.detach_device(disk, CONFIG)
    await vm.destroy()
    await vm.create(PAUSED)
    assert "vdb" not in await vm.xml()


@pytest.mark.parametrize("flags", [0, c.VIR_DOMAIN_XML_INACTIVE])
async def test_its_own_description_defines_it(vm: Any, flags: int) -> None:
    await vm.create(PAUSED)
    before = firmware(await vm.xml())
    xml = await vm.xml(flags)
    await vm.driver.define(xml)
    await vm.destroy()
    await vm.driver.define(xml)
    await vm.create(PAUSED)
    assert firmware(await vm.xml()) == before
    await vm.destroy()
    with pytest.raises(VirtError, match="cannot undefine domain with nvram"):
        await vm.undefine()
    await vm.undefine(c.VIR_DOMAIN_UNDEFINE_NVRAM)
