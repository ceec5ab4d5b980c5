"""Object paths, as libvirt-dbus writes them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lamps import Lamp, Lamps, RealLamps

from splitvirt.api.errors import InvalidArg
from splitvirt.dbus.names import decode, encode, of_uuid, to_uuid
from splitvirt.dbus.paths import Paths, leaf_of, ref_of
from splitvirt.dbus.table import interfaces_of, introspect


@given(st.text(min_size=1))
def test_any_text_survives_a_path_element(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    made = encode(text)
    assert all(c.isascii() and (c.isalnum() or c == "_") for c in made)
    assert decode(made) == text


@given(st.uuids())
def test_uuids(uuid: UUID) -> None:
    assert of_uuid(uuid) == "_" + str(uuid).replace("-", "_")
    assert to_uuid(of_uuid(uuid)) == uuid


@pytest.mark.parametrize(
    "path", ["/x", "/a/lamp", "/a/lamp/", "/a/lamp/_1", "/a/table/_1", "/a/lamp/_1/x", "/alamp/_1"]
)
def test_what_is_no_object(path: str) -> None:
    paths = Paths("/a")
    paths.add(Lamps.OBJECTS)
    with pytest.raises(InvalidArg):
        paths.ref(path)


def test_there_and_back() -> None:
    room = RealLamps("desk")
    lamp = next(iter(room.all.values()))
    paths = Paths("/a")
    paths.add(Lamps.OBJECTS)
    ref = paths.ref(paths.of(lamp), Lamp)
    assert (ref.kind, ref.uuid) == (Lamp, lamp.uuid)
    assert leaf_of(Lamp, lamp) == of_uuid(lamp.uuid)


def test_objects_of_objects_name_both() -> None:
    from splitvirt.api.snapshot import Snapshot as Kind

    class Of:
        uuid = UUID(int=3)

    class Snapshot:
        domain, name = Of(), "before-update"

    leaf = leaf_of(Kind, Snapshot())
    assert leaf == f"{of_uuid(UUID(int=3))}_before_2dupdate"
    ref = ref_of(Kind, leaf)
    assert (ref.domain.uuid, ref.name) == (UUID(int=3), "before-update")


def test_every_contract_has_introspection_that_parses() -> None:
    from importlib import import_module
    from xml.etree import ElementTree

    from splitvirt.connect import DRIVERS

    for _, module, name in DRIVERS.values():
        root = ElementTree.fromstring(introspect(interfaces_of(getattr(import_module(module), name)), ["x"]))
        assert root.findall("interface")
