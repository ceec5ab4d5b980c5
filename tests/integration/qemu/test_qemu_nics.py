"""Taps on a bridge, and taps of their own, in a network namespace of the test's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.qemu import needs_qemu, tiny

pytestmark = [
    needs_qemu,
    pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"), reason="needs root and /dev/net/tun"),
    pytest.mark.skipif(not shutil.which("ip"), reason="needs ip (Debian: iproute2)"),
]

PROGRAM = """
import asyncio, subprocess, sys, splitvirt

def names():
    lines = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split(": ")[1].split("@")[0]: line for line in lines}

async def main():
    subprocess.run(["ip", "link", "add", "br7", "type", "bridge"], check=True)
    async with splitvirt.embed(sys.argv[1]) as hv:
        vm = await hv.create(sys.argv[2])
        xml = await vm.xml()
        assert "<target dev='vnet0'/>" in xml and "<target dev='vnet1'/>" in xml, xml
        found = names()
        assert "master br7" in found["vnet0"], found
        assert "master" not in found["vnet1"], found
        assert (await vm.interface_stats("vnet0")).rx_errors == 0
        (told,) = await hv.stats()
        assert {p.name: p.value for p in told.params}["net.count"] == 2
        await vm.destroy()
        assert names().keys() == {"lo", "br7"}
        try:
            await hv.create(sys.argv[2].replace("br7", "nowhere"))
        except splitvirt.VirtError as error:
            assert "nowhere" in str(error), error
        else:
            raise AssertionError("a bridge that is not there was not missed")
        assert names().keys() == {"lo", "br7"}
asyncio.run(main())
"""


def test_taps_come_and_go_with_the_guest(tmp_path: Path) -> None:
    devices = """<interface type='bridge'><source bridge='br7'/><model type='virtio'/></interface>
    <interface type='ethernet'/>"""
    argv = ["unshare", "--net", sys.executable, "-c", PROGRAM, str(tmp_path), tiny(devices=devices)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


COMING = """
import asyncio, re, subprocess, sys, splitvirt

LIVE, PAUSED = 1, 1

def links():
    lines = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split(": ")[1].split("@")[0]: line for line in lines}

async def main():
    for words in ("add br7 type bridge", "add up0 type veth peer name up1", "set up0 up"):
        subprocess.run(["ip", "link", *words.split()], check=True)
    card = "<interface type='%s'>%s<mac address='52:54:00:00:00:0%d'/><model type='virtio'/><link state='%s'/>"
    card += "</interface>"
    async with splitvirt.embed(sys.argv[1], lifetime="keep") as hv:
        vm = await hv.create(sys.argv[2], PAUSED)
        for number, (kind, source, state) in enumerate((
            ("bridge", "<source bridge='br7'/>", "up"), ("ethernet", "", "up"),
            ("direct", "<source dev='up0' mode='bridge'/>", "down"),
        )):
            await vm.attach_device(card % (kind, source, number, state), LIVE)
        assert links().keys() == {"lo", "br7", "up0", "up1", "vnet0", "vnet1", "macvtap0"}, links()
        assert "master br7" in links()["vnet0"]
        told = await vm.guest.monitor.hmp("info network")
        for number in range(3):
            assert re.search(f"net{number}:.*macaddr=52:54:00:00:00:0{number}", told), told
        for bad, words in (
            ("<interface type='bridge'><source bridge='nowhere'/><model type='virtio'/></interface>", "nowhere"),
            ("<interface type='direct'><source dev='nowhere'/><model type='virtio'/></interface>", "nowhere"),
            ("<interface type='ethernet'><model type='no-such-card'/></interface>", "no-such-card"),
        ):
            try:
                await vm.attach_device(bad, LIVE)
            except splitvirt.VirtError as error:
                assert words in str(error), error
            else:
                raise AssertionError(bad)
        assert links().keys() == {"lo", "br7", "up0", "up1", "vnet0", "vnet1", "macvtap0"}, links()
        assert (await vm.xml()).count("<interface ") == 3
    async with splitvirt.embed(sys.argv[1]) as hv:
        (vm,) = await hv.domains()
        await vm.destroy()
    assert links().keys() == {"lo", "br7", "up0", "up1"}, links()
asyncio.run(main())
"""


def test_cards_come_while_the_guest_runs_and_what_they_had_goes_with_it(tmp_path: Path) -> None:
    argv = ["unshare", "--net", sys.executable, "-c", COMING, str(tmp_path), tiny()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
