import pytest

from bench.interleave import Samples
from bench.result import Results
from bench.rows import PROFILES, rows
from bench.table import line_of, short, table
from testing.versions import VERSIONS
from tests.bench.lines import line

MACHINE = {"cpus": 2, "model": "a model", "memory_mb": 4096}


@pytest.mark.parametrize(
    ("number", "text"),
    [(2018.3, "2018"), (19.32, "19.3"), (1.234, "1.23"), (0.5, "0.50"), (0.00213, "0.0021"), (0.00002, "2e-05")],
)
def test_numbers_keep_their_digits_that_count(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("ratio", "goal", "more_is_better", "reached"),
    [(0.3, 0.3, False, True), (0.31, 0.3, False, False), (3.0, 3.0, True, True), (2.9, 3.0, True, False)],
)
def test_a_goal_is_reached_at_its_value(ratio: float, goal: float, more_is_better: bool, reached: bool) -> None:
    said = line(ratio, goal, more_is_better)
    assert said.reached is reached
    assert ("! " in line_of(said)) is not reached


def test_a_row_gives_one_line_for_each_pair_that_is_complete() -> None:
    row = next(row for row in rows("2.4") if row.name == "first")
    results = Results(VERSIONS["trixie"])
    taken = {side: [0.002, 0.004] for pair in PROFILES.values() for side in pair if side != "stock, tuned"}
    taken["stock"] = [0.004, 0.008]
    lines = results.add(row, Samples(taken, {"stock, tuned": "ConnectionLost: gone"}))
    assert [one.profile for one in lines] == ["executables", "conf.d"]
    assert all(one.ratio.median == pytest.approx(0.5) for one in lines)
    assert lines[0].ours.median == pytest.approx(3.0)
    text = table(results, MACHINE)
    assert "first fetch of a session: stock, tuned: ConnectionLost: gone" in text


def test_the_table_says_that_stocks_login_cannot_run_on_2_3() -> None:
    assert "ours stands in front of both sides" in table(Results(VERSIONS["bookworm"]), MACHINE)
    assert "ours stands in front of both sides" not in table(Results(VERSIONS["trixie"]), MACHINE)


def test_growth_compares_ours_with_ours() -> None:
    few, many = (next(row for row in rows("2.3") if row.name == name) for name in ("maildir-100", "maildir-200k"))
    results = Results(VERSIONS["bookworm"])
    results.samples = {few.name: {"ours, conf.d": [1.0, 1.0]}, many.name: {"ours, conf.d": [2.0]}}
    results.add_growth(few, many, 1.3)
    assert results.lines[0].ratio.median == 2.0
    assert results.lines[0].reached is False
