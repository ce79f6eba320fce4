"""What the processes hold, again and again: descriptors, memory, their number; as a table and as curves."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from testing.instance import executable_name
from testing.versions import PIECES

if TYPE_CHECKING:
    from testing.instance import DovecotInstance

KINDS = ("processes", "descriptors", "MiB")
COLORS = ("#3465a4", "#4e9a06", "#cc0000")
WIDTH, HEIGHT, MARGIN = 720, 130, 40
POINTS = 240
"""Of a curve in the chart, at most."""


@dataclass
class Curve:
    """One executable's numbers."""

    values: list[float] = field(default_factory=list)

    def tenth(self, last: bool) -> float:
        """The median of the first or the last tenth of the time."""
        size = max(1, len(self.values) // 10)
        return median(self.values[-size:] if last else self.values[:size]) if self.values else 0.0

    def thinned(self, points: int) -> list[float]:
        """The largest value of each of so many equal stretches of the time."""
        size = -(-len(self.values) // points) or 1
        return [max(self.values[start : start + size]) for start in range(0, len(self.values), size)]


class Samples:
    """Curves by executable and kind."""

    def __init__(self, dovecot: DovecotInstance) -> None:
        self._dovecot = dovecot
        self.curves = {(name, kind): Curve() for name in PIECES for kind in KINDS}

    def take(self) -> None:
        processes = self._dovecot.processes()
        for name in PIECES:
            held = [_of(process.pid) for process in processes if executable_name(process.title) == name]
            numbers = (
                len(held),
                max((fds for fds, _ in held), default=0),
                max((size for _, size in held), default=0),
            )
            for kind, number in zip(KINDS, numbers):
                self.curves[name, kind].values.append(number)

    def table(self) -> list[str]:
        """First tenth, last tenth and maximum; the largest process counts."""
        lines = [f"{'':22} {'':12} {'at first':>9} {'at last':>9} {'most':>9}"]
        for (name, kind), curve in self.curves.items():
            numbers = (curve.tenth(False), curve.tenth(True), max(curve.values, default=0))
            lines.append(f"{name:22} {kind:12} " + " ".join(f"{number:9.1f}" for number in numbers))
        return lines

    def svg(self) -> str:
        """A chart for each kind, one below the other, with a curve for each executable."""
        parts = []
        for row, kind in enumerate(KINDS):
            top = row * (HEIGHT + MARGIN) + MARGIN
            largest = max((max(self.curves[name, kind].values, default=0) for name in PIECES), default=0) or 1
            parts.append(f'<text x="4" y="{top - 8}">{kind}, at most {largest:.0f}</text>')
            for color, name in zip(COLORS, PIECES):
                values = self.curves[name, kind].thinned(POINTS)
                points = " ".join(
                    f"{index * WIDTH / max(1, len(values) - 1):.1f},{top + HEIGHT - value * HEIGHT / largest:.1f}"
                    for index, value in enumerate(values)
                )
                parts.append(f'<polyline fill="none" stroke="{color}" points="{points}"/>')
        for column, (color, name) in enumerate(zip(COLORS, PIECES)):
            parts.append(f'<text x="{200 + column * 170}" y="16" fill="{color}">{name}</text>')
        height = len(KINDS) * (HEIGHT + MARGIN) + MARGIN
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif"'
        )
        paper = '<rect width="100%" height="100%" fill="white"/>'
        return f'{head} font-size="13">\n{paper}\n' + "\n".join(parts) + "\n</svg>\n"


def _of(pid: int) -> tuple[int, float]:
    """Descriptors, and MiB of resident memory of its own."""
    with suppress(OSError, IndexError, ValueError):
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/status") as status:
            kib = int(status.read().partition("RssAnon:")[2].split()[0])
        return descriptors, kib / 1024
    return 0, 0.0
