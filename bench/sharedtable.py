"""What was seen of two backends that share their storage, as tables in Markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bench.summary import Spread, ratio

OURS, STOCK = "ours", "stock"


@dataclass
class Found:
    """All that was seen of one storage."""

    unequal: list[str] = field(default_factory=list)
    asked: int = 0
    delays: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """change -> worker -> seconds"""
    prices: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """fetch -> worker -> seconds"""
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    stopped: str = ""
    """Why it did not get to its end."""
    logged: Counter[str] = field(default_factory=Counter)
    """Warnings and worse in either log, without what differs from line to line."""


def report(found: Found) -> str:
    """All of it; what was not measured is left out."""
    unequal = f"{len(found.unequal)} answers unequal to the first backend's"
    lines = [f"{found.asked} URLs asked of each worker: {unequal}", *[f"- {each}" for each in found.unequal]]
    lines += ["", "| done at the first backend | seen at once by | latest |", "|---|---|---|"]
    for change, seen in found.delays.items():
        lines += [
            f"| {change} | {name}: {seconds.count(0.0)} of {len(seconds)} | {max(seconds):.2f} s |"
            for name, seconds in seen.items()
        ]
    lines += ["", "| | median (quartiles) |", "|---|---|"]
    for fetch, taken in found.prices.items():
        lines += [f"| {fetch}, {name} | {_milliseconds(samples)} |" for name, samples in taken.items()]
        if {OURS, STOCK} <= set(taken):
            both = ratio(taken[OURS], taken[STOCK])
            lines.append(f"| {fetch}, ratio | {both.median:.2f} ({both.low:.2f} to {both.high:.2f}) |")
    lines += ["", "| file operations | all | each |", "|---|---|---|"]
    for label, calls in found.calls.items():
        each = ", ".join(f"{number} {name}" for name, number in calls.most_common())
        lines.append(f"| {label} | {calls.total()} | {each} |")
    lines += ["", "in the logs:", *[f"- {number} times {line}" for line, number in found.logged.most_common()]]
    lines += [f"\nstopped: {found.stopped}"] if found.stopped else []
    return "\n".join(lines)


def _milliseconds(samples: list[float]) -> str:
    spread = Spread.of([each * 1e3 for each in samples])
    return f"{spread.median:.1f} ms ({spread.low:.1f} to {spread.high:.1f})"
