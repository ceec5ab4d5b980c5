"""Our stand-ins and our forwarding against Debian's own libvirtd: the other side of the protocol is not ours."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hypervisor import MemoryHypervisor
from support.libvirtd import available, private_libvirtd
from support.rpc_house import until

from splitvirt.access.rules import Access
from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.errors import InternalError, NoDomain
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.network import Networks
from splitvirt.api.params import values
from splitvirt.api.storage import Storage
from splitvirt.api.stream import pipe
from splitvirt.rpc.client import connect_rpc
from splitvirt.rpc.forward import Route, Routes
from splitvirt.rpc.server import Server

TEST = "test:///default"


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[str]:
    """The path of its socket."""
    if not available():
        pytest.skip("libvirtd is not installed, or we are not root")
    with private_libvirtd() as path:
        yield path


@pytest.fixture
async def hypervisor(libvirtd: str) -> AsyncIterator[Any]:
    """libvirt's test driver, which has a running domain "test"."""
    root: Any = await connect_rpc(Hypervisor, libvirtd, TEST, timeout=60)
    yield root
    await root.close()


async def test_reading(hypervisor: Any) -> None:
    assert await hypervisor.type() == "TEST"
    assert await hypervisor.uri() == TEST
    assert await hypervisor.lib_version() >= 9_000_000
    info = await hypervisor.node_info()
    assert info.cpus == info.nodes * info.sockets * info.cores * info.threads
    assert "<capabilities>" in await hypervisor.capabilities()
    (domain,) = await hypervisor.domains(0)
    assert (domain.name, domain.id) == ("test", 1)
    assert (await domain.state()).state == c.VIR_DOMAIN_RUNNING
    assert (await domain.info()).memory > 0
    assert "<name>test</name>" in await domain.xml()
    assert (await hypervisor.domain_by_uuid(domain.uuid)).name == "test"
    with pytest.raises(NoDomain):
        await hypervisor.domain_by_name("none")


async def test_life_and_events(hypervisor: Any) -> None:
    heard: list[tuple[str, int]] = []
    hypervisor.events.subscribe(lambda event, domain, told: heard.append((domain.name, told[0])), Domain.lifecycle)
    await hypervisor.events.ready()
    made = await hypervisor.define(
        "<domain type='test'><name>ours</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )
    assert made.id == -1
    await made.create()
    assert made.id > 0
    with pytest.raises(InternalError, match="already running"):
        await made.create()
    await made.suspend()
    await made.resume()
    await made.set_autostart(True)
    assert await made.autostart() is True
    await made.destroy()
    await made.undefine()
    await until(lambda: len(heard) == 6)
    assert heard == [("ours", kind) for kind in (
        c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_SUSPENDED,
        c.VIR_DOMAIN_EVENT_RESUMED, c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_UNDEFINED,
    )]  # fmt: skip


async def test_typed_parameters_and_lists(hypervisor: Any) -> None:
    (domain,) = await hypervisor.domains(c.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    stats = await hypervisor.stats([], 0, 0)
    assert stats[0].domain.name == "test"
    assert values(stats[0].params)["state.state"] == c.VIR_DOMAIN_RUNNING
    await domain.set_metadata(c.VIR_DOMAIN_METADATA_TITLE, "a title", None, None, c.VIR_DOMAIN_AFFECT_LIVE)
    assert await domain.metadata(c.VIR_DOMAIN_METADATA_TITLE, None, c.VIR_DOMAIN_AFFECT_LIVE) == "a title"


async def test_a_stream_from_it(hypervisor: Any) -> None:
    (domain,) = await hypervisor.domains(c.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    near, far = pipe()
    assert await domain.screenshot(0, 0, far) == "image/png"
    picture = b""
    while data := await asyncio.wait_for(near.read(), 60):
        picture += data
    assert picture.startswith(b"\x89PNG")


async def test_other_contracts(libvirtd: str) -> None:
    networks: Any = await connect_rpc(Networks, libvirtd, TEST, timeout=60)
    (network,) = await networks.networks(0)
    assert network.name == "default"
    assert "<network>" in await network.xml()
    await networks.close()
    storage: Any = await connect_rpc(Storage, libvirtd, TEST, timeout=60)
    (pool,) = await storage.pools(0)
    assert pool.name == "default-pool"
    await storage.close()


async def test_virsh_through_us_to_it(libvirtd: str, tmp_path: Path) -> None:
    """virsh talks to our hypervisor, which passes storage and network calls on to libvirtd."""
    (tmp_path / "pool").mkdir()
    content = os.urandom(3_000_000)
    (tmp_path / "content").write_bytes(content)
    routes = Routes({driver: Route(libvirtd, TEST) for driver in ("network", "storage")})
    server = Server({Hypervisor: MemoryHypervisor()}, access=Access("QEMU"), routes=routes)
    await server.listen(tmp_path / "sock")

    async def virsh(*argv: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "virsh", "-c", f"qemu+unix:///system?socket={tmp_path}/sock", *argv,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, out.decode()
        return out.decode()

    assert "default" in await virsh("net-list")
    assert "default-pool" in await virsh("pool-list")
    assert "<network>" in await virsh("net-dumpxml", "default")
    routes.routes["storage"] = Route(libvirtd, "storage:///system")
    there = str(tmp_path / "pool")
    await virsh("pool-define-as", "ours", "dir", "--target", there)
    await virsh("pool-start", "ours")
    await virsh("vol-create-as", "ours", "vol", "3000000")
    await virsh("vol-upload", "--pool", "ours", "vol", str(tmp_path / "content"))
    await virsh("vol-download", "--pool", "ours", "vol", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    await virsh("pool-destroy", "ours")
    await server.close()
