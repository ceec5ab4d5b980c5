"""The PCI space alone: what fits where, what grows, what is refused."""

import pytest

from splitvirt.api.errors import InternalError, XMLError
from virtqemud.prepare.pci.connect import AUTO, PCI, PCIE, PLUGS
from virtqemud.prepare.pci.space import Bus, Space


def space(*models: str, growing: bool = True, to_pci: bool = True) -> Space:
    made = Space(growing=growing, to_pci=to_pci)
    for index, model in enumerate(models):
        made.set_bus(index, Bus(model))
    return made


def models(made: Space) -> list[str]:
    return [bus.model for bus in made.buses if bus is not None]


def test_slots_in_order_and_slot_zero_is_the_host_bridges() -> None:
    made = space("pci-root")
    assert [made.take(PCI | AUTO).slot for _ in range(3)] == [1, 2, 3]


def test_ports_share_a_slot_a_function_each() -> None:
    made = space("pcie-root")
    taken = [made.take(PLUGS["pcie-root-port"]) for _ in range(10)]
    assert [(a.slot, a.function) for a in taken] == [*((1, f) for f in range(8)), (2, 0), (2, 1)]


def test_an_express_device_brings_its_port_and_an_old_one_the_way_to_pci() -> None:
    made = space("pcie-root")
    assert made.take(PCIE | AUTO).place == (0, 1, 0, 0)
    assert made.take(PCI | AUTO).place == (0, 3, 1, 0)
    assert models(made) == ["pcie-root", "pcie-root-port", "pcie-root-port", "pcie-to-pci-bridge"]


def test_without_the_newer_bridge_the_way_is_the_older_one() -> None:
    made = space("pcie-root", to_pci=False)
    made.take(PCI | AUTO)
    assert models(made) == ["pcie-root", "dmi-to-pci-bridge", "pci-bridge"]


def test_full_buses_grow_a_bridge() -> None:
    made = space("pci-root")
    last = [made.take(PCI | AUTO) for _ in range(32)][-1]
    assert (last.bus, last.slot) == (1, 1)
    assert models(made) == ["pci-root", "pci-bridge"]


def test_what_cannot_grow_is_refused() -> None:
    with pytest.raises(InternalError, match="No more available PCI slots"):
        space("pcie-root-port", growing=False).take(PCI | AUTO)
    with pytest.raises(InternalError, match="model='pcie-root-port', but none is available"):
        space("pci-root").take(PLUGS["pcie-root-port"])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((1, 0, 5, 0), "Only PCI domain 0 is available"),
        ((0, 7, 5, 0), "Only PCI buses up to 1 are available"),
        ((0, 0, 0, 0), "slot must be >= 1"),
        ((0, 1, 1, 0), "slot must be <= 0"),
    ],
)
def test_places_that_are_none(place: tuple[int, int, int, int], message: str) -> None:
    made = space("pcie-root", "pcie-root-port", growing=False)
    with pytest.raises(XMLError, match=message):
        made.reserve(place, PCIE | AUTO, given=True)


def test_a_place_is_given_once() -> None:
    made = space("pci-root")
    made.reserve((0, 0, 5, 0), PCI, given=True)
    made.reserve((0, 0, 5, 1), PCI, given=True)
    with pytest.raises(XMLError, match=r"Attempted double use of PCI Address 0000:00:05\.1"):
        made.reserve((0, 0, 5, 1), PCI, given=True)
