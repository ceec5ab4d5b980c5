"""The network daemon's small parts: addresses, lease files, ports' places, firewall text, shaping text."""

import contextlib
import json
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitvirt.api.errors import ConfigUnsupported, InternalError, OperationUnsupported, VirtError, XMLError
from splitvirt.xml.element import Element
from splitvirt.xml.netaddress import at, mask_bits, natural_prefix, netmask, parse_address, parse_mac
from splitvirt.xml.network import Network
from splitvirt.xml.networkport import DirectPlug, NetworkPlug, NetworkPort
from virtnetworkd import dnsmasq, firewall, guard, leasefile, shaping
from virtnetworkd.leasefile import mac_of_duid
from virtnetworkd.port import HeldPort
from virtnetworkd.prepare import read
from virtnetworkd.prepare.place import place
from virtnetworkd.prepare.port import check_reclaim, place_port, read_port

ID = "5d744f21-ba4a-4d6e-bdb2-30a35ff3207d"
OWNER = "<owner><name>o</name><uuid>06578fc1-c686-46fa-bc2c-83893b466a6f</uuid></owner>"
MAC = "<mac address='52:54:00:aa:bb:0c'/>"


def port(inner: str = "") -> NetworkPort:
    return read_port(f"<networkport><uuid>{ID}</uuid>{OWNER}{MAC}{inner}</networkport>")


def network(inner: str) -> Network:
    net = read(f"<network><name>n</name>{inner}</network>")
    place(net, ())
    return net


@pytest.mark.parametrize(
    ("text", "shown", "family"),
    [("10.1", "10.0.0.1", 4), ("0x7f.1", "127.0.0.1", 4), ("FE80:0::1", "fe80::1", 6), ("::ffff:1.2.3.4",) * 2 + (6,)],
)
def test_addresses_are_read_as_c_does(text: str, shown: str, family: int) -> None:
    found = parse_address(text)
    assert found is not None
    assert (found.text, found.family) == (shown, family)


@pytest.mark.parametrize("text", ["", None, "x", "1.2.3.4.5", "localhost", "1.2.3.4/24", "a\0b", "é"])
def test_what_is_no_address(text: str | None) -> None:
    assert parse_address(text) is None


@given(st.integers(0, 32))
def test_netmasks_and_prefixes(prefix: int) -> None:
    mask = parse_address(netmask(prefix))
    assert mask is not None
    assert mask_bits(mask) == prefix


@given(st.sampled_from([(4, 32), (6, 128)]), st.data())
def test_blocks(kind: tuple[int, int], data: st.DataObject) -> None:
    family, bits = kind
    address = at(family, data.draw(st.integers(0, (1 << bits) - 1)))
    prefix = data.draw(st.integers(0, bits))
    first, last = address.network(prefix), address.broadcast(prefix)
    assert first.value <= address.value <= last.value
    assert last.value - first.value == (1 << (bits - prefix)) - 1
    assert first.within(last, prefix)
    assert parse_address(address.text) == address


def test_natural_prefixes() -> None:
    found = [natural_prefix(a) for text in ("10.0.0.1", "172.16.0.1", "192.168.0.1", "224.0.0.1", "fe80::1")
             if (a := parse_address(text))]  # fmt: skip
    assert found == [8, 16, 24, -1, 64]


def test_macs() -> None:
    assert parse_mac("52:54:0:A:b:c") == "52:54:00:0a:0b:0c"
    assert [parse_mac(t) for t in ("", "52-54-00-00-00-01", "52:54:00:00:00", "52:54:00:00:00:001", None)] == [None] * 5


LEASES = """1795500000 52:54:00:aa:bb:01 192.168.1.10 alpha 01:52:54:00:aa:bb:01
0 52:54:00:aa:bb:02 192.168.1.11 * *
garbage
duid 00:01:00:01:2c:d9:00:00:52:54:00:00:00:01
1795500001 T11189196 fd00::5 six 00:03:00:01:52:54:00:aa:bb:03
1795500002 11189197 fd00::6 * 00:04:7e:7d:f0:7d:a8:bc:c5:d2:13:32:11:ed:16:ea:84:63
"""


def test_lease_files(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    assert leasefile.read(path) == []
    path.write_text(LEASES)
    first, second, third, fourth = leasefile.read(path)
    assert first == (1795500000, 4, "52:54:00:aa:bb:01", None, "192.168.1.10", "alpha", "01:52:54:00:aa:bb:01")
    assert (second.expires, second.hostname, second.client_id) == (0, None, None)
    assert (third.mac, third.iaid, third.family) == ("52:54:00:aa:bb:03", "11189196", 6)
    assert fourth.mac == ""
    assert mac_of_duid("00:01:00:01:2c:d9:00:00:52:54:00:00:00:01") == "52:54:00:00:00:01"


@given(st.text())
def test_any_lease_file_is_read(text: str) -> None:
    for line in text.splitlines():
        mac_of_duid(line)


# ports


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (f"<networkport>{OWNER}{MAC}</networkport>", "internal error: network port has no uuid"),
        (f"<networkport><uuid>{ID}</uuid>{MAC}</networkport>", "internal error: network port has no owner name"),
        (f"<networkport><uuid>{ID}</uuid>{OWNER}</networkport>", "internal error: network port has no mac"),
        (f"<networkport><uuid>z</uuid>{OWNER}{MAC}</networkport>", "internal error: Unable to parse UUID 'z'"),
        (f"<networkport><uuid>{ID}</uuid>{OWNER}{MAC}<plug type='network'/></networkport>",
         "XML error: Missing network port bridge name"),
        (f"<networkport><uuid>{ID}</uuid>{OWNER}{MAC}<plug type='direct' mode='vepa'/></networkport>",
         "XML error: Missing network port link device name"),
    ],
)  # fmt: skip
def test_ports_that_are_none(document: str, message: str) -> None:
    with pytest.raises(VirtError) as refused:
        read_port(document)
    assert str(refused.value) == message


def test_a_port_is_printed_as_it_was_read() -> None:
    inner = (
        "<group>g</group><virtualport type='openvswitch'><parameters profileid='p'/></virtualport>"
        "<bandwidth><inbound average='10' peak='20' floor='5' burst='30'/></bandwidth><vlan trunk='yes'><tag id='5'/>"
        "<tag id='6'/></vlan><port isolated='yes'/><rxfilters trustGuest='yes'/>"
        "<plug type='hostdev-pci' managed='yes'><driver name='vfio'/>"
        "<address domain='0x0000' bus='0x03' slot='0x00' function='0x1'/></plug>"
    )
    text = port(inner).to_xml()
    assert read_port(text).to_xml() == text
    assert text.index("<group>") < text.index("<mac") < text.index("<virtualport") < text.index("<bandwidth")
    assert text.index("<vlan") < text.index("<port ") < text.index("<rxfilters") < text.index("<plug")


def test_ports_take_what_their_group_and_network_say() -> None:
    net = network(
        "<bridge name='b'/><ip address='10.1.0.1' prefix='24'/><port isolated='yes'/>"
        "<portgroup name='g' default='yes' trustGuestRxFilters='yes'>"
        "<bandwidth><inbound average='10'/></bandwidth></portgroup>"
    )
    made = port()
    place_port(net, made, [])
    assert isinstance(made.plug, NetworkPlug)
    assert (made.plug.bridge, made.isolated, made.trust_guest_rx_filters) == ("b", True, True)
    assert made.bandwidth is not None
    assert made.bandwidth.inbound is not None
    assert made.bandwidth.inbound.average == 10
    with pytest.raises(ConfigUnsupported, match="'openvswitch'> not supported for network 'n' which uses IP"):
        place_port(net, port("<virtualport type='openvswitch'/>"), [])


def test_devices_of_a_pool_are_spread_and_run_out() -> None:
    shared = network("<forward mode='bridge'><interface dev='e0'/><interface dev='e1'/></forward>")
    alone = network("<forward mode='passthrough'><interface dev='e0'/><interface dev='e1'/></forward>")
    for net, most in ((shared, 5), (alone, 2)):
        ports: list[NetworkPort] = []
        for _ in range(most):
            made = port()
            place_port(net, made, ports)
            ports.append(made)
        used = [p.plug.dev for p in ports if isinstance(p.plug, DirectPlug)]
        assert used == ["e0", "e1", "e0", "e1", "e0"][:most]
    with pytest.raises(InternalError, match="requires exclusive access to interfaces, but none are available"):
        place_port(alone, port(), ports)
    with pytest.raises(InternalError, match="no forward dev and no interface pool"):
        place_port(network("<forward mode='vepa'/>"), port(), [])


def test_reclaimed_ports_say_where_they_were() -> None:
    plugged = port("<plug type='network' bridge='b'/>")
    check_reclaim(plugged, True)
    check_reclaim(port(), False)
    for made, reclaim in ((plugged, False), (port(), True)):
        with pytest.raises(VirtError, match="Port reclaim"):
            check_reclaim(made, reclaim)


def test_switches_that_contradict_each_other() -> None:
    net = network(
        "<forward mode='bridge'/><bridge name='b'/><virtualport type='openvswitch'><parameters profileid='x'/>"
        "</virtualport>"
    )
    with pytest.raises(XMLError, match="mismatched types"):
        place_port(net, port("<virtualport type='midonet'/>"), [])
    with pytest.raises(XMLError, match="mismatched profileids"):
        place_port(net, port("<virtualport><parameters profileid='y'/></virtualport>"), [])
    made = port("<virtualport><parameters interfaceid='81ff0d90-c91e-6742-64da-4a736edb9a9b'/></virtualport>")
    place_port(net, made, [])
    assert made.virtualport is not None
    assert made.virtualport.type == "openvswitch"


# bandwidth and firewall


def test_floors_are_promised_once() -> None:
    net = network(
        "<bridge name='b'/><bandwidth><inbound average='1000' peak='5000'/></bandwidth><ip address='10.1.0.1'/>"
    )
    shaping.check_floor(net, "m", "nat", 3000, 2000)
    with pytest.raises(VirtError, match="new combined inbound floor=5001 would overcommit peak=5000 on network 'n'"):
        shaping.check_floor(net, "m", "nat", 3001, 2000)
    with pytest.raises(OperationUnsupported, match="has no inbound QoS set"):
        shaping.check_floor(network("<bridge name='b'/>"), "m", "none", 1, 0)
    with pytest.raises(OperationUnsupported, match="only supported for interface type 'network'"):
        shaping.check_floor(net, "m", "bridge", 1, 0)


def test_chain_names_are_letters_and_unique() -> None:
    names = {firewall.chain(bridge, "from") for bridge in ("a b", "a_20b", "a-b", "virbr0", "x:1")}
    assert len(names) == 5
    assert all(name.isascii() and " " not in name for name in names)


def test_nat_ranges_are_in_the_rules() -> None:
    net = network(
        "<forward mode='nat' dev='e0'><nat><address start='10.20.30.40' end='10.20.30.44'/>"
        "<port start='500' end='1000'/></nat></forward><bridge name='b'/><ip address='10.1.0.1' prefix='24'/>"
    )
    text = "\n".join(firewall.rules(net))
    assert 'oifname "e0" ip saddr 10.1.0.0/24 ip daddr != 10.1.0.0/24 meta l4proto tcp snat ip to' in text
    assert "10.20.30.40-10.20.30.44:500-1000" in text
    assert "masquerade" not in text


def test_everybody_elses_addresses_are_guarded() -> None:
    net = network(
        "<bridge name='b'/><ip address='10.1.0.1' prefix='24'><dhcp><range start='10.1.0.2' end='10.1.0.9'/>"
        "<host mac='52:54:00:00:00:07' ip='10.1.0.7'/></dhcp></ip>"
    )
    lease = leasefile.Entry(0, 4, "52:54:00:00:00:05", None, "10.1.0.5", None, None)
    mine = guard.rules(net, guard.Guarded("vnet0", "52:54:00:00:00:05", None), [lease])
    other = guard.rules(net, guard.Guarded("vnet1", "52:54:00:00:00:06", None), [lease])
    assert "ip saddr { 10.1.0.5 } accept" in mine
    assert "ip saddr 10.1.0.0/24" not in mine
    assert "ip saddr { 10.1.0.1, 10.1.0.5, 10.1.0.7 } drop" in other
    assert "ip saddr 10.1.0.0/24 accept" in other


async def test_parameters_of_ports() -> None:
    made = port("<bandwidth><inbound average='10' burst='30'/></bandwidth>")
    held = HeldPort(None, made)  # type: ignore[arg-type]
    found = {p.name: p.value for p in await held.params()}
    assert found == {"inbound.average": 10, "inbound.peak": 0, "inbound.burst": 30, "inbound.floor": 0}
    assert json.dumps(found)


@pytest.mark.parametrize("name", ['e" accept; ', "a b", "x" * 16, "a/b", "a;b", "a{b"])
def test_devices_cannot_speak_in_rules(name: str) -> None:
    net = network("<bridge name='b'/><ip address='10.1.0.1' prefix='24'/>")
    assert net.bridge is not None
    net.bridge.name = name
    with pytest.raises(ConfigUnsupported, match="is not the name of a network device"):
        firewall.rules(net)


def test_nothing_adds_lines_to_the_configuration() -> None:
    files = dnsmasq.Files("n", Path("/a"), Path("/b"))
    for part in (
        "<dns><txt name='a' value='b&#10;conf-file=/etc/x'/></dns>",
        "<domain name='a&#10;conf-file=/etc/x'/>",
    ):
        with pytest.raises(ConfigUnsupported, match="line break"):
            dnsmasq.configuration(network(f"{part}<ip address='10.1.0.1' prefix='24'/>"), files)
    hosts = "<dns><host ip='10.1.0.9'><hostname>a&#10;10.1.0.9 bank</hostname></host></dns>"
    with pytest.raises(ConfigUnsupported, match="line break"):
        dnsmasq.host_names(network(f"{hosts}<ip address='10.1.0.1' prefix='24'/>"))


def classes(kind: type[Element], seen: set[type[Element]]) -> set[type[Element]]:
    """A class and every class of elements inside it."""
    if kind not in seen:
        seen.add(kind)
        for hint in typing.get_type_hints(kind).values():
            for inner in leaves(hint):
                classes(inner, seen)
    return seen


def leaves(hint: typing.Any) -> list[type[Element]]:
    if isinstance(hint, type) and issubclass(hint, Element):
        return [hint]
    return [leaf for part in typing.get_args(hint) for leaf in leaves(part)]


def given_in(element: Element, found: set[tuple[type[Element], str]]) -> None:
    """Every field that has a value, by class and name."""
    for name, value in vars(element).items():
        if name.startswith("_") or value in (None, []):
            continue
        found.add((type(element), name))
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Element):
                given_in(inner, found)


def test_every_declared_field_was_exercised() -> None:
    found: set[tuple[type[Element], str]] = set()
    with (Path(__file__).parents[2] / "data/network/defined.jsonl").open() as lines:
        for case in map(json.loads, lines):
            if "xml" in case["answer"] or "Virtual Function" in case["answer"]["error"][1]:
                with contextlib.suppress(VirtError):
                    given_in(Network.from_xml(case["input"]), found)
                    given_in(read(case["input"]), found)
    inner = "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3' instanceid='{0}'/>"
    for part in (
        f"<group>g</group>{inner.format(ID)}</virtualport><vlan trunk='yes'><tag id='5' nativeMode='tagged'/></vlan>",
        f"<virtualport type='openvswitch'><parameters interfaceid='{ID}' profileid='p'/></virtualport>",
        "<bandwidth classID='3'><inbound average='1' peak='2' floor='3' burst='4'/><outbound average='1' peak='2'"
        " burst='4'/></bandwidth><port isolated='yes'/><rxfilters trustGuest='no'/>",
        "<plug type='network' bridge='b' macTableManager='kernel'/>",
        "<plug type='bridge' bridge='b' macTableManager='kernel'/>",
        "<plug type='direct' dev='e' mode='vepa'/>",
        "<plug type='hostdev-pci' managed='yes'><driver name='vfio'/>"
        "<address domain='0' bus='1' slot='2' function='3'/></plug>",
    ):
        given_in(port(part), found)
    declared = {(kind, name) for top in (Network, NetworkPort) for kind in classes(top, set()) for name in kind.FIELDS}
    known = {
        (kind, name) for kind, name in declared
        if kind.__name__ in ("Plug", "NoPlug", "Rate") or (kind.__name__, name) == ("Outbound", "floor")
    }  # fmt: skip
    assert {f"{kind.__name__}.{name}" for kind, name in declared - found - known} == set()
