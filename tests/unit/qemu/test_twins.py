"""Which device a kept configuration gains, loses or changes: libvirtd 9.0 answered so."""

import re

import pytest

from splitvirt.api.errors import VirtError
from splitvirt.xml.devices.container import Devices
from splitvirt.xml.domain import Domain
from splitvirt.xml.element import Element
from splitvirt.xml.node import Node, parse_node
from virtqemud.domain import twins

CARD = "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
OTHER = "<interface type='user'><mac address='52:54:00:00:00:02'/></interface>"
SERIAL = "<serial type='pty'><target type='isa-serial' port='0'/></serial>"
CHANNEL = "<channel type='unix'><target type='virtio' name='org.x.0'/></channel>"
SHMEM = "<shmem name='s0'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>"
LEASE = "<lease><lockspace>a</lockspace><key>b</key><target path='/x'/></lease>"
DISK = "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>"
BASE = f"""<domain type='qemu'><name>a</name><maxMemory unit='MiB' slots='2'>128</maxMemory>
<memory unit='MiB'>64</memory>
<devices>{DISK}<controller type='scsi' index='5'/>{LEASE}<filesystem type='mount'><source dir='/a'/><target dir='x'/>
</filesystem>{CARD}{CARD}{OTHER}{SERIAL}{CHANNEL}<watchdog model='i6300esb'/>{SHMEM}</devices></domain>"""


def device(xml: str) -> tuple[Domain, list[Element], Element]:
    """A configuration, its devices of a kind, and another device of that kind."""
    inside = Node("devices", {}, 1)
    inside.children.append(parse_node(xml, "(device_definition)"))
    config, made = Domain.from_xml(BASE), Devices.parse(inside)
    name, (found, *_) = next(
        (name, value) for name, value in made.__dict__.items() if isinstance(value, list) and value
    )
    return config, getattr(config.devices, name), found


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (DISK, "target vda already exists"),
        ("<controller type='scsi' index='5' model='lsilogic'/>", "controller index='5' already exists"),
        ("<filesystem type='mount'><source dir='/b'/><target dir='x'/></filesystem>", "Target already exists"),
        (CHANNEL, "chardev already exists"),
        (SERIAL, "chardev already exists"),
        (SHMEM, "device is already in the domain configuration"),
        (LEASE, "Lease b in lockspace a already exists"),
        ("<watchdog model='ib700'/>", "domain already has a watchdog"),
        (
            "<memory model='dimm'><target><size unit='MiB'>65</size><node>0</node></target></memory>",
            "Attaching memory device with size '66560' would exceed domain's maxMemory config size '131072'",
        ),
    ],
)
def test_what_is_there_already(xml: str, words: str) -> None:
    config, among, found = device(xml)
    with pytest.raises(VirtError, match=re.escape(words)):
        twins.check_new(config, among, found)


@pytest.mark.parametrize(
    "xml", ["<serial type='pty'/>", CARD, CHANNEL.replace("org.x", "org.y"), LEASE.replace(">a<", ">c<")]
)
def test_what_may_come_once_more(xml: str) -> None:
    twins.check_new(*device(xml))


def test_only_what_is_meant_leaves() -> None:
    for xml, words in (
        (CARD, "multiple devices matching MAC address 52:54:00:00:00:01 found"),
        ("<interface type='user'/>", "multiple matching devices found"),
    ):
        _, among, found = device(xml)
        with pytest.raises(VirtError, match=words):
            twins.same(among, found)
    _, among, found = device(OTHER)
    assert twins.same(among, found) is among[2]
    _, among, found = device(SERIAL)
    assert twins.same(among, found) is among[0]
    _, among, found = device("<serial type='pty'/>")
    assert twins.same(among, found) is None


@pytest.mark.parametrize(
    ("what", "xml", "words"),
    [
        ("attach", "<graphics type='vnc'/>", "persistent attach of device 'graphics' is not supported"),
        ("detach", "<video/>", "persistent detach of device 'video' is not supported"),
        ("update", SERIAL, "persistent update of device 'chr' is not supported"),
        ("update", "<filesystem><source dir='/b'/><target dir='x'/></filesystem>", "persistent update of device 'fs'"),
        ("attach", "<console type='pty'><target type='serial'/></console>", "attaching serial console is not"),
        ("detach", "<console type='pty'><target type='serial'/></console>", "detaching serial console is not"),
    ],
)
def test_what_a_definition_is_for(what: str, xml: str, words: str) -> None:
    with pytest.raises(VirtError, match=words):
        twins.check_kept(device(xml)[2], what)


@pytest.mark.parametrize(
    ("xml", "kept", "words"),
    [
        (DISK, True, "no target device vda"),
        (DISK, False, "disk vda not found"),
        ("<controller type='scsi' index='5'/>", True, "device not present in domain configuration"),
        (SERIAL, True, "device not present in domain configuration"),
        ("<interface type='user'/>", False, r"address '\(<null>\)' matching MAC address '\(<null>\)' and alias"),
        ("<redirdev bus='usb' type='spicevmc'/>", True, "no matching redirdev was not found"),
    ],
)
def test_what_is_not_there(xml: str, kept: bool, words: str) -> None:
    assert re.search(words, str(twins.missing(device(xml)[2], kept=kept)))
