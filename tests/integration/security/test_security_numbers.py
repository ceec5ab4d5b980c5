"""Small documents with large numbers in them: none may cost the daemon its memory or its time."""

import time
from pathlib import Path

import pytest
from support.qemu import needs_qemu, tiny

import splitvirt
from splitvirt.api.errors import VirtError

pytestmark = needs_qemu
DISK = "<disk type='file' device='disk'><source file='/x'/><target dev='{}' bus='{}'/>{}</disk>"
FAR = "<address type='drive' controller='100000000' bus='0' target='0' unit='0'/>"


@pytest.mark.parametrize(
    "document",
    [
        tiny("g", extra="<iothreads>4000000000</iothreads>"),
        tiny("g", devices=DISK.format("sda", "scsi", FAR)),
        tiny("g", devices=DISK.format("sdzzzzzz", "scsi", "")),
        tiny("g", devices=DISK.format("sdzzzzzz", "sata", "")),
        tiny("g").replace("<vcpu>1<", "<vcpu>4000000000<"),
    ],
    ids=["iothreads", "controller", "scsi name", "sata name", "vcpus"],
)
async def test_refused_soon(tmp_path: Path, document: str) -> None:
    async with splitvirt.embed(tmp_path) as hv:
        began = time.process_time()
        with pytest.raises(VirtError):
            await hv.define(document)
        assert time.process_time() - began < 4
        assert await hv.domains() == []
