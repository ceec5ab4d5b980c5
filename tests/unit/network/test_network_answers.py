"""Networks defined, served and updated, against what libvirtd 9.0 answered to the same questions.

The questions are this project's own, one for each rule of the format; the answers in `tests/data/network` were recorded
from Debian's libvirtd in a namespace of its own.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from splitvirt.api.errors import VirtError
from splitvirt.xml.network import Network
from virtnetworkd import dnsmasq
from virtnetworkd.prepare import check, read
from virtnetworkd.prepare.place import place
from virtnetworkd.prepare.port import check_reclaim, place_port, read_port, reclaim_port
from virtnetworkd.update import update

DATA = Path(__file__).parents[2] / "data" / "network"
SWITCH_ID = re.compile(r"(interfaceid|instanceid)='[^']*'")
MADE_UP = re.compile(r"<mac address='52:54:00:(?!11:22:33)[0-9a-f:]+'/>|<uuid>[^<]*</uuid>")


def cases(name: str) -> list[Any]:
    with (DATA / f"{name}.jsonl").open() as lines:
        return [json.loads(line) for line in lines]


def defined(document: str) -> Network:
    net = read(document)
    place(net, ())
    return net


def shown(net: Network) -> str:
    return MADE_UP.sub("", net.to_xml(inactive=True))


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in cases("defined")])
def test_defined(case: dict[str, Any]) -> None:
    wanted = case["answer"]
    if "error" in wanted:
        with pytest.raises(VirtError) as refused:
            defined(case["input"])
        assert [refused.value.code, str(refused.value)] == wanted["error"]
    else:
        assert shown(defined(case["input"])) == MADE_UP.sub("", wanted["xml"])


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in cases("defined") if "xml" in c["answer"]])
def test_what_is_printed_is_read_again(case: dict[str, Any]) -> None:
    net = read(case["answer"]["xml"])
    if case["name"] not in ("bw-15", "bwpg-15"):  # rates of nothing are printed as a limit of nothing, which is none
        assert net.to_xml(inactive=True) == case["answer"]["xml"]
    assert not net.unknown


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in cases("served")])
def test_served(case: dict[str, Any]) -> None:
    wanted = case["answer"]
    net = defined(case["input"])
    files = dnsmasq.Files(net.name or "", Path("/var/lib/libvirt/dnsmasq"), Path("/run/libvirt/network"))
    if "error" in wanted:
        with pytest.raises(VirtError) as refused:
            dnsmasq.configuration(net, files)
        assert [refused.value.code, str(refused.value)] == wanted["error"]
        return
    assert dnsmasq.needed(net) == ("conf" in wanted)
    if "conf" in wanted:
        assert Counter(dnsmasq.configuration(net, files).splitlines()) == Counter(wanted["conf"].splitlines())
        assert dnsmasq.kept_hosts(net) == wanted["hostsfile"]
        assert dnsmasq.host_names(net) == wanted["addnhosts"]


@pytest.mark.parametrize("case", cases("updated"), ids=lambda c: "-".join(map(str, c["input"][1:4])))
def test_updated(case: dict[str, Any]) -> None:
    document, command, section, index, xml = case["input"]
    net, wanted = defined(document), case["answer"]

    def change() -> None:
        update(net, command, section, index, xml)
        check(net)
        place(net, ())

    if "error" in wanted:
        with pytest.raises(VirtError) as refused:
            change()
        assert [refused.value.code, str(refused.value)] == wanted["error"]
    else:
        change()
        assert net.to_xml(inactive=True) == wanted["xml"]


@pytest.mark.parametrize("case", cases("ports"), ids=lambda c: "reclaimed" if c["input"][2] else "new")
def test_ports(case: dict[str, Any]) -> None:
    document, xml, flags = case["input"]
    net, wanted = defined(document), case["answer"]

    def made() -> str:
        port = read_port(xml)
        check_reclaim(port, bool(flags))
        if flags:
            reclaim_port(net, port)
        else:
            place_port(net, port, ())
        return port.to_xml()

    if "error" in wanted:
        with pytest.raises(VirtError) as refused:
            made()
        assert [refused.value.code, str(refused.value)] == wanted["error"]
    else:  # the switch's number for the port may be made up
        found = SWITCH_ID.search(wanted["xml"])
        made_up = found is not None and found[0] not in xml + document
        hide = SWITCH_ID if made_up else re.compile("(?!)")
        assert hide.sub("", made()) == hide.sub("", wanted["xml"])
