"""Names of machines, scopes and slices: as libvirtd 9.0 makes them."""

import pytest

from splitvirt.api.errors import ConfigUnsupported
from virtqemud.running.scope import machine_name, slice_name, unit_name

LONG = "averyveryverylongnameofadomainthatiseverysolongthatitmustbecutatsomepointbyalimit-yes"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("demo", r"machine-qemu\x2d2\x2ddemo.scope"),
        ("a_b..c--d.e- é", r"machine-qemu\x2d2\x2dab.c\x2dd.e.scope"),
        ("-x-", r"machine-qemu\x2d2\x2dx.scope"),
        (LONG, rf"machine-qemu\x2d2\x2d{LONG[:57]}.scope"),
    ],
)
def test_scopes(name: str, unit: str) -> None:
    assert unit_name(machine_name(2, name)) == unit


@pytest.mark.parametrize(
    ("partition", "name"),
    [
        ("/machine", "machine.slice"),
        ("/machine/prod", "machine-prod.slice"),
        ("/machine/prod-x/", r"machine-prod\x2dx.slice"),
        ("/a b/c", r"a\x20b-c.slice"),
        ("/", "-.slice"),
    ],
)
def test_slices(partition: str, name: str) -> None:
    assert slice_name(partition) == name


def test_a_partition_is_a_path() -> None:
    with pytest.raises(ConfigUnsupported, match="Resource partition 'machine' must start with '/'"):
        slice_name("machine")
