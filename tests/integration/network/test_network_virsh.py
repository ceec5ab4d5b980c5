"""Unmodified virsh: every net-* command against the daemon."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.netdaemon import Daemon, daemon
from support.nethost import Space, bridges
from support.watcher import watching

from splitvirt.api import constants as c

NET = """<network><name>n1</name><uuid>81ff0d90-c91e-6742-64da-4a736edb9a9b</uuid><forward mode='nat'/>
<bridge name='br-v' stp='off'/><ip address='192.168.150.1' prefix='24'>
<dhcp><range start='192.168.150.10' end='192.168.150.99'/></dhcp></ip></network>"""
PORT_ID = "5d744f21-ba4a-4d6e-bdb2-30a35ff3207d"
PORT = (
    f"<networkport><uuid>{PORT_ID}</uuid><owner><name>o</name><uuid>06578fc1-c686-46fa-bc2c-83893b466a6f</uuid></owner>"
    "<mac address='52:54:00:aa:bb:01'/></networkport>"
)
Virsh = Callable[..., str]


@pytest.fixture(name="served")
def _served(box: Space, root: Path) -> Iterator[Daemon]:
    if shutil.which("virsh") is None:
        pytest.skip("virsh is not installed")
    with daemon(root) as made:
        yield made


@pytest.fixture(name="virsh")
def _virsh(served: Daemon, root: Path) -> Virsh:
    (root / "net.xml").write_text(NET)
    (root / "port.xml").write_text(PORT)

    def run(*args: str, wrong: bool = False) -> str:
        done = subprocess.run(
            ["virsh", "-q", "-c", served.uri, *args], capture_output=True, text=True, timeout=60, cwd=root, check=False
        )
        assert (done.returncode != 0) == wrong, f"{args}: {done.stdout}{done.stderr}{served.log.read_text()}"
        return (done.stderr if wrong else done.stdout).strip()

    return run


def test_the_life_of_a_network(virsh: Virsh, root: Path) -> None:
    virsh("net-define", "net.xml")
    assert virsh("net-list", "--all").split() == ["n1", "inactive", "no", "yes"]
    assert virsh("net-list") == ""
    virsh("net-start", "n1")
    assert bridges() == ["br-v"]
    assert virsh("net-list").split() == ["n1", "active", "no", "yes"]
    virsh("net-autostart", "n1")
    assert virsh("net-list", "--all", "--autostart", "--name") == "n1"
    assert virsh("net-list", "--all", "--no-autostart", "--name") == ""
    assert virsh("net-list", "--persistent", "--uuid") == "81ff0d90-c91e-6742-64da-4a736edb9a9b"
    assert virsh("net-uuid", "n1") == "81ff0d90-c91e-6742-64da-4a736edb9a9b"
    assert virsh("net-name", "81ff0d90-c91e-6742-64da-4a736edb9a9b") == "n1"
    info = dict(line.split() for line in virsh("net-info", "n1").splitlines())
    assert info == {"Name:": "n1", "UUID:": "81ff0d90-c91e-6742-64da-4a736edb9a9b", "Active:": "yes",
                    "Persistent:": "yes", "Autostart:": "yes", "Bridge:": "br-v"}  # fmt: skip
    assert "<bridge name='br-v' stp='off' delay='0'/>" in virsh("net-dumpxml", "n1")
    assert "<port start='1024' end='65535'/>" in virsh("net-dumpxml", "n1")
    assert "<port" not in virsh("net-dumpxml", "n1", "--inactive")
    assert "error: Failed to start network n1" in virsh("net-start", "n1", wrong=True)
    virsh("net-autostart", "--disable", "n1")
    virsh("net-undefine", "n1")
    assert virsh("net-list", "--transient", "--name") == "n1"
    virsh("net-destroy", "n1")
    assert bridges() == []
    assert virsh("net-list", "--all") == ""
    assert "Network not found: no network with matching name 'n1'" in virsh("net-info", "n1", wrong=True)


def test_transient_networks_leases_and_ports(virsh: Virsh) -> None:
    virsh("net-create", "net.xml")
    assert virsh("net-dhcp-leases", "n1") == ""
    assert virsh("net-dhcp-leases", "n1", "--mac", "zz", wrong=True).endswith("error: invalid MAC address: zz")
    virsh("net-port-create", "n1", "port.xml")
    assert virsh("net-port-list", "n1", "--uuid") == PORT_ID
    assert "<plug type='network' bridge='br-v'/>" in virsh("net-port-dumpxml", "n1", PORT_ID)
    assert "connections='1'" in virsh("net-dumpxml", "n1")
    assert f"error: network port Network port with UUID {PORT_ID} already exists exists already" in virsh(
        "net-port-create", "n1", "port.xml", wrong=True
    )
    virsh("net-port-delete", "n1", PORT_ID)
    assert virsh("net-port-list", "n1") == ""
    virsh("net-destroy", "n1")
    assert virsh("net-list", "--all") == ""


def test_updates_live_and_kept(virsh: Virsh) -> None:
    virsh("net-define", "net.xml")
    virsh("net-start", "n1")
    host = "<host mac='52:54:00:00:00:01' name='bob' ip='192.168.150.45'/>"
    virsh("net-update", "n1", "add", "ip-dhcp-host", host, "--live", "--config")
    assert "name='bob'" in virsh("net-dumpxml", "n1")
    assert "name='bob'" in virsh("net-dumpxml", "--inactive", "n1")
    virsh("net-update", "n1", "modify", "ip-dhcp-host", host.replace("45", "46"), "--live")
    assert "192.168.150.46" in virsh("net-dumpxml", "n1")
    assert "192.168.150.45" in virsh("net-dumpxml", "--inactive", "n1")
    virsh("net-update", "n1", "delete", "ip-dhcp-host", host, "--config")
    assert "bob" not in virsh("net-dumpxml", "--inactive", "n1")
    virsh("net-update", "n1", "add-first", "ip-dhcp-range", "<range start='192.168.150.101' end='192.168.150.103'/>")
    virsh("net-update", "n1", "add", "dns-host", "<host ip='192.168.150.9'><hostname>p</hostname></host>")
    virsh("net-update", "n1", "add", "dns-txt", "<txt name='a' value='b'/>")
    virsh("net-update", "n1", "add", "dns-srv", "<srv service='s' protocol='tcp'/>")
    virsh("net-update", "n1", "add", "portgroup", "<portgroup name='g'/>")
    live = virsh("net-dumpxml", "n1")
    for part in ("192.168.150.101", "<hostname>p", "<txt name='a'", "<srv service='s'", "<portgroup name='g'"):
        assert part in live
    wrong = virsh("net-update", "n1", "add", "bridge", "<bridge name='x'/>", wrong=True)
    assert "can't update 'bridge' section of network 'n1'" in wrong


def test_events_reach_a_waiting_virsh(virsh: Virsh, served: Daemon, root: Path) -> None:
    assert virsh("net-event", "--list") == "lifecycle"
    words = ["net-event", "--event", "lifecycle", "--loop"]
    with watching(served.uri, words, root, "<network><name>{}</name></network>".format, "net-") as watcher:
        virsh("net-define", "net.xml")
        virsh("net-start", "n1")
        virsh("net-destroy", "n1")
        virsh("net-undefine", "n1")
        said = watcher.heard()
    kinds = [line.rsplit(" ", 1)[1] for line in said.splitlines() if line.startswith("event 'lifecycle'")]
    assert kinds == ["Defined", "Started", "Stopped", "Undefined"]


def test_refusals_have_libvirts_words(virsh: Virsh, root: Path) -> None:
    (root / "bad.xml").write_text("<network><name>x</name><forward mode='nat'/></network>")
    text = virsh("net-define", "bad.xml", wrong=True)
    assert "XML error: nat forwarding requested, but no IP address provided for network 'x'" in text
    (root / "bad.xml").write_text("<network><name>x</network>")
    wrong = "(network_definition):1: Opening and ending tag mismatch: name line 1 and network"
    assert virsh("net-define", "bad.xml", wrong=True).endswith(f"{wrong}\n<network><name>x</network>\n{'-' * 26}^")


def test_unknown_parts_are_refused_only_on_demand(virsh: Virsh, root: Path) -> None:
    (root / "odd.xml").write_text(NET.replace("<bridge", "<colour name='red'/><bridge"))
    text = virsh("net-define", "--validate", "odd.xml", wrong=True)
    assert "network/colour (line 2) is not part of the network format" in text
    virsh("net-define", "odd.xml")
    virsh("net-define", "--validate", "net.xml")
    virsh("net-start", "n1")
    virsh("net-port-create", "n1", "port.xml", "--validate")
    virsh("net-destroy", "n1")
    virsh("net-undefine", "n1")


def test_an_editor_changes_what_is_kept(virsh: Virsh, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    virsh("net-define", "net.xml")
    monkeypatch.setenv("EDITOR", "sed -i s/192.168.150.99/192.168.150.88/")
    virsh("net-edit", "n1")
    assert "end='192.168.150.88'" in virsh("net-dumpxml", "n1")
    assert "end='192.168.150.88'" in (root / "etc/libvirt/qemu/networks/n1.xml").read_text()


ASKING = """
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
connection, said = libvirt.open(sys.argv[1]), []

def ask(call, *args):
    try:
        said.append(call(*args))
    except libvirt.libvirtError as error:
        said.append([error.get_error_code(), error.get_error_domain(), error.get_error_message()])

net = connection.networkCreateXML(open("net.xml").read())
port = net.portCreateXML(open("port.xml").read(), 0)
ask(port.parameters, 0)
ask(net.XMLDesc, 4)
ask(net.update, 3, 0, -1, "<bad", 0)
ask(connection.networkDefineXML, "<domain/>")
for flags in (0, 1, 2, 3, 8, 64):
    ask(lambda: [found.name() for found in connection.listAllNetworks(flags)])
net.destroy()
ask(net.XMLDesc, 0)
ask(port.XMLDesc, 0)
print(json.dumps(said))
"""


def test_libvirts_bindings_for_python(served: Daemon, virsh: Virsh, root: Path) -> None:
    virsh("net-list")
    asked = ["/usr/bin/python3", "-c", ASKING, served.uri]
    if subprocess.run([*asked[:2], "import libvirt"], capture_output=True, check=False).returncode:
        pytest.skip("libvirt's bindings for Debian's Python are not installed")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, cwd=root, check=True)
    unknown = "in function networkConnectListAllNetworks"
    gone = "Network not found: no network with matching uuid '81ff0d90-c91e-6742-64da-4a736edb9a9b' (n1)"
    assert json.loads(done.stdout) == [
        {},
        [c.VIR_ERR_INVALID_ARG, c.VIR_FROM_NETWORK, "unsupported flags (0x4) in function networkGetXMLDesc"],
        [
            c.VIR_ERR_XML_DETAIL,
            c.VIR_FROM_NETWORK,
            "network_update_xml:1: Couldn't find end of Start Tag bad line 1\n<bad\n----^",
        ],
        [
            c.VIR_ERR_XML_ERROR,
            c.VIR_FROM_XML,
            "XML error: expecting root element of 'network', not 'domain'",
        ],
        ["n1"],
        [],
        ["n1"],
        ["n1"],
        ["n1"],
        [c.VIR_ERR_INVALID_ARG, c.VIR_FROM_NETWORK, f"unsupported flags (0x40) {unknown}"],
        [c.VIR_ERR_NO_NETWORK, c.VIR_FROM_NETWORK, gone],
        [c.VIR_ERR_NO_NETWORK, c.VIR_FROM_NETWORK, gone],
    ]
