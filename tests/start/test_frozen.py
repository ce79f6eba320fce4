from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
from typing import Any

import pytest

from dovecot_urlauth.start.frozen import MANY, Enum, complete_classes, frozen, is_frozen


@frozen
class Point:
    """A place."""

    x: int
    y: int = 0
    name: bytes = b""

    @property
    def flipped(self) -> Point:
        return Point(self.y, self.x)

    def moved(self, dx: int) -> Point:
        return Point(self.x + dx, self.y, self.name)


@frozen
class Marked(Point):
    mark: bytes = b"!"


@frozen
class Nothing:
    """No fields at all."""


class Colour(Enum):
    """Three of them."""

    RED = 1
    GREEN = 2
    BLUE = "blue"

    def shout(self) -> str:
        return self.name + "!"


REAL = dataclasses.make_dataclass(
    "Point", [("x", int), ("y", int, 0), ("name", bytes, b"")], frozen=True, slots=True
)


@pytest.mark.parametrize(
    ("values", "named"),
    [((1,), {}), ((1, 2), {}), ((1, 2, b"n"), {}), ((1,), {"name": b"n"}), ((), {"x": 5})],
)
def test_record_is_built_as_a_dataclass_is(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    ours, real = Point(*values, **named), REAL(*values, **named)
    assert (ours.x, ours.y, ours.name) == (real.x, real.y, real.name)
    assert repr(ours) == repr(real)


@pytest.mark.parametrize("made", [0, MANY])
def test_record_is_the_same_however_many_there_were(made: int) -> None:
    def fresh() -> type[Any]:
        @frozen
        class Place:
            x: int
            names: tuple[str, ...] = ("one",)

        @frozen
        class Named(Place):
            name: bytes = b"!"

        return Named

    kind = fresh()
    for number in range(made):
        assert kind(number).x == number
    one = kind(5, name=b"n")
    assert (one.x, one.names, one.name) == (5, ("one",), b"n")
    assert one == kind(5, ("one",), b"n") != kind(6)
    assert (kind.__init__ is fresh().__init__) == (made < MANY)
    for values, named in (((), {}), ((1, (), b"", 4), {}), ((1,), {"x": 1}), ((1,), {"z": 1})):
        with pytest.raises(TypeError):
            kind(*values, **named)
    with pytest.raises(AttributeError):
        one.x = 2


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, b"", 4), {}), ((1,), {"z": 1})])
def test_record_refuses_wrong_fields(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        REAL(*values, **named)
    with pytest.raises(TypeError):
        Point(*values, **named)


def test_record_is_frozen_and_has_slots() -> None:
    point = Point(1)
    for name in ("x", "other"):
        with pytest.raises(AttributeError):
            setattr(point, name, 2)
    with pytest.raises(AttributeError):
        del point.x
    assert not hasattr(point, "__dict__")


def test_records_compare_by_class_and_values() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(2, 1)
    assert Point(1, 2) != (1, 2, b"")  # type: ignore[comparison-overlap]
    assert Point(1, 2) != Marked(1, 2)
    assert Nothing() == Nothing()
    assert len({Point(1), Point(1), Point(2)}) == 2


def test_record_keeps_methods_properties_and_docstring() -> None:
    assert Point(1, 2).flipped == Point(2, 1)
    assert Point(1).moved(3) == Point(4)
    assert Point.__doc__ == "A place."
    assert Point.__module__ == __name__


def test_record_inherits_fields_first() -> None:
    marked = Marked(1, 2, b"n")
    assert (marked.x, marked.name, marked.mark) == (1, b"n", b"!")
    assert isinstance(marked, Point)
    assert repr(marked) == "Marked(x=1, y=2, name=b'n', mark=b'!')"


def test_record_matches_by_position() -> None:
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


def test_enum_members() -> None:
    real = enum.Enum("Colour", {"RED": 1, "GREEN": 2, "BLUE": "blue"})  # type: ignore[misc]
    assert [(member.name, member.value) for member in Colour] == [(m.name, m.value) for m in real]
    assert len(Colour) == len(real)
    assert repr(Colour.RED) == repr(real.RED)
    assert Colour("blue") is Colour.BLUE
    assert Colour.RED is not Colour.GREEN  # type: ignore[comparison-overlap]
    assert Colour.RED != Colour.GREEN  # type: ignore[comparison-overlap]
    assert {Colour.RED: 1}[Colour(1)] == 1
    assert isinstance(Colour.RED, Colour)
    assert Colour.RED.shout() == "RED!"


def test_enum_is_closed() -> None:
    with pytest.raises(ValueError, match="3 is not a valid Colour"):
        Colour(3)
    with pytest.raises(AttributeError):
        Colour.RED = 5  # type: ignore[misc]


def test_value_needs_no_module_of_the_library() -> None:
    """dataclasses and enum would cost more than starting the interpreter does."""
    program = "import sys; before = set(sys.modules); import dovecot_urlauth.start.frozen; " + (
        "print(sorted(name for name in set(sys.modules) - before if 'dovecot_urlauth' not in name))"
    )
    run = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "['__future__']\n"


def test_a_class_is_complete_before_there_are_many() -> None:
    @frozen
    class Fresh:
        first: int
        second: str = "two"

    common = Fresh.__init__
    complete_classes()
    own = Fresh.__init__
    assert own is not common
    assert [Fresh(number) for number in range(MANY + 1)][-1] == Fresh(first=MANY, second="two")
    assert Fresh.__init__ is own


def test_what_is_frozen() -> None:
    assert is_frozen(Point(1))
    assert is_frozen(Marked(1))
    assert not is_frozen(Colour.RED)
    assert not is_frozen(Point)
