"""What a network's document cannot make its dnsmasq say, nor its files be."""

import shutil
import subprocess
from pathlib import Path

import pytest

from splitvirt.api.errors import ConfigUnsupported, VirtError, XMLDetail
from splitvirt.xml.networkport import NetworkPort
from virtnetworkd import dnsmasq
from virtnetworkd.prepare import read
from virtnetworkd.status import StatusFolder

FILES = dnsmasq.Files("n", Path("/a"), Path("/b"))


def network(name: str = "n", inside: str = "", bridge: str = "virbr9") -> str:
    """A network with one address."""
    return (
        f"<network><name>{name}</name><bridge name='{bridge}'/>{inside}"
        "<ip address='10.1.0.1' netmask='255.255.255.0'/></network>"
    )


def test_dnsmasq_takes_a_long_line_for_several(tmp_path: Path) -> None:
    """The fact behind LINE_MAX: what follows byte 1024 of a line is read as an option of its own."""
    program = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("needs dnsmasq")
    for length, fine in ((dnsmasq.LINE_MAX, True), (1024 + len("no-such-option"), False)):
        line = "txt-record=a," + "x" * (1024 - len("txt-record=a,"))
        (tmp_path / "conf").write_text(f"port=0\n{(line + 'no-such-option')[:length]}\n")
        done = subprocess.run([program, "--test", f"--conf-file={tmp_path}/conf"], capture_output=True, check=False)
        assert (done.returncode == 0) == fine, done.stderr


@pytest.mark.parametrize(
    "inside",
    [
        "<dns><txt name='a' value='{}'/></dns>",
        "<domain name='{}'/>",
        "<dns><srv service='s' protocol='tcp' domain='d' target='{}' port='1'/></dns>",
        "<dns><forwarder domain='{}' addr='10.9.9.9'/></dns>",
    ],
)
def test_a_long_value_cannot_smuggle_an_option_in(inside: str) -> None:
    net = read(network(inside=inside.format("x" * 1100 + "dhcp-script=/tmp/evil")))
    with pytest.raises(ConfigUnsupported, match="is longer than"):
        dnsmasq.configuration(net, FILES)


@pytest.mark.parametrize("bridge", ["a,eth0", "virbr*", "a#b", "a&quot;b"])
def test_a_bridge_cannot_name_other_devices(bridge: str) -> None:
    """dnsmasq's `interface=` takes lists and patterns."""
    with pytest.raises(ConfigUnsupported, match="cannot serve a bridge"):
        dnsmasq.configuration(read(network(bridge=bridge)), FILES)


@pytest.mark.parametrize("name", ["a/b", "a&#10;b", "a&#13;b", "x" * 241, "&quot;" * 60])
def test_names_that_no_file_should_have(name: str) -> None:
    with pytest.raises(XMLDetail, match="name"):
        read(network(name=name))


@pytest.mark.parametrize("name", [".", ".."])
def test_records_of_ports_stay_below_their_folder(name: str, tmp_path: Path) -> None:
    """libvirt takes these names, and has a folder named after the network for its ports."""
    folder = StatusFolder(tmp_path / "run/network")
    folder.open()
    port = NetworkPort.from_xml(
        "<networkport><uuid>5f0a1b3c-0000-4000-8000-000000000001</uuid><owner><name>g</name>"
        "<uuid>5f0a1b3c-0000-4000-8000-000000000002</uuid></owner><mac address='52:54:00:00:00:01'/></networkport>"
    )
    folder.save_port(name, port)
    assert {path.name for path in tmp_path.rglob("ports")} == {"ports"}
    assert not (tmp_path / "run/network/ports").exists()
    assert not (tmp_path / "run/ports").exists()
    assert len(list(folder.ports(name))) == 1
    folder.forget(name)
    assert list((tmp_path / "run/network").iterdir()) == []


@pytest.mark.parametrize("name", [" ", "%s", "{name}", "-f", "x" * 240, ".hidden"])
def test_odd_names_that_are_only_names(name: str) -> None:
    net = read(network(name=name))
    assert all(len(path.name) <= 255 and path.parent in (Path("/a"), Path("/b")) for path in FILES.all())
    files = dnsmasq.Files(name, Path("/a"), Path("/b"))
    assert all(len(path.name.encode()) <= 255 and path.parent in (Path("/a"), Path("/b")) for path in files.all())
    try:
        text = dnsmasq.configuration(net, files)
    except VirtError as error:
        pytest.fail(str(error))
    assert f"pid-file={files.pid}\n" in text
