"""Words that make no sense together: told in one line, with the exit status of wrong usage."""

from __future__ import annotations

import argparse
import math

STATUS = 2
"""The exit status of wrong usage, as argparse's own."""


class WrongUsage(Exception):
    """What was asked for cannot be meant so; the text says why."""


def seconds(text: str) -> float:
    """A span of time above zero, for argparse. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: not a time to wait, in seconds")
    return value
