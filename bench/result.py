"""What was measured, as values that the table, the chart and the JSON file are made of."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rows import PROFILES, SCALE, Row
from bench.summary import Spread, ratio

if TYPE_CHECKING:
    from bench.interleave import Samples
    from bench.startup import StartUp
    from testing.versions import Version


@dataclass(frozen=True)
class Comparison:
    """One line of the table: a row in one profile, in the row's unit."""

    row: str
    title: str
    profile: str
    unit: str
    ours: Spread
    stock: Spread
    ratio: Spread
    runs: int
    goal: float | None
    more_is_better: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the goal is met; None when there is none."""
        if self.goal is None:
            return None
        return self.ratio.median >= self.goal if self.more_is_better else self.ratio.median <= self.goal


@dataclass
class Results:
    """One version's lines, and the reasons for those that are missing."""

    version: Version
    lines: list[Comparison] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """row -> side -> samples in seconds, fetches a second or bytes"""
    start_ups: list[StartUp] = field(default_factory=list)
    started: float = field(default_factory=time.time)

    def add(self, row: Row, samples: Samples) -> list[Comparison]:
        """Take a row's samples; the lines they gave."""
        self.samples[row.name] = samples.taken
        self.skipped += [f"{row.title}: {side}: {why}" for side, why in samples.failed.items()]
        added = [_compare(row, profile, samples) for profile in row.profiles if _complete(profile, samples)]
        self.lines += added
        return added

    def add_growth(self, few: Row, many: Row, goal: float) -> None:
        """A line that compares two rows of ours: the same fetch from a large and from a small mailbox."""
        side = PROFILES["conf.d"][0]
        small, large = (self.samples.get(row.name, {}).get(side) for row in (few, many))
        if not small or not large:
            return
        runs = min(len(small), len(large))
        self.lines.append(
            Comparison(
                row=f"{many.name}/{few.name}",
                title="first fetch, 200,000 against 100 messages",
                profile="ours/ours",
                unit=few.unit,
                ours=_scaled(few, large),
                stock=_scaled(few, small),
                ratio=ratio(large[:runs], small[:runs]),
                runs=runs,
                goal=goal,
            )
        )


def _complete(profile: str, samples: Samples) -> bool:
    return all(samples.taken.get(side) for side in PROFILES[profile])


def _compare(row: Row, profile: str, samples: Samples) -> Comparison:
    ours, stock = (samples.taken[side] for side in PROFILES[profile])
    runs = min(len(ours), len(stock))
    return Comparison(
        row=row.name,
        title=row.title,
        profile=profile,
        unit=row.unit,
        ours=_scaled(row, ours),
        stock=_scaled(row, stock),
        ratio=ratio(ours[:runs], stock[:runs]),
        runs=runs,
        goal=row.goals.get(profile),
        more_is_better=row.more_is_better,
    )


def _scaled(row: Row, samples: list[float]) -> Spread:
    return Spread.of([sample / SCALE[row.unit] for sample in samples])


def machine() -> dict[str, object]:
    """The machine, so that a table says where it was made."""
    models = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal:"))
    return {
        "cpus": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "memory_mb": memory // 1024,
        "kernel": platform.release(),
        "load": os.getloadavg(),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
