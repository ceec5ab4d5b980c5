"""Guests of random devices: whatever comes, no two devices share a place, and every PCI device has one."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from support.prepared import capabilities, guest

from splitvirt.api.errors import VirtError
from splitvirt.xml.address import DriveAddress, PciAddress, UsbAddress
from splitvirt.xml.devices.controller import PciController
from splitvirt.xml.devices.device import Device
from splitvirt.xml.domain import Domain
from virtqemud.prepare import prepare
from virtqemud.prepare.addresses import every
from virtqemud.prepare.machine import has_pcie
from virtqemud.prepare.pci.plugs import in_order, plug

PIECES = [
    "<interface type='user'><model type='virtio'/></interface>",
    "<interface type='user'><model type='e1000'/></interface>",
    "<interface type='user'><model type='e1000e'/></interface>",
    "<controller type='scsi' model='virtio-scsi'/>",
    "<controller type='scsi' model='lsilogic'/>",
    "<controller type='usb' model='nec-xhci'/>",
    "<controller type='usb' model='ich9-ehci1'/>",
    "<controller type='virtio-serial'/>",
    "<controller type='pci' index='20' model='pci-bridge'/>",
    "<controller type='pci' index='21' model='pcie-root-port'/>",
    "<channel type='pty'><target type='virtio' name='x'/></channel>",
    "<input type='tablet' bus='usb'/>",
    "<input type='keyboard' bus='virtio'/>",
    "<hub type='usb'/>",
    "<sound model='ich6'/>",
    "<sound model='ich9'/>",
    "<video><model type='qxl'/></video>",
    "<rng model='virtio'><backend model='random'/></rng>",
    "<hostdev type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789abcde0'/></hostdev>",
    "<redirdev bus='usb' type='pty'/>",
    "<filesystem><source dir='/a'/><target dir='a'/></filesystem>",
]
DISKS = ["hda", "hdb", "sda", "sdb", "sdi", "vda", "vdb", "vdaa"]


def disk(target: str) -> str:
    return f"<disk type='file'><source file='/{target}'/><target dev='{target}'/></disk>"


def clashes(domain: Domain) -> list[object]:
    """Places that more than one device has; a console is the first serial port, an interface its host device."""
    keys: Counter[object] = Counter()
    for device in every(domain.devices):
        address = device.address
        if isinstance(address, PciAddress) and device not in domain.devices.consoles:
            keys["pci", address.place] += 1
        elif isinstance(address, DriveAddress):
            keys[bus(device), address.place] += 1
        elif isinstance(address, UsbAddress):
            keys["usb", address.bus, address.path] += 1
    return [key for key, count in keys.items() if count > 1]


def bus(device: Device) -> str:
    return str(getattr(device, "bus", None) or "scsi") if device.TAG == "disk" else "scsi"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(["pc", "q35"]),
    st.lists(st.sampled_from(PIECES), max_size=40),
    st.lists(st.sampled_from(DISKS), unique=True),
)
def test_every_device_has_a_place_of_its_own(machine: str, pieces: list[str], disks: list[str]) -> None:
    domain = guest(machine, "".join(map(disk, disks)) + "".join(pieces))
    try:
        prepare(domain, capabilities())
    except VirtError:  # what contradicts itself
        return
    assert clashes(domain) == []
    pcie = has_pcie(domain)
    homeless = [d for d in in_order(domain) if plug(d, pcie) and not isinstance(d.address, PciAddress)]
    assert homeless == []
    buses = {c.index for c in domain.devices.controllers if isinstance(c, PciController)}
    assert {d.address.bus for d in every(domain.devices) if isinstance(d.address, PciAddress)} <= buses
