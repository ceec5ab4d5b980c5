"""Documents that cost more than they are worth, or that nothing should come of."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from splitvirt.api.errors import VirtError
from splitvirt.xml.domain import Domain
from splitvirt.xml.node import MAX_DEPTH, MAX_ELEMENTS, MAX_SIZE
from virtnetworkd.prepare import read

SECONDS = 4.0  # of the processor; the worst takes about one


def guest(inside: str = "", vcpu: str = "1") -> str:
    """A guest with something in its devices."""
    return (
        f"<domain type='qemu'><name>g</name><memory>32768</memory><vcpu>{vcpu}</vcpu>"
        f"<os><type>hvm</type></os><devices>{inside}</devices></domain>"
    )


def network(inside: str) -> str:
    """A network with something in it."""
    return f"<network><name>n</name>{inside}<ip address='10.1.0.1' netmask='255.0.0.0'/></network>"


MANY = (MAX_SIZE - 1000) // 4
NINES = "9" * 3_000_000
CASES: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "doctype": (Domain.from_xml, "<!DOCTYPE d [<!ENTITY a 'aaaa'>]>" + guest("&a;"), "DOCTYPE"),
    "deep": (Domain.from_xml, guest("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH), "Excessive depth"),
    "elements": (Domain.from_xml, guest("<x/>" * MANY), f"more than {MAX_ELEMENTS} elements"),
    "hosts": (read, network("<x/>" * MANY), f"more than {MAX_ELEMENTS} elements"),
    "size": (Domain.from_xml, guest(" " * MAX_SIZE), ""),
    "number of a guest": (Domain.from_xml, guest(vcpu=NINES), "must be an integer"),
    "delay": (read, network(f"<bridge name='b' delay='{NINES}'/>"), "Invalid delay"),
    "mtu": (read, network(f"<mtu size='{NINES}'/>"), "Invalid mtu"),
    "port": (read, network(f"<dns><srv service='s' protocol='t' target='t' port='{NINES}'/></dns>"), "port"),
    "nat": (read, network(f"<forward><nat><port start='{NINES}' end='1'/></nat></forward>"), ""),
    "superscript": (read, network("<mtu size='1²'/>"), "Invalid mtu"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_soon(name: str) -> None:
    """With an error of libvirt's, never Python's."""
    take, document, words = CASES[name]
    began = time.process_time()
    with pytest.raises(VirtError, match=words or None):
        take(document)
    assert time.process_time() - began < SECONDS


def test_the_largest_that_is_taken_is_taken_soon() -> None:
    began = time.process_time()
    Domain.from_xml(guest("<x/>" * (MAX_ELEMENTS - 100)))
    assert time.process_time() - began < SECONDS
