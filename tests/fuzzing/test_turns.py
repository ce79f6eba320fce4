"""Which target runs when, and what is counted."""

from __future__ import annotations

from fuzzing.__main__ import Row, turns

SAID = "#9 cov: 1 ft: 2 corp: 3/9b\n#99 cov: 42 ft: 114 corp: 26/9b\nstat::number_of_executed_units: 400\n"


def test_each_has_one_turn() -> None:
    assert list(turns({"a": Row(), "b": Row()}, 0)) == ["a", "b"]


def test_turns_until_there_were_enough() -> None:
    rows = {"a": Row(), "b": Row()}
    had = []
    for name in turns(rows, 1500):
        had.append(name)
        rows[name].add(SAID, True)
    assert had == ["a", "b", "a", "b"]
    assert rows["a"] == Row(800, 42, 114, 26)


def test_what_is_broken_has_no_more_turns() -> None:
    rows = {"a": Row(), "b": Row()}
    had = []
    for name in turns(rows, 1100):
        had.append(name)
        rows[name].add(SAID if name == "b" else "Traceback", name == "b")
    assert had == ["a", "b", "b", "b"]
    assert rows["a"].line("a").endswith("BROKEN, see .fuzzing/a.log")
    rows["b"].good = False
    assert list(turns(rows, 10**9)) == ["a", "b"]
