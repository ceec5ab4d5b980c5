"""The declarations as a client's: libvirtd's own test driver answers them."""

from collections.abc import Iterator
from typing import Any

import pytest
from support import libvirtd

from splitvirt.api import constants as c
from splitvirt.api.domain import Domain
from splitvirt.api.domain_device import InterfaceAddresses, IPAddress
from splitvirt.api.domain_guest import FSInfo, GuestTime
from splitvirt.api.domain_life import ControlInfo, DomainState, SecurityLabel
from splitvirt.api.errors import NoDomainSnapshot, NoMetadata, OperationInvalid
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.interface import Interfaces
from splitvirt.api.network import Networks
from splitvirt.api.nodedev import NodeDevices
from splitvirt.api.params import values
from splitvirt.api.storage import Storage
from splitvirt.rpc.client import connect_rpc

XML = "<domain type='test'><name>new</name><memory>8192</memory><os><type>hvm</type></os></domain>"


@pytest.fixture(scope="module")
def socket() -> Iterator[str]:
    """A private libvirtd."""
    if not libvirtd.available():
        pytest.skip("libvirtd is not installed, or we are not root")
    with libvirtd.private_libvirtd() as path:
        yield path


async def opened(contract: type, socket: str) -> Any:
    return await connect_rpc(contract, socket, "test:///default", timeout=30)


async def test_the_host(socket: str) -> None:
    host = await opened(Hypervisor, socket)
    assert (await host.type(), await host.uri(), await host.max_vcpus()) == ("TEST", "test:///default", 32)
    assert await host.is_secure() is True
    info = await host.node_info()
    assert (info.model, info.memory, info.cpus, info.threads) == ("i686", 3145728, 16, 2)
    assert await host.cells_free_memory(0, 2) == [2097152, 4194304]
    assert set(await host.node_cpu_stats(0)) == {"user", "kernel", "idle", "iowait"}
    assert (await host.security_model()).model == "testSecurity"
    assert "kvm64" in await host.cpu_models("x86_64")
    assert True in await host.cpu_map()
    await host.close()


async def test_a_domain(socket: str) -> None:
    host = await opened(Hypervisor, socket)
    (domain,) = await host.domains()
    assert (domain.name, domain.id) == ("test", 1)
    assert (await host.domain_by_uuid(domain.uuid)).name == (await host.domain_by_id(1)).name == "test"
    assert await domain.state() == DomainState(c.VIR_DOMAIN_RUNNING, 0)
    assert await domain.control_info() == ControlInfo(0, 0, 0)
    assert await domain.security_label() == SecurityLabel("libvirt-test", True)
    assert (await domain.info()).vcpus == await domain.vcpu_count() == len(await domain.vcpus()) == 2
    assert (await domain.memory_stats())[c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON] == 2097152
    assert values(await domain.memory_params())["hard_limit"] == 2**53 - 1
    assert values(await domain.numa_params()) == {"numa_mode": 0, "numa_nodeset": ""}
    assert values(await domain.interface_params("testnet0"))["inbound.average"] == 0
    assert await domain.time() == GuestTime(627319920, 0)
    assert (await domain.fs_info())[0] == FSInfo("/", "vda1", "ext4", ["vda"])
    addresses = [InterfaceAddresses("testnet0", "aa:bb:cc:dd:ee:ff", [IPAddress(0, "192.168.122.3", 24)])]
    assert await domain.interface_addresses(0) == addresses
    totals, each = await domain.cpu_stats(-1, 1), await domain.cpu_stats(0, 2)
    assert "user_time" in values(totals[0])
    assert [sorted(values(params)) for params in each] == [["cpu_time", "vcpu_time"]] * 2
    (record,) = await host.stats([domain])
    assert record.domain.name == "test"
    assert values(record.params)["state.state"] == c.VIR_DOMAIN_RUNNING
    assert (await host.stats())[0].params
    await host.close()


async def test_changing_a_domain(socket: str) -> None:
    host = await opened(Hypervisor, socket)
    heard: list[Any] = []
    host.events.subscribe(lambda event, who, told: heard.append((who.name, *told)), Domain.lifecycle)
    await host.events.ready()
    domain = await host.define(XML)
    with pytest.raises(NoMetadata):
        await domain.metadata(c.VIR_DOMAIN_METADATA_DESCRIPTION)
    await domain.set_metadata(c.VIR_DOMAIN_METADATA_DESCRIPTION, "hello", flags=c.VIR_DOMAIN_AFFECT_CONFIG)
    assert await domain.metadata(c.VIR_DOMAIN_METADATA_DESCRIPTION) == "hello"
    await domain.create()
    with pytest.raises(OperationInvalid):
        await domain.rename("other")
    await domain.pin_vcpu(0, [True, False, True])
    assert (await domain.vcpu_pins())[0][:4] == [True, False, True, False]
    assert (await domain.vcpus())[0].cpumap[:4] == [True, False, True, False]
    await domain.set_memory(4096)
    await domain.destroy()
    await domain.rename("other")
    await (await host.domain_by_name("other")).undefine()
    await host.version()
    assert [event for event in heard if event[0] == "new"][:2] == [("new", 0, 0), ("new", 2, 0)]
    assert heard[-1] == ("other", c.VIR_DOMAIN_EVENT_UNDEFINED, 0)
    await host.close()


async def test_all_events_that_a_driver_has(socket: str) -> None:
    host = await opened(Hypervisor, socket)
    heard: list[str] = []
    host.events.subscribe(lambda event, who, told: heard.append(event.name))
    await host.events.ready()
    domain = await host.create(XML)
    await domain.destroy()
    await host.version()
    assert "lifecycle" in heard
    await host.close()


async def test_snapshots(socket: str) -> None:
    host = await opened(Hypervisor, socket)
    (domain,) = await host.domains(c.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    first = await domain.create_snapshot("<domainsnapshot><name>first</name></domainsnapshot>")
    then = await domain.create_snapshot("<domainsnapshot><name>then</name></domainsnapshot>")
    assert [one.name for one in await first.children()] == ["then"]
    assert ((await then.parent()).name, await then.is_current()) == ("first", True)
    assert (await domain.current_snapshot()).domain.uuid == domain.uuid
    assert sorted(one.name for one in await domain.snapshots()) == ["first", "then"]
    with pytest.raises(NoDomainSnapshot):
        await first.parent()
    await first.delete(c.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)
    assert not await domain.has_current_snapshot()
    await host.close()


async def test_the_other_drivers(socket: str) -> None:
    networks = await opened(Networks, socket)
    (network,) = await networks.networks()
    assert (network.name, await network.bridge_name(), await network.is_active()) == ("default", "virbr0", True)
    storage = await opened(Storage, socket)
    (pool,) = await storage.pools()
    info = await pool.info()
    assert (info.state, info.capacity) == (c.VIR_STORAGE_POOL_RUNNING, 107374182400)
    vol = await pool.create_vol("<volume><name>v</name><capacity>100</capacity></volume>")
    assert (vol.pool, await vol.path(), (await vol.pool_of()).uuid) == (pool.name, vol.key, pool.uuid)
    devices = await opened(NodeDevices, socket)
    found = {device.name: device for device in await devices.devices()}
    assert await found["scsi_host2"].caps() == ["scsi_host"]
    assert await found["scsi_host2"].parent() == "computer"
    assert {device.name for device in await devices.devices_with(None)} == set(found)
    interfaces = await opened(Interfaces, socket)
    (interface,) = await interfaces.interfaces()
    assert (await interfaces.interface_by_mac(interface.mac)).name == interface.name == "eth1"
    for root in (networks, storage, devices, interfaces):
        await root.close()
