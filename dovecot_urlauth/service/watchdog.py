"""Ends a process whose loop does not turn any more, with one line that says where it hangs.

Everything long gives the others their turn, so this never happens; when it does, all the clients of a process
wait for something that may not end, and a new process serves them.  (Postfix has the same in util/watchdog.c.)

A timer of the kernel's looks twice in the time limit whether the loop has turned.  What hangs in a system call
or runs in Python is found so and named; what computes in C, where no handler of Python's is run, is ended by the
kernel with SIGPROF, and master or the parent says that.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.run import EXIT_FATAL, PLACES_SHOWN, place
from dovecot_urlauth.service.signals import SIGALRM
from dovecot_urlauth.start.cpython import ITIMER_PROF, ITIMER_REAL, SIG_IGN, setitimer, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop

LIMIT = 120.0
"""Seconds: a turn may look up groups in a directory service that does not answer, and gives up by itself."""


class Watchdog:
    """Watches a loop while the ``with`` block runs; a forked child has none until it has its own."""

    __slots__ = ("_interval", "_log", "_looks", "_loop", "_turn")

    def __init__(self, loop: Loop, log: Log, seconds: float = LIMIT) -> None:
        """A turn may last ``seconds``, and is ended half as much later at the latest."""
        self._loop = loop
        self._log = log
        self._interval = seconds / 2
        self._turn = -1
        """What the loop was busy with at the last look."""
        self._looks = 0
        """Looks that met it busy with that, but for the first."""

    def __enter__(self) -> None:
        signal(SIGALRM, self._look)
        setitimer(ITIMER_PROF, 3 * self._interval)
        setitimer(ITIMER_REAL, self._interval, self._interval)

    def __exit__(self, *_: object) -> None:
        setitimer(ITIMER_REAL, 0)
        setitimer(ITIMER_PROF, 0)
        signal(SIGALRM, SIG_IGN)

    def _look(self, number: int, frame: FrameType | None) -> None:
        setitimer(ITIMER_PROF, 3 * self._interval)
        turn = -1 if self._loop.is_resting else self._loop.turns
        self._looks = self._looks + 1 if turn == self._turn >= 0 else 0
        self._turn = turn
        if self._looks == 2:
            self._end(frame)
        elif self._looks > 2:
            os._exit(EXIT_FATAL)  # not even the log took what there was to say

    def _end(self, frame: FrameType | None) -> None:
        places: list[str] = []
        while frame is not None and len(places) < PLACES_SHOWN:
            places.append(place(frame, frame.f_lineno))
            frame = frame.f_back
        seconds = 2 * self._interval
        self._log.fatal(f"Has served nobody for {seconds:g} seconds: hangs at {' < '.join(places)}")
        os._exit(EXIT_FATAL)
