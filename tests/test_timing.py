"""The table of times that tell refusals apart: what its numbers mean."""

from __future__ import annotations

from testing.timing import area


def test_an_area_is_a_chance() -> None:
    assert area([1, 2, 3], [1, 2, 3]) == 0.5
    assert area([1, 2], [3, 4]) == 1
    assert area([3, 4], [1, 2]) == 0
    assert area([1, 3], [2, 3]) == 0.625
