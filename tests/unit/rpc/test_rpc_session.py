"""The handshake, and libvirtd's words for what goes wrong (recorded from libvirtd 9.0)."""

import struct

import pytest
from support.rpc_house import House, serving, until
from support.wire import RawClient, open_payload, xdr_string

from splitvirt.access.identity import Identity
from splitvirt.access.rules import AUTH_POLKIT, Access
from splitvirt.api.errors import AuthFailed
from splitvirt.api.program import ADMIN, KEEPALIVE, REMOTE
from splitvirt.rpc.message import CALL, MESSAGE, frame

RPC = 7


async def error(client: RawClient, procedure: int, payload: bytes = b"", **rest: int) -> tuple[int, int, str]:
    found = (await client.ask(procedure, payload, **rest)).error
    return found.code, found.domain, str(found)


async def test_handshake_of_virsh(house: House) -> None:
    client = await RawClient.connect(house.path, open=False)
    assert (await client.ask(66)).payload == struct.pack(">II", 1, 0)
    assert (await client.ask(60, struct.pack(">i", 10))).payload == b"\0\0\0\1"
    assert (await client.ask(1, open_payload("small:///system", 0xFF0))).status == 0
    for feature, expected in ((8, 1), (14, 1), (15, 1), (9, 1), (13, 0)):
        assert (await client.ask(60, struct.pack(">i", feature))).payload == struct.pack(">i", expected)
    assert (await client.ask(360)).status == 0
    assert (await client.ask(361)).status == 0
    assert (await client.ask(2)).status == 0
    assert await client.at_end()
    await until(lambda: not house.server.peers)


async def test_before_the_open(house: House) -> None:
    client = await RawClient.connect(house.path, open=False)
    not_open = (1, RPC, "internal error: hypervisor connection not open")
    assert await error(client, 157) == not_open
    assert await error(client, 60, struct.pack(">i", 9)) == not_open
    assert (await client.ask(1, open_payload())).status == 0
    assert await error(client, 1, open_payload()) == (1, RPC, "internal error: connection already open")


async def test_another_driver_uri_is_refused(house: House) -> None:
    client = await RawClient.connect(house.path, open=False)
    found = (await client.ask(1, open_payload("network:///system"))).error
    assert found.code == 5
    assert "no connection driver available for network:///system" in str(found)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(0x12345, 1, CALL, 1), "Cannot find program 74565 version 1"),
        (frame(REMOTE, 1, CALL, 1, version=2), "Cannot find program 536903814 version 2"),
        (frame(ADMIN, 1, CALL, 1), "Cannot find program 110102160 version 1"),
        (frame(KEEPALIVE, 1, CALL, 1), "Cannot find program 1801807216 version 1"),
        (frame(REMOTE, 9999, CALL, 1), "unknown procedure: 9999"),
        (frame(REMOTE, -1, CALL, 1), "unknown procedure: -1"),
        (frame(REMOTE, 0, CALL, 1), "unknown procedure: 0"),
        (frame(REMOTE, 318, CALL, 1), "unknown procedure: 318"),
        (frame(REMOTE, 157, CALL, 1, 1), "Unexpected message status 1"),
        (frame(REMOTE, 157, CALL, 1, 7), "Unexpected message status 7"),
        (frame(REMOTE, 24, CALL, 1, 0, b"\0\0"), "Unable to decode message payload"),
        (frame(REMOTE, 41, CALL, 1, 0, b"\xff\xff\xff\xff"), "Unable to decode message payload"),
    ],
)
async def test_calls_that_cannot_be_answered(house: House, data: bytes, expected: str) -> None:
    client = await RawClient.connect(house.path)
    await client.send(data)
    found = (await client.frame()).error
    assert (found.code, found.domain) == (39, RPC)
    assert str(found).startswith(expected)
    assert (await client.ask(157)).payload == struct.pack(">Q", 9000000)


@pytest.mark.parametrize("kind", [1, 2, 3, 6, 9, -5])
async def test_frames_no_client_sends_are_dropped(house: House, kind: int) -> None:
    client = await RawClient.connect(house.path)
    await client.send(frame(REMOTE, 157, kind, 7, 0, bytes(12)))
    assert (await client.ask(157, serial=8)).serial == 8


async def test_ping_is_answered(house: House) -> None:
    client = await RawClient.connect(house.path, open=False)
    await client.send(frame(KEEPALIVE, 1, MESSAGE, 0))
    assert (await client.frame())[:6] == (KEEPALIVE, 1, 2, MESSAGE, 0, 0)


async def test_unexpected_fault_is_told_by_type_only(house: House, caplog: pytest.LogCaptureFixture) -> None:
    client = await RawClient.connect(house.path)
    code, _, text = await error(client, 42)
    assert code == 1
    assert "RuntimeError" in text
    assert "secret" not in text
    assert "a secret of the daemon" in caplog.text


async def test_not_supported(house: House) -> None:
    client = await RawClient.connect(house.path)
    code, _, text = await error(client, 45)
    assert (code, text) == (3, "this function is not supported by the connection driver: virSmallNever")


async def test_what_other_drivers_do_is_not_supported(house: House) -> None:
    client = await RawClient.connect(house.path)
    for procedure, name in ((283, "virConnectListAllNetworks"), (9, "virDomainCreateWithFlags"), (178, None)):
        code, _, text = await error(client, procedure, bytes(8))
        assert code == 3
        assert name is None or text.endswith(name)


async def test_read_only_socket(house: House) -> None:
    client = await RawClient.connect(house.path_ro)
    assert (await client.ask(41, xdr_string("x"))).status == 0
    code, _, text = await error(client, 196, xdr_string("one") + bytes(15) + b"\1" + bytes(8))
    assert (code, text) == (29, "operation forbidden: read only access prevents virSmallTouch")
    assert house.driver.touched == 0


async def test_read_only_open_on_the_other_socket(house: House) -> None:
    client = await RawClient.connect(house.path, open=False)
    await client.ask(1, open_payload(flags=1))
    assert (await error(client, 196, xdr_string("one") + bytes(15) + b"\1" + bytes(8)))[0] == 29


class Polkit(Access):
    """Wants proof, and gets it when it is told so."""

    def __init__(self) -> None:
        super().__init__("SMALL")
        self.grant = False

    def auth(self, caller: Identity, readonly: bool) -> int:
        return 0 if readonly else AUTH_POLKIT

    async def authenticate(self, caller: Identity, readonly: bool) -> None:
        if not self.grant:
            raise AuthFailed("polkit says no")


async def test_polkit(tmp_path: object) -> None:
    access = Polkit()
    async with serving(tmp_path, access=access) as house:  # type: ignore[arg-type]
        client = await RawClient.connect(house.path, open=False)
        assert (await client.ask(66)).payload == struct.pack(">II", 1, 2)
        assert await error(client, 1, open_payload()) == (39, RPC, "authentication required")
        assert await error(client, 157) == (39, RPC, "authentication required")
        assert (await error(client, 70))[0] == 45
        assert (await error(client, 67))[0] == 45
        assert len(house.server.unproved) == 1
        access.grant = True
        assert (await client.ask(70)).payload == b"\0\0\0\1"
        assert len(house.server.unproved) == 0
        assert (await client.ask(1, open_payload())).status == 0
        assert (await client.ask(157)).status == 0


async def test_a_large_frame_before_authentication_is_refused(tmp_path: object) -> None:
    async with serving(tmp_path, access=Polkit()) as house:  # type: ignore[arg-type]
        client = await RawClient.connect(house.path, open=False)
        await client.send(struct.pack(">I", 1 << 20))
        assert await client.at_end()


def identity_payload(*params: tuple[str, int]) -> bytes:
    body = b"".join(xdr_string(name) + struct.pack(">IQ", 4, value) for name, value in params)
    return struct.pack(">I", len(params)) + body + struct.pack(">I", 0)


async def test_set_identity(house: House) -> None:
    client = await RawClient.connect(house.path)
    payload = identity_payload(("unix-user-id", 4242), ("unix-group-id", 77), ("process-id", 5))
    assert (await client.ask(419, payload)).status == 0
    (peer,) = house.server.peers.values()
    assert (peer.identity.uid, peer.identity.gid, peer.identity.pid) == (4242, 77, 5)
    assert peer.process.uid != 4242


async def test_set_identity_without_a_user(house: House) -> None:
    client = await RawClient.connect(house.path)
    assert (await error(client, 419, identity_payload(("process-id", 5))))[0] == 8


async def test_set_identity_by_a_stranger(tmp_path: object) -> None:
    class Distrust(Access):
        def trusts(self, peer: Identity) -> bool:
            return False

    async with serving(tmp_path, access=Distrust("SMALL")) as house:  # type: ignore[arg-type]
        client = await RawClient.connect(house.path)
        assert (await error(client, 419, identity_payload(("unix-user-id", 0))))[0] == 88
