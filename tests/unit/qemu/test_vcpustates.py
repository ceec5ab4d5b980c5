"""Which vCPUs a configuration has: every row was asked of libvirtd 9.0 (`virsh setvcpus` and `setvcpu`, `--config`)."""

import pytest

from splitvirt.api.errors import ConfigUnsupported, InvalidArg
from splitvirt.xml.cputune import Vcpu
from splitvirt.xml.domain import Domain
from virtqemud.domain import vcpustates as states

PLAIN, FULL = "2/4", "4/4"
GAPS = "on,off,ON,off"
ORDERED = "on1,ON3,off,ON2"


def made(text: str) -> Domain:
    """A guest: "2/4" is `<vcpu current='2'>4</vcpu>`, else `<vcpus>`, "ON" for one that may be unplugged."""
    if "/" in text:
        now, most = map(int, text.split("/"))
        return Domain(vcpu=most, vcpu_current=now if now != most else None)
    guest = Domain(vcpu=text.count(",") + 1)
    each = [
        Vcpu(
            id=number,
            enabled=word[:2].lower() == "on",
            hotpluggable=not word.startswith("on"),
            order=int(word.lstrip("onfON") or 0) or None,
        )
        for number, word in enumerate(text.split(","))
    ]
    states.note(guest, each, individually=True)
    return guest


def told(guest: Domain) -> str:
    """The same, the other way round; "-" for one of which nothing is said."""
    if not guest.vcpus:
        return f"{states.count(guest)}/{guest.vcpu}"
    assert states.count(guest) == sum(vcpu.enabled for vcpu in guest.vcpus)
    words = {(True, False): "on", (True, True): "ON", (False, True): "off", (False, None): "-"}
    return ",".join(words[v.enabled, v.hotpluggable] + str(v.order or "") for v in guest.vcpus)


@pytest.mark.parametrize(
    ("before", "count", "hotpluggable", "after"),
    [
        (PLAIN, 3, False, "3/4"),
        (PLAIN, 3, True, "on,on,ON,off"),
        (PLAIN, 1, True, "1/4"),
        (PLAIN, 2, True, PLAIN),
        (FULL, 2, False, PLAIN),
        (GAPS, 3, False, "on,on,ON,off"),
        (GAPS, 4, False, "on,on,ON,ON"),
        (GAPS, 2, True, GAPS),
        (GAPS, 1, False, "on,off,off,off"),
        (ORDERED, 3, False, "on,ON,off,ON"),
        (ORDERED, 4, False, "on,ON,ON,ON"),
    ],
)
def test_how_many(before: str, count: int, hotpluggable: bool, after: str) -> None:
    guest = made(before)
    states.set_count(guest, count, hotpluggable=hotpluggable)
    assert told(guest) == after


def test_never_more_than_there_may_be() -> None:
    with pytest.raises(InvalidArg, match=r"max allowable vcpus for the persistent domain: 5 > 4"):
        states.set_count(made(PLAIN), 5, hotpluggable=False)


@pytest.mark.parametrize(
    ("before", "most", "after"),
    [(PLAIN, 6, "2/6"), (PLAIN, 1, "1/1"), (GAPS, 2, "on,off"), ("on,off", 4, "on,off,-,-"), (FULL, 6, "4/6")],
)
def test_how_many_at_most(before: str, most: int, after: str) -> None:
    guest = made(before)
    states.set_most(guest, most)
    assert told(guest) == after


@pytest.mark.parametrize(
    ("cpu", "most", "words"),
    [
        ("<topology sockets='2' cores='2' threads='1'/>", 6, "CPU topology doesn't match the desired vcpu count"),
        ("<numa><cell id='0' cpus='0-3' memory='64'/></numa>", 2, "Number of CPUs in <numa> exceeds"),
    ],
)
def test_what_the_cpu_says_besides(cpu: str, most: int, words: str) -> None:
    guest = Domain.from_xml(f"<domain type='qemu'><name>a</name><vcpu>4</vcpu><cpu>{cpu}</cpu></domain>")
    with pytest.raises(InvalidArg, match=words):
        states.set_most(guest, most)
    assert guest.vcpu == 4


@pytest.mark.parametrize(
    ("before", "chosen", "enabled", "after"),
    [
        (PLAIN, "3", True, "on,on,off,ON"),
        (PLAIN, "1", False, "on,off,off,off"),
        (PLAIN, "2-3", False, "on,on,off,off"),
        (ORDERED, "2", True, "on,ON,ON,ON"),
    ],
)
def test_single_ones(before: str, chosen: str, enabled: bool, after: str) -> None:
    guest = made(before)
    states.choose(guest, states.numbers(chosen), enabled=enabled)
    assert told(guest) == after


@pytest.mark.parametrize("listed", ["x", "1-", "0-99999999999", "4096", "3-1"])
def test_what_is_no_list(listed: str) -> None:
    with pytest.raises(InvalidArg, match=f"Failed to parse bitmap '{listed}'"):
        states.numbers(listed)


def test_the_first_one_stays() -> None:
    with pytest.raises(InvalidArg, match="vCPU '0' can't be modified"):
        states.choose(made(PLAIN), {0, 1}, enabled=False)
    with pytest.raises(InvalidArg, match="vcpu 4 is not present in persistent config"):
        states.check_present(made(PLAIN), {1, 4}, "persistent")
    with pytest.raises(InvalidArg, match="no vcpus selected"):
        states.numbers("1,^1")


def test_the_order_in_which_they_are_plugged_in() -> None:
    assert states.to_plug(made(PLAIN)) == []
    assert states.to_plug(made("on,ON,off,ON")) == [1, 3]
    assert states.to_plug(made(ORDERED)) == [3, 1]
    with pytest.raises(ConfigUnsupported, match="duplicate vcpu order '3'"):
        states.to_plug(made("on1,ON2,off3,ON3"))
    with pytest.raises(ConfigUnsupported, match="vcpu order '7' exceeds vcpu count"):
        states.to_plug(made("on1,ON7,off"))


def test_what_runs() -> None:
    guest = made(PLAIN)
    states.note_running(guest, {0: 100, 1: 101, 3: 102}, {3})
    assert told(guest) == "on1,on2,off,ON3"
