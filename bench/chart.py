"""A bar chart of ratios as SVG: how much of stock's time, memory or CPU ours takes, on a logarithmic axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.result import Comparison

WIDTH = 900
LEFT = 330
RIGHT = 70
TOP = 70
ROW_HEIGHT = 22
BAR_HEIGHT = 12

COLOURS = {"better": "#3a7d44", "worse": "#b5483a"}
STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.grid{stroke:#ddd}"
    ".one{stroke:#555}.spread{stroke:#222}.goal{stroke:#1f4fa3;stroke-width:3}"
)


def chart(title: str, lines: list[Comparison]) -> str:
    """The chart of all lines; a bar to the left of 1 means that ours is better."""
    costs = [(line, *_costs(line)) for line in lines]
    exponents = [math.log10(value) for _, *values in costs for value in values if value > 0]
    first, last = math.floor(min(exponents, default=-1)), max(1, math.ceil(max(exponents, default=1)))
    height = TOP + ROW_HEIGHT * len(lines) + 30

    def x(value: float) -> float:
        place = (math.log10(max(value, 10.0**first)) - first) / (last - first)
        return round(LEFT + place * (WIDTH - LEFT - RIGHT), 1)

    drawn = [_axis(x, range(first, last + 1), height)]
    for number, (line, low, median, high, goal) in enumerate(costs):
        drawn.append(_bar(line, x, TOP + number * ROW_HEIGHT, (low, median, high, goal)))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img">',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            f'<text class="title" x="10" y="24">{escape(title)}: ours / stock, less is better</text>',
            '<text x="10" y="42">thin line: quartiles; blue mark: goal</text>',
            *drawn,
            "</svg>",
        ]
    )


def _costs(line: Comparison) -> tuple[float, float, float, float]:
    """Quartiles, median and goal (0 for none) as costs: where more is better, the ratio is turned round."""
    ratio, goal = line.ratio, line.goal or 0.0
    if not line.more_is_better:
        return ratio.low, ratio.median, ratio.high, goal
    return 1 / ratio.high, 1 / ratio.median, 1 / ratio.low, 1 / goal if goal else 0.0


def _axis(x: Callable[[float], float], decades: range, height: int) -> str:
    drawn = []
    for exponent in decades:
        place, name = x(10.0**exponent), "one" if exponent == 0 else "grid"
        drawn.append(f'<line class="{name}" x1="{place}" y1="{TOP - 8}" x2="{place}" y2="{height - 25}"/>')
        drawn.append(f'<text x="{place}" y="{height - 8}" text-anchor="middle">{10.0**exponent:g}</text>')
    return "\n".join(drawn)


def _bar(line: Comparison, x: Callable[[float], float], y: int, values: tuple[float, float, float, float]) -> str:
    low, median, high, goal = values
    start, end = sorted((x(1), x(median)))
    colour = COLOURS["better" if median <= 1 else "worse"]
    middle = y + BAR_HEIGHT / 2
    label = escape(f"{line.title} ({line.profile})")
    drawn = [
        f'<text x="{LEFT - 10}" y="{y + 10}" text-anchor="end">{label}</text>',
        f'<rect x="{start}" y="{y}" width="{round(end - start, 1)}" height="{BAR_HEIGHT}" fill="{colour}"/>',
        f'<line class="spread" x1="{x(low)}" y1="{middle}" x2="{x(high)}" y2="{middle}"/>',
        f'<text x="{max(end, x(high)) + 5}" y="{y + 10}">{median:.2g}</text>',
    ]
    if goal:
        drawn.append(f'<line class="goal" x1="{x(goal)}" y1="{y - 3}" x2="{x(goal)}" y2="{y + BAR_HEIGHT + 3}"/>')
    return "\n".join(drawn)
