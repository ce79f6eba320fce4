"""A wall clock that steps for all processes of one Dovecot, and for nobody else: libfaketime, which master loads.

No namespace has a wall clock of its own.  What has shut itself in cannot read the file with the step, and keeps
the time of the machine; clocks that only go forward are left alone.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testing.executables import Installation

STEPS = (60, 3600, -2, 86_400, -3)
"""Seconds, in turns.  Processes of Dovecot's own end at more than five backwards (lib/ioloop.c)."""


class Clock:
    """The clock of what a Dovecot starts that has these settings."""

    def __init__(self, library: Path, installation: Installation) -> None:
        """``library`` is copied to where this Dovecot sees it."""
        outside, inside = installation.outside.parent, installation.prefix.parent
        self._file = outside / "clock"
        self._set(0)
        shutil.copy(library, outside / "clock.so")
        self._environment = {
            "LD_PRELOAD": f"{inside}/clock.so",
            "FAKETIME_TIMESTAMP_FILE": f"{inside}/clock",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        self._steps = 0

    def settings(self, language: str) -> str:
        """What is appended to the configuration."""
        if language == "2.3":
            words = " ".join(f"{name}={value}" for name, value in self._environment.items())
            return f"import_environment = TZ {words}\n"
        lines = "".join(f"  {name} = {value}\n" for name, value in self._environment.items())
        return f"import_environment {{\n{lines}}}\n"

    def step(self) -> None:
        """The next one."""
        self._steps += 1
        self._set(sum(STEPS[number % len(STEPS)] for number in range(self._steps)))

    def _set(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)
