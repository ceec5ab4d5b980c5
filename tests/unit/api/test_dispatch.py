"""The road from a front end to a driver: objects found, permissions asked, lists filtered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from splitvirt.api import constants as c
from splitvirt.api.call import Call, calls
from splitvirt.api.dispatch import current_caller, perform, require
from splitvirt.api.domain import Domain, DomainStats
from splitvirt.api.draft import Draft
from splitvirt.api.errors import AccessDenied, NoDomain, NoSupport, VirtError, XMLError
from splitvirt.api.hypervisor import Hypervisor
from splitvirt.api.network import Networks
from splitvirt.api.record import Ref
from splitvirt.api.snapshot import Snapshot

CALLS = {(made.on, made.name): made for made in (*calls(Hypervisor), *calls(Networks))}


class House(Domain):
    """A domain of the test's."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.uuid, self.id = name, UUID(int=number), number
        self.log: list[str] = []

    async def xml(self, flags: int = 0) -> str:
        self.log.append(f"xml {flags}")
        return f"<domain><name>{self.name}</name></domain>"

    async def destroy(self, flags: int = 0) -> None:
        caller = current_caller()
        self.log.append(f"destroyed by {caller.name if caller else 'itself'}")

    async def create(self, flags: int = 0) -> None:
        self.log.append("created")

    async def snapshot_by_name(self, name: str, flags: int = 0) -> Snapshot:
        made: Any = Moment()
        made.name, made.domain = name, self
        return made  # type: ignore[no-any-return]


class Moment(Snapshot):
    """A snapshot of the test's."""

    async def is_current(self, flags: int = 0) -> bool:
        return True


class Street(Hypervisor):
    """A hypervisor of the test's."""

    def __init__(self) -> None:
        self.houses = [House("red", 1), House("blue", 2)]

    async def domain_by_uuid(self, uuid: UUID) -> Domain:
        for house in self.houses:
            if house.uuid == uuid:
                return house
        raise NoDomain(f"no domain with matching uuid '{uuid}'")

    async def domain_by_name(self, name: str) -> Domain:
        return next(house for house in self.houses if house.name == name)

    async def domains(self, flags: int = 0) -> list[Domain]:
        return list(self.houses)

    async def define(self, xml: str, flags: int = 0) -> Domain:
        return self.houses[0]

    async def restore(self, path: str, xml: str | None = None, flags: int = 0) -> None:
        await require("domain:start", self.houses[0])

    async def stats(self, domains: list[Domain] = [], stats: int = 0, flags: int = 0) -> list[DomainStats]:  # noqa: B006
        return [DomainStats(house, []) for house in domains or self.houses]


class Person:
    """A caller of the test's: what it may do is a table; every second answer has to be waited for."""

    name, identity, readonly = "somebody", None, False

    def __init__(self, *forbidden: str) -> None:
        self.forbidden, self.asked = forbidden, list[str]()

    def allowed(self, permission: str, on: object) -> bool | Awaitable[bool]:
        wanted = f"{permission} {getattr(on, 'name', None) or type(on).__name__}"
        self.asked.append(wanted)
        answer = wanted not in self.forbidden
        return answer if len(self.asked) % 2 else self._later(answer)

    async def _later(self, answer: bool) -> bool:
        await asyncio.sleep(0)
        return answer

    def on_close(self, callback: Callable[[], None]) -> None:
        pass


def one(on: type, name: str) -> Call:
    return CALLS[on, name]


def ref(house: House, **lies: Any) -> Ref:
    return Ref(Domain, {"name": house.name, "uuid": house.uuid, "id": house.id} | lies)


async def test_the_real_object_is_found() -> None:
    street, person = Street(), Person()
    await perform(street, one(Domain, "destroy"), [ref(street.houses[1], name="red", id=1), 0], person)
    assert [house.log for house in street.houses] == [[], ["destroyed by somebody"]]
    assert person.asked == ["domain:stop blue"]
    assert current_caller() is None


async def test_an_object_that_is_gone() -> None:
    street = Street()
    gone = Ref(Domain, {"name": "green", "uuid": UUID(int=9), "id": -1})
    with pytest.raises(NoDomain) as caught:
        await perform(street, one(Domain, "destroy"), [gone, 0], Person())
    assert str(caught.value).endswith("'00000000-0000-0000-0000-000000000009' (green)")


async def test_refused() -> None:
    street = Street()
    with pytest.raises(AccessDenied) as caught:
        await perform(street, one(Domain, "destroy"), [ref(street.houses[0]), 0], Person("domain:stop red"))
    assert caught.value.code == c.VIR_ERR_ACCESS_DENIED
    assert street.houses[0].log == []


@pytest.mark.parametrize(("flags", "asked"), [(0, 1), (c.VIR_DOMAIN_XML_SECURE, 2), (9, 3), (2, 1)])
async def test_conditions_on_flags(flags: int, asked: int) -> None:
    street, person = Street(), Person()
    await perform(street, one(Domain, "xml"), [ref(street.houses[0]), flags], person)
    assert len(person.asked) == asked


@pytest.mark.parametrize(
    ("flags", "asked"),
    [(0, ["write", "save"]), (c.VIR_DOMAIN_AFFECT_LIVE, ["write"]), (2, ["write", "save"]), (3, ["write", "save"])],
)
def test_conditions_on_affect(flags: int, asked: list[str]) -> None:
    rules = one(Domain, "attach_device").rules
    assert [rule.permission for rule in rules if rule.applies([None, "<disk/>", flags])] == asked


@pytest.mark.parametrize(("source", "asked"), [(0, ["read"]), (1, ["read", "write"]), (2, ["read"])])
def test_conditions_on_a_value(source: int, asked: list[str]) -> None:
    rules = one(Domain, "interface_addresses").rules
    assert [rule.permission for rule in rules if rule.applies([None, source, 0])] == asked


async def test_what_is_looked_up_is_asked_about_when_it_is_found() -> None:
    street, person = Street(), Person("domain:getattr blue")
    assert await perform(street, one(Hypervisor, "domain_by_name"), ["red"], person) is street.houses[0]
    with pytest.raises(AccessDenied):
        await perform(street, one(Hypervisor, "domain_by_name"), ["blue"], person)


async def test_lists_are_filtered() -> None:
    street, person = Street(), Person("domain:getattr blue", "domain:read red")
    assert await perform(street, one(Hypervisor, "domains"), [0], person) == street.houses[:1]
    told = await perform(street, one(Hypervisor, "stats"), [[], 0, 0], person)
    assert [item.domain.name for item in told] == ["blue"]
    assert "connect:search_domains Street" in person.asked


async def test_of_a_list_of_objects_those_that_are_there() -> None:
    street = Street()
    wanted = [ref(street.houses[1]), Ref(Domain, {"name": "x", "uuid": UUID(int=5), "id": 5})]
    told = await perform(street, one(Hypervisor, "stats"), [wanted, 0, 0], Person())
    assert [item.domain for item in told] == street.houses[1:]
    assert await perform(street, one(Hypervisor, "stats"), [wanted[1:], 0, 0], Person()) == []


async def test_new_objects_are_asked_about_by_their_xml() -> None:
    street, person = Street(), Person("domain:save green")
    xml = f"<domain><name> green </name><uuid>{UUID(int=7)}</uuid><devices><name>red</name></devices></domain>"
    with pytest.raises(AccessDenied):
        await perform(street, one(Hypervisor, "define"), [xml, 0], person)
    assert person.asked == ["domain:write green", "domain:save green"]
    assert Draft("domain", xml).uuid == UUID(int=7)


@pytest.mark.parametrize(
    "xml",
    [
        "<domain><name>a</name><name>b</name></domain>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><domain><name>&a;</name></domain>",
    ],
)
def test_xml_that_means_two_things(xml: str) -> None:
    with pytest.raises(XMLError):
        assert Draft("domain", xml).name


def test_xml_that_says_nothing() -> None:
    for xml in ("", "<domain/>", "<domain><name>", "<domain><uuid>no</uuid></domain>", "\0"):
        assert Draft("domain", xml).name is None
        assert Draft("domain", xml).uuid is None


async def test_a_driver_asks_for_itself() -> None:
    street = Street()
    with pytest.raises(AccessDenied):
        await perform(street, one(Hypervisor, "restore"), ["/path", None, 0], Person("domain:start red"))
    await perform(street, one(Hypervisor, "restore"), ["/path", None, 0], Person())
    await street.restore("/path")


async def test_snapshots_are_found_and_guarded_through_their_domain() -> None:
    street, person = Street(), Person()
    moment = Ref(Snapshot, {"name": "then", "domain": ref(street.houses[0])})
    assert await perform(street, one(Snapshot, "is_current"), [moment, 0], person) is True
    assert person.asked == ["domain:read red"]


async def test_the_object_is_answered_where_the_wire_wants_it() -> None:
    street = Street()
    create = one(Domain, "create")
    assert await perform(street, create, [ref(street.houses[0]), 0], None) is street.houses[0]
    assert await perform(street, create.older[0], [ref(street.houses[0]), 0], None) is street.houses[0]
    assert create.older[0].pack_result(street.houses[0]) == b""


async def test_what_a_driver_does_not_have() -> None:
    street = Street()
    with pytest.raises(NoSupport) as caught:
        await perform(street, one(Hypervisor, "sysinfo"), [0], None)
    assert caught.value.code == c.VIR_ERR_NO_SUPPORT
    words = "this function is not supported by the connection driver: virConnectGetSysinfo"
    assert str(caught.value) == words
    for made in CALLS.values():
        with pytest.raises(VirtError) as caught2:
            await getattr(made.on, made.name)(street)
        assert str(caught2.value).endswith(made.api)
