"""`<metadata>` as libvirtd 9.0 prints it (each answer was seen from the real one)."""

import pytest

from splitvirt.xml.domain import Domain
from splitvirt.xml.metadata import Foreign, empty
from splitvirt.xml.node import parse_node

SEEN = [
    (
        """<a:b xmlns:a="u:a" c="1'2&quot;&lt;&gt;&amp;&#10;&#9;é">text &lt;&gt;&amp;"' é &#13;</a:b>""",
        """    <a:b xmlns:a="u:a" c="1'2&quot;&lt;&gt;&amp;&#10;&#9;&#xE9;">text &lt;&gt;&amp;"' é &#13;</a:b>""",
    ),
    (
        '<a:b xmlns:a="u:a"><a:c/><a:d>x</a:d>  <a:e> </a:e>\n <a:f>x<a:g/></a:f></a:b>',
        '    <a:b xmlns:a="u:a">\n      <a:c/>\n      <a:d>x</a:d>\n      <a:e> </a:e>\n'
        "      <a:f>x<a:g/></a:f>\n    </a:b>",
    ),
    (
        '<a:b xmlns:a="u:a"><!-- hi --><a:c/><?pi x?><![CDATA[x<y]]></a:b>',
        '    <a:b xmlns:a="u:a"><!-- hi --><a:c/><?pi x?><![CDATA[x<y]]></a:b>',
    ),
    ('<b/><c:d xmlns:c="u:c"/><c:d xmlns:c="u:c" x="2"/>tt', '    <c:d xmlns:c="u:c"/>'),
    (
        '<d xmlns="u:c"><e xmlns="u:f"/><g xmlns:k="u:k" k:x="1"/></d>',
        '    <d xmlns="u:c">\n      <e xmlns="u:f"/>\n      <g xmlns:k="u:k" k:x="1"/>\n    </d>',
    ),
    (
        '<a:b xmlns:a="u:a">  <a:c>  x  </a:c>  \n\n <a:d>\n   <a:e/>\n </a:d></a:b>',
        '    <a:b xmlns:a="u:a">\n      <a:c>  x  </a:c>\n      <a:d>\n        <a:e/>\n      </a:d>\n    </a:b>',
    ),
    (
        '<a:b xmlns:a="u:a">  <a:c/>  <a:c>y</a:c> z</a:b>',
        '    <a:b xmlns:a="u:a"><a:c/><a:c>y</a:c> z</a:b>',
    ),
    (
        '<a:b xmlns:a="u:a" xmlns:q="u:q" q:z="1" a:y="2" x="3"><a:c/></a:b>',
        '    <a:b xmlns:a="u:a" xmlns:q="u:q" q:z="1" a:y="2" x="3">\n      <a:c/>\n    </a:b>',
    ),
]


@pytest.mark.parametrize(("given", "printed"), SEEN)
def test_as_libvirt_prints_it(given: str, printed: str) -> None:
    domain = Domain.from_xml(f"<domain type='test'><name>n</name><metadata>{given}</metadata></domain>")
    text = domain.to_xml(inactive=True)
    assert f"  <metadata>\n{printed}\n  </metadata>\n" in text
    assert Domain.from_xml(text).to_xml(inactive=True) == text


@pytest.mark.parametrize("given", ["", "<!-- only -->", "<c:d/>", "text"])
def test_nothing_is_left(given: str) -> None:
    domain = Domain.from_xml(f"<domain type='test'><name>n</name><metadata>{given}</metadata></domain>")
    assert "  <metadata/>\n" in domain.to_xml()


def test_what_is_not_kept_is_not_lost_in_silence() -> None:
    domain = Domain.from_xml("<domain type='test'><name>n</name><metadata><a/><b:c xmlns:b='u'/></metadata></domain>")
    assert [u.path for u in domain.unknown] == ["domain/metadata/a"]


def test_a_namespace_of_the_document_is_declared_where_it_is_used() -> None:
    domain = Domain.from_xml(
        "<domain type='test' xmlns:c='u:c' xmlns:z='u:z'><name>n</name><metadata><c:d/></metadata></domain>"
    )
    assert '  <metadata xmlns:c="u:c">\n    <c:d/>\n  </metadata>\n' in domain.to_xml()


def test_an_application_sets_and_gets_its_own() -> None:
    first = empty().replaced("http://app", "app", "<one kind='x'><two>t</two></one>")
    second = first.replaced("http://other", "o", "<x/>")
    assert second.text() == (
        '<metadata>\n  <app:one xmlns:app="http://app" kind="x">\n    <app:two>t</app:two>\n  </app:one>\n'
        '  <o:x xmlns:o="http://other"/>\n</metadata>\n'
    )
    assert second.get("http://app") == '<one kind="x">\n  <two>t</two>\n</one>'
    assert second.get("http://nobody") is None
    assert second.replaced("http://app", None, None).entries.keys() == {"http://other"}
    assert first.text() != second.text()
    again = Foreign.parse(parse_node(second.text()))
    assert again == second
