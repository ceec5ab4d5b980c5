"""URIs: what each means, and what is said of one that means nothing."""

from pathlib import Path

import pytest

from splitvirt.access.rules import Access
from splitvirt.api.errors import InvalidArg, NoConnect, OperationUnsupported, SystemError_, VirtError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.network import Networks
from splitvirt.connect import DRIVERS, Uri, connect, contract_of
from splitvirt.rpc.server import Server


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    session = tmp_path / "libvirt"
    assert Uri.parse("qemu:///session").socket_path() == session / "virtqemud-sock"
    assert Uri.parse("network:///session").socket_path() == session / "virtnetworkd-sock"
    assert Uri.parse("qemu:///session").socket_path(readonly=True) == session / "virtqemud-sock"
    root = Uri.parse(f"qemu:///system?root={tmp_path}")
    assert root.socket_path() == tmp_path / "run/libvirt/virtqemud-sock"
    assert root.socket_path(readonly=True) == tmp_path / "run/libvirt/virtqemud-sock-ro"
    direct = Uri.parse("qemu:///system?mode=direct")
    assert direct.socket_path() == Path("/run/libvirt/virtqemud-sock")
    assert direct.socket_path(readonly=True) == Path("/run/libvirt/virtqemud-sock-ro")
    given = Uri.parse("qemu+unix:///embed?socket=/a/b%20c")
    assert given.socket_path(readonly=True) == Path("/a/b c")
    assert not given.in_process
    assert Uri.parse("qemu:///embed?root=/x").in_process


def test_modes(tmp_path: Path) -> None:
    run = tmp_path / "run/libvirt"
    run.mkdir(parents=True)
    uri = f"qemu:///system?root={tmp_path}"
    (run / "libvirt-sock").touch()
    assert Uri.parse(uri).socket_path() == run / "libvirt-sock"
    assert Uri.parse(uri + "&mode=direct").socket_path() == run / "virtqemud-sock"
    (run / "virtqemud-sock").touch()
    assert Uri.parse(uri).socket_path() == run / "virtqemud-sock"
    assert Uri.parse(uri + "&mode=legacy").socket_path() == run / "libvirt-sock"


def test_what_the_daemon_is_asked_for() -> None:
    assert Uri.parse("qemu+unix:///session?socket=/a").opens == "qemu:///session"
    assert Uri.parse("qemu:///system?name=test:///default").opens == "test:///default"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("xen:///system", NoConnect, "no driver 'xen', there are qemu, lxc"),
        ("", NoConnect, "no driver ''"),
        ("qemu", NoConnect, "no driver ''"),
        ("qemu+ssh://host/system", NoConnect, "the transport 'ssh' is not there"),
        ("qemu://host/system", NoConnect, r"other hosts \('host'\) cannot be reached"),
        ("qemu:///", InvalidArg, "unexpected path '/', try qemu:///system"),
        ("qemu:///sytem", InvalidArg, "unexpected path '/sytem'"),
        ("qemu:///embed", InvalidArg, r"embed needs \?root=DIRECTORY"),
        ("qemu:///system?socket=rel", InvalidArg, "socket must be an absolute path, not 'rel'"),
        ("qemu:///embed?root=", InvalidArg, "root must be an absolute path"),
        ("qemu:///system?sokcet=/a", InvalidArg, "unknown parameter sokcet; known: socket, root, mode, name"),
        ("qemu:///system?socket=/a&socket=/b", InvalidArg, "a parameter is given twice"),
        ("qemu:///system?mode=fast", InvalidArg, "mode is 'fast', not one of auto, direct, legacy"),
        ("qemu:///system?socket", InvalidArg, "does not read name=value"),
    ],
)
async def test_uris_that_mean_nothing(text: str, kind: type[VirtError], words: str) -> None:
    with pytest.raises(kind, match=words):
        await connect(text)


def test_contracts() -> None:
    assert contract_of("qemu") is Hypervisor
    assert contract_of("network") is Networks
    assert all(contract_of(driver) for driver in DRIVERS)


async def test_storage_cannot_be_embedded() -> None:
    with pytest.raises(OperationUnsupported):
        await connect("storage:///embed?root=/nowhere")


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(SystemError_, match="Failed to connect socket to"):
        await connect(f"qemu:///system?root={tmp_path}")


async def test_a_daemon(tmp_path: Path) -> None:
    from support.hypervisor import MemoryHypervisor

    driver = MemoryHypervisor()
    await driver.define("<domain><name>one</name></domain>")
    server = Server({Hypervisor: driver}, access=Access("QEMU"), uris=["qemu:///system"])
    await server.listen(tmp_path / "sock")
    hypervisor = await connect(f"qemu+unix:///system?socket={tmp_path}/sock")
    (domain,) = await hypervisor.domains()
    assert domain.id == -1
    await domain.create()
    assert domain.id == 1
    assert await domain.is_active()
    assert (await domain.info()).vcpus == 1
    assert await hypervisor.uri() == "qemu:///system"
    with pytest.raises(NoConnect):
        await connect(f"qemu+unix:///session?socket={tmp_path}/sock")
    await hypervisor.close()
    await server.close()


async def test_a_socket_at_a_long_path(tmp_path: Path) -> None:
    from support.hypervisor import MemoryHypervisor

    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    server = Server({Hypervisor: MemoryHypervisor()}, access=Access("QEMU"))
    await server.listen(folder / "sock")
    hypervisor = await connect(f"qemu:///system?socket={folder}/sock", readonly=True, timeout=60)
    assert await hypervisor.type() == "QEMU"
    await hypervisor.close()
    await server.close()
