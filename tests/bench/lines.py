"""Lines of a table, made up."""

from __future__ import annotations

from bench.result import Comparison
from bench.summary import Spread


def line(
    ratio: float, goal: float | None = None, more_is_better: bool = False, title: str = "first"
) -> Comparison:
    """A line with this ratio, its quartiles 10 % apart."""
    return Comparison(
        row="first",
        title=title,
        profile="conf.d",
        unit="ms",
        ours=Spread(ratio * 9, ratio * 10, ratio * 11),
        stock=Spread(9, 10, 11),
        ratio=Spread(ratio * 0.9, ratio, ratio * 1.1),
        runs=20,
        goal=goal,
        more_is_better=more_is_better,
    )
