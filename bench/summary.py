"""Medians, quartiles, and the ratio of two sides."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a series."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, series: list[float]) -> Spread:
        if len(series) == 1:
            return cls(series[0], series[0], series[0])
        low, median, high = statistics.quantiles(series, n=4, method="inclusive")
        return cls(low, median, high)


def ratio(ours: list[float], stock: list[float]) -> Spread:
    """Quartiles of the ratios of samples that were taken next to each other.

    Neighbours see the same noise, so that much of it cancels out.
    """
    return Spread.of([mine / theirs for mine, theirs in zip(ours, stock, strict=True)])
