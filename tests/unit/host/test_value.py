"""Classes of values behave as frozen dataclasses do."""

import pytest

from splitvirt.host.value import value


@value
class Point:
    """A point."""

    x: int
    y: int = 0

    @property
    def sum(self) -> int:
        return self.x + self.y


def test_they_are_compared_hashed_and_shown_by_their_fields() -> None:
    assert Point(1, y=2) == Point(1, 2) != Point(1)
    assert {Point(1): "here"}[Point(1, 0)] == "here"
    assert repr(Point(1)) == "Point(x=1, y=0)"
    assert Point(1, 2).sum == 3
    assert Point(1) != object()


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_wrong_fields_are_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)


def test_they_do_not_change() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="cannot be changed"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot be changed"):
        del point.x
    assert point == Point(1)
