"""Who may see and end a loan of a port: its user, and who may manage ports, by the same permissions as elsewhere."""

from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest

from splitvirt.access.identity import Identity
from virtnetworkd.loan import mine_or_managed

OWNER, OTHER = Identity(1001, 1001), Identity(1002, 1002)


class Caller:
    """Connected, and given some permissions."""

    name = "client 1"

    def __init__(self, identity: Identity, *given: str, readonly: bool = False) -> None:
        self.identity, self.given, self.readonly = identity, given, readonly
        self.asked: list[tuple[str, object]] = []

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        self.asked.append((permission, on))

        async def by_polkit() -> bool:
            return permission in self.given

        return by_polkit()

    def on_close(self, callback: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("caller", "may"),
    [
        (None, True),
        (Caller(Identity(0, 0)), True),
        (Caller(OWNER, readonly=True), True),
        (Caller(OTHER, readonly=True), False),
        (Caller(OTHER, "network_port:delete", readonly=True), False),
        (Caller(OTHER, "network_port:getattr"), False),
        (Caller(OTHER, "network_port:delete"), True),
    ],
)
async def test_a_loan_is_its_user_s_and_who_may_manage_ports(caller: Caller | None, may: bool) -> None:
    lease: Any = SimpleNamespace(taker=OWNER, held=object())
    assert await mine_or_managed(caller, lease, "network_port:delete") is may
    assert caller is None or all(asked == ("network_port:delete", lease.held) for asked in caller.asked)
