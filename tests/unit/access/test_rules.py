"""The one decision point, and who the callers are."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from splitvirt.access.identity import Identity, start_time
from splitvirt.access.polkit import Polkit
from splitvirt.access.rules import AUTH_NONE, AUTH_POLKIT, Access, action_of, details_of, read_only
from splitvirt.api.errors import AccessDenied, AuthCancelled, AuthFailed, AuthUnavailable, ServiceError

ALICE = Identity(12345, 12345, 4242, 7)
ROOT = Identity(0, 0, 1, 1)


@pytest.mark.parametrize(
    ("permission", "only_looks"),
    [("domain:getattr", True), ("domain:read", True), ("connect:search_domains", True), ("domain:read_secure", False),
     ("domain:start", False), ("connect:write", False), ("domain:block_read", False), ("domain:mem_read", False)],
)  # fmt: skip
def test_what_a_read_only_socket_gives(permission: str, only_looks: bool) -> None:
    assert read_only(permission) is only_looks
    assert Access("QEMU").allowed(ALICE, True, permission, None) is only_looks
    assert Access("QEMU").allowed(ALICE, False, permission, None) is True


def test_polkit_s_names_and_attributes() -> None:
    assert action_of("network_port:getattr") == "org.libvirt.api.network-port.getattr"
    uuid = UUID(int=5)
    network = SimpleNamespace(name="net", uuid=uuid)
    assert details_of("QEMU", "domain:start", SimpleNamespace(name="demo", uuid=uuid)) == {
        "connect_driver": "QEMU", "domain_name": "demo", "domain_uuid": str(uuid),
    }  # fmt: skip
    port = SimpleNamespace(network=network, uuid=UUID(int=6))
    assert details_of("network", "network_port:read", port)["port_uuid"] == str(UUID(int=6))
    assert details_of("network", "network_port:read", port)["network_name"] == "net"
    assert details_of("QEMU", "connect:getattr", object()) == {"connect_driver": "QEMU"}


def test_a_private_daemon_serves_its_user_and_root_alone() -> None:
    access = Access("QEMU")
    assert access.admits(Identity(os.geteuid(), 0))
    assert access.admits(ROOT)
    assert not access.admits(ALICE)
    assert Access("QEMU", private=False).admits(ALICE)


async def test_what_a_caller_over_the_bus_gets() -> None:
    class Manages:
        async def check(
            self, action: str, caller: Identity, details: dict[str, str], *, interactive: bool = False
        ) -> bool:
            assert not interactive
            return action.endswith("monitor") or caller.uid == 1

    access = Access("QEMU", private=False, auth_ro="polkit", auth_rw="polkit", authority=Manages())
    assert await access.grade(Identity(1, 1)) is False
    assert await access.grade(ALICE) is True
    assert await access.grade(ROOT) is False
    access.opens = lambda caller, readonly: False
    with pytest.raises(AuthFailed):
        await access.grade(ALICE)
    with pytest.raises(AuthFailed):
        await Access("QEMU", private=True).grade(ALICE)


async def test_authentication_is_asked_of_all_but_root() -> None:
    access = Access("QEMU", private=False, auth_rw="polkit")
    assert access.auth(ALICE, False) == AUTH_POLKIT
    assert access.auth(ALICE, True) == AUTH_NONE
    assert access.auth(ROOT, False) == AUTH_NONE
    await access.authenticate(ROOT, False)
    with pytest.raises(AuthFailed, match="no system bus"):
        await access.authenticate(ALICE, False)


def test_fine_access_without_polkit_denies() -> None:
    assert Access("QEMU", fine=True).allowed(ROOT, False, "domain:start", None) is True


class Scripted:
    """A bus on which polkit gives prepared answers."""

    connected = True

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []
        self.changed: Any = None
        self.closed = False

    async def call(self, *words: Any, timeout: float) -> list[object]:
        self.asked.append(words[5])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    def variant(self, signature: str, value: object) -> object:
        return (signature, value)

    async def on_signal(self, sender: str, interface: str, member: str, then: Any, about: str) -> None:
        self.changed = then

    def close(self) -> None:
        self.closed = True


def polkit(*answers: Any) -> tuple[Polkit, Scripted]:
    bus = Scripted(*answers)

    async def connect() -> Any:
        return bus

    return Polkit(connect), bus


YES: Any = (True, False, {})
NO: Any = (False, False, {})


async def test_answers_are_kept_until_polkit_says_that_something_changed() -> None:
    asked, bus = polkit(YES, NO, NO)
    assert await asked.check("a", ALICE, {"x": "1"})
    assert await asked.check("a", ALICE, {"x": "1"})
    assert not await asked.check("a", ALICE, {"x": "2"})
    bus.changed()
    assert not await asked.check("a", ALICE, {"x": "1"})
    assert len(bus.asked) == 3
    assert bus.asked[0][0] == [
        "unix-process", {"pid": ("u", 4242), "start-time": ("t", 7), "uid": ("i", 12345)},
    ]  # fmt: skip


async def test_polkit_s_refusals_have_libvirt_s_reasons() -> None:
    asked, _ = polkit((False, True, {}), (False, False, {"polkit.dismissed": "true"}), NO, ServiceError("gone"))
    with pytest.raises(AuthUnavailable, match="no polkit agent available to authenticate action 'a'"):
        await asked.check("a", ALICE, {}, interactive=True)
    with pytest.raises(AuthCancelled):
        await asked.check("a", ALICE, {}, interactive=True)
    assert not await asked.check("a", ALICE, {}, interactive=True)
    with pytest.raises(AuthUnavailable, match="gone"):
        await asked.check("a", ALICE, {}, interactive=True)


async def test_polkit_gone_denies_and_says_so() -> None:
    asked, _ = polkit(*[ServiceError("gone")] * 4)
    with pytest.raises(AuthUnavailable, match=r"polkit gave no answer about action 'a': .*gone"):
        await asked.check("a", ALICE, {})
    access = Access("QEMU", private=False, auth_ro="polkit", auth_rw="polkit", fine=True, authority=asked)
    with pytest.raises(AccessDenied, match=r"^access denied: polkit gave no answer .*: gone$"):
        await cast(Awaitable[bool], access.allowed(ALICE, False, "domain:start", None))
    with pytest.raises(AuthUnavailable):
        await access.grade(ALICE)


@pytest.mark.parametrize(
    "said", [(), (1, 0, {}), ("yes", False, {}), (True, False), (True, False, {}, 1), "yes", (True, False, None)]
)
async def test_an_answer_that_is_none_is_no_yes(said: Any) -> None:
    asked, _ = polkit(said, said)
    for interactive in (False, True):
        with pytest.raises(AuthUnavailable, match="what it said is no answer"):
            await asked.check("a", ALICE, {}, interactive=interactive)


async def test_a_change_also_undoes_an_answer_that_is_on_its_way() -> None:
    asked, bus = polkit(YES, NO)
    plain = bus.call

    async def overtaken(*words: Any, timeout: float) -> list[object]:
        said = await plain(*words, timeout=timeout)
        if len(bus.asked) == 1:
            bus.changed()
        return said

    bus.call = overtaken  # type: ignore[method-assign]
    assert await asked.check("a", ALICE, {})
    assert not await asked.check("a", ALICE, {})


async def test_a_password_counts_once() -> None:
    asked, _ = polkit(YES, NO)
    assert await asked.check("a", ALICE, {}, interactive=True)
    assert not await asked.check("a", ALICE, {})


async def test_who_asks_the_same_waits_for_the_same_answer() -> None:
    asked, bus = polkit(YES, NO)
    plain, go = bus.call, asyncio.Event()

    async def slow(*words: Any, timeout: float) -> list[object]:
        said = await plain(*words, timeout=timeout)
        await go.wait()
        return said

    bus.call = slow  # type: ignore[method-assign]
    questions = [asyncio.ensure_future(asked.check("a", ALICE, {})) for _ in range(100)]
    other = asyncio.ensure_future(asked.check("b", ALICE, {}))
    await asyncio.sleep(0)
    questions[0].cancel()  # who asked first may go: the others still wait for the answer
    go.set()
    assert await asyncio.gather(*questions[1:]) == [True] * 99
    assert not await other
    assert len(bus.asked) == 2


async def test_a_bus_that_takes_no_connection_costs_each_asker_its_own_deadline() -> None:
    async def connect() -> Any:
        await asyncio.sleep(60)

    asked = Polkit(connect, deadline=0.1)
    async with asyncio.timeout(5):
        failed = await asyncio.gather(*(asked.check(str(n), ALICE, {}) for n in range(100)), return_exceptions=True)
    assert all(isinstance(one, AuthUnavailable) and "longer than 0.1 s" in str(one) for one in failed)


async def test_polkit_is_not_asked_about_names_without_end() -> None:
    asked, bus = polkit(YES)
    with pytest.raises(AuthUnavailable, match="a name of such length"):
        await asked.check("a", ALICE, {"domain_name": "x" * 5000})
    assert not bus.asked


@pytest.mark.parametrize(
    "caller",
    [Identity(12345, 12345), Identity(12345, 12345, 4242, 0), Identity(12345, 12345, 0, 7), Identity(1 << 31, 1, 4, 7)],
)
async def test_polkit_is_not_asked_about_a_process_that_is_not_known(caller: Identity) -> None:
    asked, bus = polkit(YES)
    with pytest.raises(AuthUnavailable):
        await asked.check("a", caller, {})
    assert not bus.asked


def test_the_peer_of_a_socket_is_who_the_kernel_says() -> None:
    near, far = socket.socketpair()
    who = Identity.of_socket(near)
    assert (who.uid, who.gid, who.pid) == (os.getuid(), os.getgid(), os.getpid())
    assert who.start_time == start_time(os.getpid()) > 0
    assert who.alive()
    near.close()
    far.close()


def test_who_connected_and_is_gone_is_not_taken_for_who_has_its_pid_now(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        script = f"import socket; socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'sock')!r})"
        child = subprocess.Popen([sys.executable, "-c", script])
        assert child.wait(60) == 0
        near, _ = listening.accept()
        with near:
            who = Identity.of_socket(near)
    assert (who.uid, who.pid, who.start_time) == (os.getuid(), child.pid, 0)
    assert not who.alive()


def test_a_user_without_a_name_is_in_its_own_group_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    unnamed = 3_999_999_999
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [27])  # whoever is called "3999999999"
    assert not Identity(unnamed, 5).member_of([27])
    assert Identity(unnamed, 5).member_of([5])


def test_a_process_that_has_ended_is_not_taken_for_its_successor() -> None:
    assert not Identity(0, 0, os.getpid(), start_time(os.getpid()) - 1).alive()


def test_an_identity_passed_on() -> None:
    given = {"unix-user-id": 7, "unix-group-id": 8, "process-id": 9, "process-time": 10, "user-name": "x"}
    assert Identity.of_parameters(given) == Identity(7, 8, 9, 10)
    with pytest.raises(KeyError):
        Identity.of_parameters({"user-name": "root"})
    with pytest.raises(KeyError):
        Identity.of_parameters({"unix-user-id": "0"})
