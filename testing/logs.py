"""Reading a Dovecot's log as it grows, and finding the lines that nobody announced."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: What makes a line one that an administrator would be called for.
ALARMING = re.compile(r"(?:^|\s)(?:Warning|Error|Fatal|Panic): ")

#: An exception that no code of ours foresaw, wherever it was caught: a traceback, or "Unexpected KeyError: ... at
#: store/names.py:12 (split)".  No scenario may announce such a line.
INTERNAL = re.compile(r"Traceback \(most recent|\.py[\":,]+ ?(?:line )?\d+")

#: Lines that say nothing of the executables: a test may stop Dovecot or leave a session whenever it likes.
HARMLESS = (
    r"master: Warning: Killed with signal 15 \(by pid=\d+",
    r"master: Warning: Sent SIGKILL to \d+ (?:imap|submission)-login processes",
    # the machine's clock or a busy CPU
    r"Warning: Time (?:just )?moved ",
    # the trees have no procfs, on purpose
    r"/proc/",
)


class Log:
    """The log file of one instance; `lines` gives all, `take` those since the last `take`.

    What holds `left_out` is in none of them.
    """

    def __init__(self, path: Path, left_out: str = "") -> None:
        self._path = path
        self._left_out = left_out
        self._taken = 0

    def lines(self) -> list[str]:
        try:
            lines = self._path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if not self._left_out or self._left_out not in line]

    def mark(self) -> int:
        """How many lines there are now, for `since`."""
        return len(self.lines())

    def since(self, mark: int) -> list[str]:
        return self.lines()[mark:]

    def take(self) -> list[str]:
        """The lines that came since the last call."""
        new = self.lines()[self._taken :]
        self._taken += len(new)
        return new

    def settle(self, quiet: float = 0.4) -> None:
        """Wait until no line has come for so many seconds."""
        before = -1
        while before != (now := self.mark()):
            before = now
            time.sleep(quiet)

    def wait_for(self, pattern: str, since: int = 0, seconds: float = 5.0) -> str:
        """The first line after `since` that matches `pattern`; fails the test when none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            for line in self.since(since):
                if re.search(pattern, line):
                    return line
            if time.monotonic() > deadline:
                raise AssertionError(f"no line matches {pattern!r} in:\n" + "\n".join(self.since(since)))
            time.sleep(0.02)


def unexpected(lines: list[str], expected: tuple[str, ...] = ()) -> list[str]:
    """The alarming ones of `lines` that match none of `expected`, and every internal exception."""
    known = [re.compile(pattern) for pattern in (*HARMLESS, *expected)]
    return [
        line
        for line in lines
        if INTERNAL.search(line) or (ALARMING.search(line) and not any(pattern.search(line) for pattern in known))
    ]
