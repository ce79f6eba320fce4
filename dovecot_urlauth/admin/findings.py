"""What a check has to say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much a finding matters; the value is the word in front of its line."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Level
    text: str

    def __str__(self) -> str:
        return f"{self.level.value:5} {self.text}"


def ok(text: str) -> Finding:
    """As it should be."""
    return Finding(Level.OK, text)


def note(text: str) -> Finding:
    """Works, but the administrator may want to know."""
    return Finding(Level.NOTE, text)


def warn(text: str) -> Finding:
    """Works for now; the administrator should do something."""
    return Finding(Level.WARN, text)


def fail(text: str) -> Finding:
    """URLAUTH across users does not work, or not safely."""
    return Finding(Level.FAIL, text)
