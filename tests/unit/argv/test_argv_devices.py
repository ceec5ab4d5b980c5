"""Devices as arguments: what each kind of backend, source and address becomes."""

import json
from typing import Any

import pytest
from support.argvcaps import command, values
from support.argvguest import guest

from splitvirt.api.errors import VirtError
from virtqemud.argv.context import Tap


def devices(document: str, **more: Any) -> dict[str, dict[str, Any]]:
    """`-device` by id, in JSON."""
    found = [json.loads(v) for v in values(command(document, **more), "-device")]
    return {d.get("id", d["driver"]): d for d in found}


def nodes(document: str, **more: Any) -> dict[str, dict[str, Any]]:
    """`-blockdev` by node name."""
    return {n["node-name"]: n for n in map(json.loads, values(command(document, **more), "-blockdev"))}


NBD = {"type": "inet", "host": "h", "port": "10809"}
DISK = (
    "<disk type='{type}' device='disk'>"
    "<driver name='qemu' type='{kind}'/>{source}<target dev='vda' bus='virtio'/></disk>"
)


def one(source: str, kind: str = "raw", type: str = "network") -> str:
    return guest(DISK.format(source=source, kind=kind, type=type))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("protocol='nbd' name='e'", {"driver": "nbd", "export": "e", "server": NBD}),
        ("protocol='ssh' name='/i'", {"driver": "ssh", "path": "/i", "server": {"host": "h", "port": "22"}}),
        ("protocol='http' name='i'", {"driver": "http", "url": "http://h:80/i"}),
        ("protocol='https' name='i' query='a=b'", {"driver": "https", "url": "https://h:443/i?a=b"}),
        ("protocol='iscsi' name='iqn.x:y/3'", {"driver": "iscsi", "portal": "h:3260", "target": "iqn.x:y", "lun": 3}),
        ("protocol='rbd' name='p/i'", {"driver": "rbd", "pool": "p", "image": "i"}),
        ("protocol='gluster' name='v/d/i'", {"driver": "gluster", "volume": "v", "path": "d/i"}),
        ("protocol='nfs' name='/i'", {"driver": "nfs", "path": "/i", "server": {"host": "h", "type": "inet"}}),
    ],
)  # fmt: skip
def test_network_disks(source: str, expected: dict[str, Any]) -> None:
    node = nodes(one(f"<source {source}><host name='h'/></source>"))["libvirt-1-storage"]
    assert expected.items() <= node.items()


def test_chain_is_lowest_first_and_numbered_from_the_top() -> None:
    chain = (
        "<source file='/top'/><backingStore type='file'><format type='raw'/><source file='/low'/><backingStore/>"
        "</backingStore>"
    )
    made = nodes(one(chain, "qcow2", "file"))
    assert list(made) == ["libvirt-2-storage", "libvirt-2-format", "libvirt-1-storage", "libvirt-1-format"]
    assert made["libvirt-1-format"]["backing"] == "libvirt-2-format"
    assert "backing" not in made["libvirt-2-format"]  # raw has none to deny
    alone = nodes(one("<source file='/top'/><backingStore/>", "qcow2", "file"))
    assert alone["libvirt-1-format"]["backing"] is None


def test_secret_is_encrypted_with_the_master_key() -> None:
    asked = []

    def secret(kind: str, uuid: str | None, usage: str | None) -> bytes:
        asked.append((kind, uuid, usage))
        return b"sesame"

    source = (
        "<source protocol='rbd' name='p/i'><host name='h'/><auth username='u'>"
        "<secret type='ceph' usage='k'/></auth></source>"
    )
    made = command(one(source), secret=secret, master_key=bytes(32))
    found = [json.loads(v) for v in values(made, "-object") if '"qom-type":"secret"' in v and "keyid" in v]
    assert [(o["id"], o["keyid"], o["format"]) for o in found] == [
        ("libvirt-1-storage-auth-secret0", "masterKey0", "base64")
    ]
    assert asked == [("ceph", None, "k")]
    assert "sesame" not in made.text()


def test_missing_secret_is_refused_in_libvirt_words() -> None:
    source = (
        "<source protocol='rbd' name='p/i'><host name='h'/><auth username='u'>"
        "<secret type='ceph' usage='k'/></auth></source>"
    )
    with pytest.raises(VirtError, match="Secret not found: no secret with matching usage 'k'") as caught:
        command(one(source))
    assert caught.value.code == 66


def test_tap_by_descriptors() -> None:
    document = guest(
        "<interface type='bridge'><source bridge='b'/><model type='virtio'/><driver queues='2'/></interface>"
    )
    made = command(document, native=False, taps={"net0": Tap([7, 8], [9, 10])})
    (netdev,) = map(json.loads, values(made, "-netdev"))
    assert netdev == {
        "type": "tap", "fds": "7:8", "vhost": True, "vhostfds": "9:10", "id": "hostnet0",
    }  # fmt: skip
    assert made.fds == [7, 8, 9, 10]
    assert devices(document)["net0"]["mq"] is True
    assert devices(document)["net0"]["vectors"] == 6


def test_user_network_through_passt() -> None:
    document = guest("<interface type='user'><model type='virtio'/></interface>")
    made = command(document, native=False, passt_sockets={"net0": "/p"})
    (netdev,) = map(json.loads, values(made, "-netdev"))
    assert netdev == {"type": "stream", "addr": {"type": "unix", "path": "/p"}, "server": False, "id": "hostnet0"}


def test_boot_order_goes_to_the_first_of_a_kind() -> None:
    disk = (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        "<source file='/{0}'/><target dev='{0}' bus='virtio'/></disk>"
    )
    document = guest(
        disk.format("vda") + disk.format("vdb") + "<interface type='user'><model type='virtio'/></interface>",
        os="<type arch='x86_64' machine='pc'>hvm</type><boot dev='network'/><boot dev='hd'/>",
    )
    made = devices(document)
    assert (made["net0"].get("bootindex"), made["virtio-disk0"].get("bootindex")) == (1, 2)
    assert "bootindex" not in made["virtio-disk1"]


def test_channel_without_path_gets_one_in_its_own_folder() -> None:
    made = command(guest("<channel type='unix'><target type='virtio' name='org.x'/></channel>"), native=False, id=7)
    path = "/lib/channel/target/domain-7-t/org.x"
    assert f"socket,id=charchannel0,path={path},server=on,wait=off" in values(made, "-chardev")
    assert made.needs.folders == ["/lib/channel/target/domain-7-t"]
    assert path in made.needs.sockets


def test_override_changes_properties() -> None:
    from support.argvguests import NAMESPACED

    made = command(NAMESPACED)
    (rng,) = (json.loads(v) for v in values(made, "-device") if "virtio-rng" in v)
    assert rng["max-bytes"] == 1024
    assert made.env["X"] == "y z"
    assert made.argv[-2:] == ["-global", "isa-debugcon.iobase=0x402"]


def test_transient_disk_is_refused_at_a_start_not_written_to() -> None:
    document = guest(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/x'/>"
        "<target dev='vda' bus='virtio'/><transient/></disk>"
    )
    with pytest.raises(VirtError, match="transient disk not supported"):
        command(document, native=False)


def test_function_of_a_card_of_the_host() -> None:
    document = guest(
        "<interface type='hostdev' managed='yes'><mac address='52:54:00:01:02:03'/><source>"
        "<address type='pci' domain='0' bus='0x65' slot='1' function='2'/></source>"
        "<teaming type='transient' persistent='ua-n'/></interface>"
    )
    made = devices(document)["hostdev0"]
    assert (made["driver"], made["host"], made["failover_pair_id"]) == ("vfio-pci", "0000:65:01.2", "ua-n")
