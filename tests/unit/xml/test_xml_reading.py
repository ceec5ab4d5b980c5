"""Documents as they come from anyone: malformed, hostile, in any namespace."""

import time

import pytest

from splitvirt.api.errors import VirtError, XMLDetail, XMLError
from splitvirt.xml.domain import Domain
from splitvirt.xml.node import MAX_DEPTH, MAX_SIZE, parse_node

LAUGHS = "".join(f"<!ENTITY l{i} '{f'&l{i - 1};' * 10}'>" for i in range(1, 12))
BOMBS = {
    "billion laughs": f"<!DOCTYPE d [<!ENTITY l0 'ha'>{LAUGHS}]><domain>&l11;</domain>",
    "quadratic": f"<!DOCTYPE d [<!ENTITY a '{'a' * 100_000}'>]><domain>{'&a;' * 20_000}</domain>",
    "external": "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>",
    "parameter": "<!DOCTYPE d SYSTEM 'http://example.org/x.dtd'><domain/>",
    "deep": "<a>" * 1_000_000,
    "large": f"<domain><name>{'x' * (MAX_SIZE + 1)}</name></domain>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_at_once(name: str) -> None:
    document = BOMBS[name]
    start = time.process_time()
    with pytest.raises(VirtError) as caught:
        Domain.from_xml(document)
    assert time.process_time() - start < 0.1
    assert caught.value.code in (27, 35)


def test_the_reason_names_what_is_refused() -> None:
    with pytest.raises(XMLError, match="DOCTYPE"):
        parse_node("<!DOCTYPE a><a/>")
    with pytest.raises(XMLDetail, match="Excessive depth in document: 256"):
        parse_node("<a>" * 300)
    assert parse_node("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH).tag == "a"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "(domain_definition):1: Document is empty\n(null)\n^"),
        ("x", "(domain_definition):1: Start tag expected, '<' not found\nx\n^"),
        (
            "<domain>\n<name>a</domain>",
            "(domain_definition):2: Opening and ending tag mismatch: name line 2 and domain\n<name>a</domain>\n",
        ),
        ("<domain><name>&nope;</name></domain>", "(domain_definition):1: Entity 'nope' not defined"),
        ("<domain a='1' a='2'/>", "(domain_definition):1: Attribute a redefined"),
        ("<domain/><domain/>", "(domain_definition):1: Extra content at the end of the document"),
        ("<domain>", "(domain_definition):1: Premature end of data in tag domain line 1\n<domain>\n"),
        ("<domain>\x00</domain>", "(domain_definition):1: "),
        ("<domain>\ud800</domain>", "(domain_definition):1: "),
    ],
)
def test_malformed(document: str, message: str) -> None:
    with pytest.raises(XMLDetail) as caught:
        Domain.from_xml(document)
    assert caught.value.code == 35
    assert str(caught.value).startswith(message)


def test_an_encoding_declaration_does_not_count() -> None:
    assert parse_node("<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>").text == "é"


def test_comments_and_instructions_are_passed_over() -> None:
    node = parse_node("<!-- a --><a>x<!-- b -->y<?pi z?><![CDATA[<z>]]></a><!-- c -->")
    assert node.text == "xy<z>"


def test_prefixes_are_the_writers_choice() -> None:
    uri = "http://libvirt.org/schemas/domain/qemu/1.0"
    node = parse_node(f"<d xmlns:q='{uri}'><q:commandline><q:arg value='1'/></q:commandline></d>")
    assert node.children[0].tag == "qemu:commandline"
    assert node.children[0].children[0].tag == "qemu:arg"
    assert node.attrs == {}
    inner = parse_node(f"<d><commandline xmlns='{uri}'/><commandline/></d>")
    assert [c.tag for c in inner.children] == ["qemu:commandline", "commandline"]
    assert parse_node("<d xmlns:x='urn:x'><x:y x:z='1'/></d>").children[0].tag == "{urn:x}y"


def test_a_domain_in_a_foreign_namespace_is_none() -> None:
    with pytest.raises(XMLError, match="expecting root element of 'domain'"):
        Domain.from_xml("<domain xmlns='urn:x' type='qemu'/>")
