"""Moments in order, and those that nobody waits for any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.service.timers import FEWEST_STALE, Timers


def test_the_next_comes_first() -> None:
    timers: Timers[str] = Timers()
    assert timers.next() is None
    timers.set(5.0, "late")
    timers.set(2.0, "early")
    assert timers.next() == 2.0
    assert timers.due(1.0) == []
    assert timers.due(2.0) == ["early"]
    assert timers.due(9.0) == ["late"]
    assert timers.next() is None


def test_who_went_on_is_not_due() -> None:
    timers: Timers[str] = Timers()
    stopped = timers.set(1.0, "a")
    timers.set(2.0, "b")
    timers.stop(stopped)
    timers.stop(stopped)
    assert timers.next() == 2.0
    assert timers.due(3.0) == ["b"]
    timers.stop(stopped)
    assert len(timers) == 0


def test_stopped_ones_do_not_pile_up() -> None:
    timers: Timers[int] = Timers()
    for number in range(FEWEST_STALE * 10):
        timers.stop(timers.set(600.0 + number, number))
        assert len(timers) <= FEWEST_STALE + 1
    timers.clear()
    assert timers.next() is None


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=300), st.integers(0, 21))
def test_any_history_gives_the_model(history: list[tuple[int, bool]], now: int) -> None:
    timers: Timers[int] = Timers()
    waiting: list[tuple[int, int]] = []
    for number, (when, goes_on) in enumerate(history):
        timer = timers.set(float(when), number)
        if goes_on:
            timers.stop(timer)
        else:
            waiting.append((when, number))
    due = timers.due(float(now))
    assert sorted(due) == sorted(number for when, number in waiting if when <= now)
    assert [history[number][0] for number in due] == sorted(history[number][0] for number in due)
    assert timers.next() == min((when for when, _ in waiting if when > now), default=None)
