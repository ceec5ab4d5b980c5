"""The XML engine: what a declaration means when read and when written."""

from typing import Literal

import pytest

from splitvirt.api.errors import ConfigUnsupported, VirtError, XMLError
from splitvirt.xml.element import (
    LIVE,
    SECURE,
    STABLE,
    Bitmap,
    Element,
    Hex2,
    NonNegative,
    OnOff,
    Positive,
    Unsigned,
    YesNo,
    attr,
    attrs,
    child,
    children,
    present,
    size,
    text,
    texts,
)
from splitvirt.xml.node import Node


class Rate(Element, tag="rate"):
    amount: Unsigned = attr("@bytes")
    period: Positive | None = attr()


class Pci(Element, tag="address", when=("type", "pci")):
    type: str = attr(default="pci")
    slot: Hex2 | None = attr()


class Other(Element, tag="address", when=("type", ("usb", "ccid"))):
    type: str = attr()
    port: NonNegative | None = attr()


class Base(Element):
    alias: str | None = attr("alias/@name")
    first: str | None = attr(order=-1)


class Thing(Base, tag="thing"):
    type: str = attr(default="file")
    file: str | None = attr("source/@file", when="file")
    dev: str | None = attr("source/@dev", when="block")
    unless: str | None = attr("source/@other", when=("type", "!file"))
    mode: Literal["fast", "slow"] | None = attr("driver/@mode", wrong=lambda raw: ConfigUnsupported(f"no {raw}"))
    name: str | None = text()
    words: list[str] = texts("word")
    boots: list[Literal["hd", "cd"]] = attrs("boot/@dev")
    acpi: bool = present("features/acpi")
    flag: OnOff | None = attr("features/flag/@state")
    cpus: Bitmap | None = attr("vcpu/@cpuset")
    memory: int | None = size("memory")
    pretty: int | None = size("cache/@size", unit="bytes", pretty=True)
    rate: Rate | None = child()
    addresses: list[Pci | Other] = children("addresses/")
    password: str | None = attr(mode=SECURE)
    running: str | None = attr(mode=LIVE)
    volatile: YesNo | None = attr(mode=STABLE)
    zero: int | None = text(omit=0)


FULL = """\
<thing first='1' type='file' password='p' running='r' volatile='yes'>
  <source file='a'/>
  <driver mode='fast'/>
  <name>N</name>
  <word>one</word>
  <word>two</word>
  <boot dev='hd'/>
  <boot dev='cd'/>
  <features>
    <acpi/>
    <flag state='off'/>
  </features>
  <vcpu cpuset='0-1,3'/>
  <memory unit='KiB'>2048</memory>
  <cache size='3' unit='MiB'/>
  <rate bytes='1' period='2'/>
  <addresses>
    <address type='pci' slot='0x1f'/>
    <address type='usb' port='3'/>
  </addresses>
  <alias name='x'/>
</thing>
"""


def refused(document: str) -> str:
    with pytest.raises(VirtError) as caught:
        Thing.from_xml(document)
    return str(caught.value)


def test_everything_comes_out_in_order_of_declaration() -> None:
    thing = Thing.from_xml(FULL)
    assert thing.unknown == []
    assert thing.to_xml(secure=True) == FULL
    assert thing.cpus == frozenset({0, 1, 3})
    assert (thing.memory, thing.pretty) == (2048, 3 << 20)
    assert [type(a) for a in thing.addresses] == [Pci, Other]


def test_modes_hide_what_is_not_for_everyone() -> None:
    thing = Thing.from_xml(FULL)
    assert "password" not in thing.to_xml()
    assert "running" not in thing.to_xml(inactive=True)
    assert "volatile" not in thing.to_xml(migratable=True)


def test_shuffled_input_is_the_same_document() -> None:
    lines = FULL.splitlines()
    middle = lines[13:15] + lines[1:8]  # whole elements only
    shuffled = "\n".join([lines[0], *middle, *lines[8:13], *lines[15:]])
    assert Thing.from_xml(shuffled) == Thing.from_xml(FULL)


def test_conditions_look_at_the_elements_type() -> None:
    thing = Thing.from_xml("<thing type='block'><source file='a' dev='b' other='c'/></thing>")
    assert (thing.file, thing.dev, thing.unless) == (None, "b", "c")
    assert [u.path for u in thing.unknown] == ["thing/source/@file"]
    assert Thing.from_xml("<thing><source file='a'/></thing>").file == "a"  # the default counts


def test_unknown_parts_are_collected_with_their_lines(caplog: pytest.LogCaptureFixture) -> None:
    thing = Thing.from_xml("<thing colour='red'>\n<source>\n<shade/></source>\n<new>x</new>stray</thing>")
    assert [(u.path, u.line) for u in thing.unknown] == [
        ("thing/@colour", 1),
        ("thing/text()", 1),
        ("thing/source/shade", 3),
        ("thing/new", 4),
    ]
    assert len(caplog.records) == 1
    assert "thing/new (line 4)" in caplog.text


def test_the_first_of_several_counts_and_the_others_are_unknown() -> None:
    thing = Thing.from_xml("<thing><rate bytes='1'/><rate bytes='2'/><name>a</name><name>b</name></thing>")
    assert thing.rate == Rate(amount=1)
    assert thing.name == "a"
    assert [u.path for u in thing.unknown] == ["thing/rate", "thing/name"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<thing><rate/></thing>", "XML error: Missing required attribute 'bytes' in element 'rate'"),
        (
            "<thing><rate bytes='-1'/></thing>",
            "XML error: Invalid value for attribute 'bytes' in element 'rate': '-1'. "
            "Expected non-negative integer value",
        ),
        (
            "<thing><rate bytes='1' period='0'/></thing>",
            "XML error: Invalid value for attribute 'period' in element 'rate': Zero is not permitted",
        ),
        (
            "<thing><features><flag state='x'/></features></thing>",
            "XML error: Invalid value for attribute 'state' in element 'flag': 'x'.",
        ),
        ("<thing><driver mode='x'/></thing>", "unsupported configuration: no x"),
        (
            "<thing><addresses><address type='moon'/></addresses></thing>",
            "XML error: Invalid value for attribute 'type' in element 'address': 'moon'.",
        ),
        (
            "<thing><addresses><address/></addresses></thing>",
            "XML error: Missing required attribute 'type' in element 'address'",
        ),
        ("<thing><boot dev='x'/></thing>", "XML error: Invalid value for attribute 'dev' in element 'boot': 'x'."),
        ("<thing><vcpu cpuset='3-1'/></thing>", "invalid argument: Failed to parse bitmap '3-1'"),
        ("<thing><vcpu cpuset='^1'/></thing>", "unsupported configuration: Invalid value of 'cpuset': ^1"),
        ("<thing><memory>x</memory></thing>", "XML error: Invalid value 'x' for element or attribute './memory[1]'"),
        ("<thing><memory unit='stone'>1</memory></thing>", "invalid argument: unknown suffix 'stone'"),
        ("<thing><memory unit='EiB'>17</memory></thing>", "numerical overflow: value too large: 17EiB"),
        ("<other/>", "XML error: expecting root element of 'thing', not 'other'"),
    ],
)
def test_wrong_values_are_refused_in_libvirts_words(document: str, message: str) -> None:
    assert refused(document) == message


def test_an_error_knows_its_line() -> None:
    with pytest.raises(XMLError) as caught:
        Thing.from_xml("<thing>\n\n<rate bytes='x'/></thing>")
    assert caught.value.__notes__ == ["line 3"]


def test_values_not_written() -> None:
    assert Thing(zero=0, name=None).to_xml() == "<thing type='file'/>\n"
    assert Thing(zero=1).to_xml() == "<thing type='file'>\n  <zero>1</zero>\n</thing>\n"


def test_text_is_escaped_and_comes_back() -> None:
    nasty = "<&>'\" \t\n\r ü€😀 \x01"
    thing = Thing(name=nasty, file=nasty)
    again = Thing.from_xml(thing.to_xml())
    assert again.name == again.file == nasty.replace("\x01", "")


def test_copies_share_nothing() -> None:
    thing = Thing.from_xml(FULL)
    copy = thing.copy()
    assert copy == thing
    copy.addresses[0].type = "changed"
    copy.words.append("three")
    assert copy.rate is not None
    copy.rate.amount = 9
    assert thing.to_xml(secure=True) == FULL


def test_equality_counts_values_not_how_they_came() -> None:
    assert Thing() == Thing(name=None, words=[], type="file")
    assert Thing() != Thing(name="x")
    assert Rate(amount=1) != Other(type="usb")


def test_a_constructor_knows_the_fields() -> None:
    with pytest.raises(TypeError, match="no field 'nmae'"):
        Thing(nmae="x")


def test_check_runs_after_reading() -> None:
    class Picky(Element, tag="picky"):
        low: int = attr()
        high: int = attr()

        def check(self, node: Node) -> None:
            if self.low > self.high:
                raise XMLError(f"low beyond high in line {node.line}")

    with pytest.raises(XMLError, match="low beyond high in line 1"):
        Picky.from_xml("<picky low='2' high='1'/>")


def test_a_child_that_is_always_there() -> None:
    class House(Element, tag="house"):
        rate: Rate = child(always=True)

    class Rate2(Element, tag="rate", hide_empty=True):
        amount: int | None = attr()

    class Flat(Element, tag="flat"):
        rate: Rate2 = child(always=True)

    assert Flat().rate == Flat.from_xml("<flat/>").rate == Rate2()
    assert Flat().to_xml() == "<flat/>\n"
    assert House.from_xml("<house><rate bytes='1'/></house>").rate.amount == 1
