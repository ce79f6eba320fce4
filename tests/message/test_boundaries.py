"""Which open boundary a line belongs to, against comparing it with one after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.boundaries import BOUNDARY_LIMIT, Boundaries
from dovecot_urlauth.message.part import Part, Place
from dovecot_urlauth.message.window import Mark

PART = Part(Place.ROOT, Mark(0, 0, 0))

texts = st.lists(st.sampled_from([b"", b"a", b"ab", b"a-", b"a--", b"b", b"--", b"-", b"abc"]), max_size=6)
lines = st.lists(st.sampled_from([b"a", b"b", b"c", b"-"]), max_size=6).map(b"".join)


def opened(boundaries: list[bytes]) -> Boundaries:
    result = Boundaries()
    for text in boundaries:
        result.open(text, PART)
    return result


def one_after_the_other(boundaries: list[bytes], line: bytes, dashes: bool) -> int | None:
    """The depth of the boundary that fits, found from the innermost outwards."""
    best = None
    for depth in reversed(range(len(boundaries))):
        text = boundaries[depth]
        if line.startswith(text) and (best is None or len(text) > len(boundaries[best])):
            best = depth
            if len(text) == len(line) or (dashes and len(text) + 2 == len(line)):
                break
    return best


@given(texts, lines, st.booleans())
def test_fitting(boundaries: list[bytes], line: bytes, dashes: bool) -> None:
    found = opened(boundaries).fitting(line, dashes=dashes)
    assert (None if found is None else found.depth) == one_after_the_other(boundaries, line, dashes)


@given(texts, texts, st.booleans(), lines)
def test_what_is_closed_is_forgotten(outer: list[bytes], inner: list[bytes], closing: bool, line: bytes) -> None:
    boundaries = opened(outer)
    boundaries.open(b"x", PART)
    kept = boundaries.fitting(b"x", dashes=False)
    assert kept is not None
    for text in inner:
        boundaries.open(text, PART)
    boundaries.close_inside(kept, closing=closing)
    expected = opened(outer if closing else [*outer, b"x"])
    assert boundaries.needle == expected.needle
    assert bool(boundaries) == bool(expected)
    for text in (line, b"x" + line):
        found, meant = (each.fitting(text, dashes=False) for each in (boundaries, expected))
        assert (found and found.depth) == (meant and meant.depth)


@pytest.mark.parametrize(
    ("boundaries", "needle"),
    [([], b"\n--"), ([b"abc"], b"\n--abc"), ([b"abc", b"abd"], b"\n--ab"), ([b"abc", b"ab", b"abcd"], b"\n--ab")],
)
def test_needle(boundaries: list[bytes], needle: bytes) -> None:
    assert opened(boundaries).needle == needle


def test_only_so_much_of_a_boundary_counts() -> None:
    found = opened([b"x" * 100]).fitting(b"x" * 85, dashes=False)
    assert found is not None
    assert len(found.text) == BOUNDARY_LIMIT == 80
