"""The blocking face over the real roads: a socket, and a driver in this process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hypervisor import MemoryHypervisor

from splitvirt import VirtError, sync
from splitvirt.access.rules import Access
from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import NoDomain, NoSupport
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.rpc.server import Server

XML = """<domain type='qemu'>
  <name>{}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>
</domain>"""


class Served(MemoryHypervisor):
    """A hypervisor that serves itself on a socket."""

    async def start_serving(self, path: Path) -> None:
        self.server = Server({Hypervisor: self}, access=Access("QEMU"))
        await self.server.listen(path)

    async def close(self) -> None:
        await self.server.close(drain=1)


@pytest.fixture
def uri(tmp_path: Path) -> Iterator[str]:
    """A served hypervisor, on a thread of its own."""
    with sync.serve(Served()) as served:
        served.start_serving(tmp_path / "sock")
        yield f"qemu:///system?socket={tmp_path / 'sock'}"


def test_over_a_socket(uri: str) -> None:
    heard: list[Any] = []
    with sync.connect(uri, timeout=60) as there, sync.connect(uri, timeout=60) as other:
        stop = other.listen(lambda event, who, told: heard.append((who.name, *told)), Domain.lifecycle)
        domain = there.define(XML.format("far"))
        domain.create()
        assert (domain.state().state, domain.is_active()) == (c.VIR_DOMAIN_RUNNING, True)
        (found,) = other.domains()
        assert (found.name, found.uuid) == ("far", domain.uuid)
        near, far = there.stream()
        domain.open_console(None, 0, far)
        assert near.read() == b"welcome\r\n"
        near.write(b"hello")
        assert near.read() == b"HELLO"
        near.finish()
        with pytest.raises(NoDomain):
            there.domain_by_name("nobody")
        with pytest.raises(NoSupport):
            domain.managed_save()
        other.hostname()
        stop()
    assert ("far", c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_BOOTED) in heard


def test_embedded(tmp_path: Path) -> None:
    with sync.embed(tmp_path) as here:
        here.define(XML.format("near"))
        (domain,) = here.domains()
        assert domain.name == "near"
        assert "<name>near</name>" in domain.xml()
        with pytest.raises(VirtError):
            sync.embed(tmp_path)
    with sync.embed(tmp_path) as again:
        assert [domain.name for domain in again.domains()] == ["near"]
        again.domain_by_name("near").undefine()
        assert again.domains() == []


async def test_inside_a_loop_of_ones_own(uri: str) -> None:
    with await asyncio.to_thread(sync.connect, uri) as there:
        assert await asyncio.to_thread(there.type) == "QEMU"
