"""What libvirt's own client makes of the answers of networks, storage, devices, secrets, interfaces and filters."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.canned import canned

from splitvirt.access.rules import Access
from splitvirt.api.interface import Interface, Interfaces
from splitvirt.api.network import Lease, Network, Networks, Port
from splitvirt.api.nodedev import NodeDevice, NodeDevices
from splitvirt.api.nwfilter import NWFilter, NWFilterBinding, NWFilters
from splitvirt.api.secret import Secret, Secrets
from splitvirt.api.storage import Pool, PoolInfo, Storage, Vol, VolInfo
from splitvirt.rpc.server import Server

PYTHON = "/usr/bin/python3"
U = UUID(int=0x1234)

# the contract, its objects, how to get one, and of each call an expression, the answer, what the expression is then
NETWORKS = (
    Networks,
    {Network: {"name": "default", "uuid": U}, Port: {"uuid": U}},
    "conn.networkLookupByName('default')",
    [
        ("one.bridgeName()", "Network.bridge_name", "virbr0", "'virbr0'"),
        ("one.isActive()", "Network.is_active", True, "1"),
        ("one.autostart()", "Network.autostart", False, "0"),
        ("one.DHCPLeases()", "Network.leases",
         [Lease("virbr0", 5, 0, "52:54:00:00:00:01", None, "10.0.0.2", 24, "host", None)],
         "[{'iface': 'virbr0', 'expirytime': 5, 'type': 0, 'mac': '52:54:00:00:00:01', 'ipaddr': '10.0.0.2',"
         " 'prefix': 24, 'hostname': 'host', 'clientid': None, 'iaid': None}]"),
        ("[n.name() for n in conn.listAllNetworks()]", "Networks.networks", lambda root: [root.kinds[Network]],
         "['default']"),
        ("conn.listDefinedNetworks()", "Networks.networks", lambda root: [root.kinds[Network]], "['default']"),
        ("conn.numOfNetworks()", "Networks.networks", lambda root: [root.kinds[Network]], "1"),
        ("[p.UUIDString() for p in one.listAllPorts()]", "Network.ports", lambda root: [root.kinds[Port]], f"['{U}']"),
        ("one.portLookupByUUIDString(one.UUIDString()).XMLDesc()", "Port.xml", "<networkport/>", "'<networkport/>'"),
        ("one.update(3, 4, -1, '<host/>', 1)", "Network.update", None, "0"),
    ],
)  # fmt: skip
STORAGE = (
    Storage,
    {Pool: {"name": "images", "uuid": U}, Vol: {"pool": "images", "name": "disk", "key": "/images/disk"}},
    "conn.storagePoolLookupByName('images')",
    [
        ("one.info()", "Pool.info", PoolInfo(2, 2**40, 5, 6), "[2, 1099511627776, 5, 6]"),
        ("one.listVolumes()", "Pool.vols", lambda root: [root.kinds[Vol]], "['disk']"),
        ("one.numOfVolumes()", "Pool.vols", lambda root: [root.kinds[Vol]], "1"),
        ("[v.key() for v in one.listAllVolumes()]", "Pool.vols", lambda root: [root.kinds[Vol]], "['/images/disk']"),
        ("one.storageVolLookupByName('disk').info()", "Vol.info", VolInfo(0, 2**33, 7), "[0, 8589934592, 7]"),
        ("conn.storageVolLookupByPath('/x').path()", "Vol.path", "/images/disk", "'/images/disk'"),
        ("conn.storageVolLookupByKey('/x').storagePoolLookupByVolume().name()", "Pool.xml", "", "'images'"),
        ("conn.findStoragePoolSources('dir', None)", "Storage.find_sources", "<sources/>", "'<sources/>'"),
        ("conn.listStoragePools()", "Storage.pools", lambda root: [root.kinds[Pool]], "['images']"),
    ],
)  # fmt: skip
DEVICES = (
    NodeDevices,
    {NodeDevice: {"name": "pci_0000_00_02_0"}},
    "conn.nodeDeviceLookupByName('pci_0000_00_02_0')",
    [
        ("one.listCaps()", "NodeDevice.caps", ["pci", "drm"], "['pci', 'drm']"),
        ("one.numOfCaps()", "NodeDevice.caps", ["pci", "drm"], "2"),
        ("one.parent()", "NodeDevice.parent", "computer", "'computer'"),
        ("one.isActive()", "NodeDevice.is_active", True, "1"),
        ("one.dettach()", "NodeDevice.detach", None, "0"),
        ("conn.listDevices('pci')", "NodeDevices.devices_with", lambda root: [root.kinds[NodeDevice]],
         "['pci_0000_00_02_0']"),
        ("conn.numOfDevices('pci')", "NodeDevices.devices_with", lambda root: [root.kinds[NodeDevice]], "1"),
        ("[d.name() for d in conn.listAllDevices()]", "NodeDevices.devices", lambda root: [root.kinds[NodeDevice]],
         "['pci_0000_00_02_0']"),
    ],
)  # fmt: skip
SECRETS = (
    Secrets,
    {Secret: {"uuid": U, "usage_type": 1, "usage_id": "/images/disk"}},
    "conn.secretLookupByUUIDString('00000000-0000-0000-0000-000000001234')",
    [
        ("(one.usageType(), one.usageID())", "Secret.xml", "", "(1, '/images/disk')"),
        ("one.value()", "Secret.value", b"\0\1\xff", "b'\\x00\\x01\\xff'"),
        ("one.setValue(b'x')", "Secret.set_value", None, "0"),
        ("conn.listSecrets()", "Secrets.secrets", lambda root: [root.kinds[Secret]], f"['{U}']"),
    ],
)
INTERFACES = (
    Interfaces,
    {Interface: {"name": "eth1", "mac": "aa:bb:cc:dd:ee:ff"}},
    "conn.interfaceLookupByName('eth1')",
    [
        ("one.MACString()", "Interface.xml", "", "'aa:bb:cc:dd:ee:ff'"),
        ("one.isActive()", "Interface.is_active", True, "1"),
        ("conn.listInterfaces()", "Interfaces.interfaces", lambda root: [root.kinds[Interface]], "['eth1']"),
        ("conn.numOfDefinedInterfaces()", "Interfaces.interfaces", lambda root: [root.kinds[Interface]], "1"),
        ("conn.changeBegin()", "Interfaces.change_begin", None, "0"),
    ],
)
FILTERS = (
    NWFilters,
    {NWFilter: {"name": "clean", "uuid": U}, NWFilterBinding: {"device": "tap0", "filter": "clean"}},
    "conn.nwfilterLookupByName('clean')",
    [
        ("one.UUIDString()", "NWFilter.xml", "", f"'{U}'"),
        ("conn.listNWFilters()", "NWFilters.filters", lambda root: [root.kinds[NWFilter]], "['clean']"),
        ("[b.filterName() for b in conn.listAllNWFilterBindings()]", "NWFilters.bindings",
         lambda root: [root.kinds[NWFilterBinding]], "['clean']"),
        ("conn.nwfilterBindingLookupByPortDev('tap0').delete()", "NWFilterBinding.delete", None, "0"),
    ],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _libvirt_python() -> None:
    if subprocess.run([PYTHON, "-c", "import libvirt"], capture_output=True, check=False).returncode:
        pytest.skip("python3-libvirt is not installed")


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Coroutine[Any, Any, str]]]:
    """Put a root behind a socket; its URI."""
    servers: list[Server] = []

    async def listen(contract: type, root: Any) -> str:
        server = Server({contract: root}, access=Access("QEMU"))
        servers.append(server)
        await server.listen(tmp_path / "sock")
        return f"qemu+unix:///system?socket={tmp_path / 'sock'}"

    yield listen
    for server in servers:
        await server.close(drain=1)


@pytest.mark.parametrize(
    "case", [NETWORKS, STORAGE, DEVICES, SECRETS, INTERFACES, FILTERS], ids=lambda c: c[0].__name__
)
async def test_answers(case: Any, serve: Any) -> None:
    contract, objects, get, lines = case
    root = canned(contract, {call: answer for _, call, answer, _ in lines})
    for kind, fields in objects.items():
        root.one(kind, **fields)
    if contract is Networks:
        root.one(Port, network=root.kinds[Network])
    head = f"import libvirt, sys\nconn = libvirt.open(sys.argv[1])\none = {get}\n"
    script = head + "\n".join(f"print(repr({line}))" for line, *_ in lines)
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-c", script, await serve(contract, root), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    told = dict(zip([line for line, *_ in lines], out.decode().splitlines(), strict=True))
    assert told == {line: wanted for line, _, _, wanted in lines}
