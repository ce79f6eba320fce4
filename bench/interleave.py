"""Samples in turns: forwards and backwards through the sides, until there are enough or the time is over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FEWEST = 3
"""Samples of each side that are taken whatever they cost."""


@dataclass
class Samples:
    """What came of one row: side -> samples, side -> why it has none."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, side: str, error: Exception) -> None:
        self.taken.pop(side, None)
        self.failed[side] = f"{type(error).__name__}: {error}"[:300]


def interleave(
    samplers: Mapping[str, Callable[[], float]], runs: int, seconds: float, failures: tuple[type[Exception], ...]
) -> Samples:
    """Call each sampler `runs` times, A B B A A B ...; after `seconds` stop at a whole round.

    The n-th samples of all sides were taken in the same round, next to each other.  A side that raises one of
    `failures` is out; the others go on.
    """
    samples = Samples({name: [] for name in samplers})
    deadline = time.monotonic() + seconds
    for number in range(runs):
        if number >= FEWEST and time.monotonic() > deadline:
            break
        for name in list(samplers) if number % 2 == 0 else reversed(list(samplers)):
            if name in samples.failed:
                continue
            try:
                samples.taken[name].append(samplers[name]())
            except failures as error:
                samples.fail(name, error)
    return samples
