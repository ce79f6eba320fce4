"""The ends of waits, the next first: what the loop (loop.py) has to wake whom for, and when."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    Waiter = TypeVar("Waiter")
else:
    Waiter = "Waiter"
    Generic = {Waiter: object}

FEWEST_STALE = 64
"""Stopped timers that may lie in the heap before it is swept, whatever its size."""


class Timer(Generic[Waiter]):
    """The end of a wait, in the heap until it comes or is swept."""

    __slots__ = ("waiter", "when")

    def __init__(self, when: float, waiter: Waiter) -> None:
        self.when = when
        self.waiter: Waiter | None = waiter

    def __lt__(self, other: Timer[Waiter]) -> bool:
        return self.when < other.when


class Timers(Generic[Waiter]):
    """Who waits until when; moments are seconds of the loop's clock."""

    def __init__(self) -> None:
        self._heap: list[Timer[Waiter]] = []
        self._stale = 0

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, when: float, waiter: Waiter) -> Timer[Waiter]:
        """``waiter`` does not wait beyond ``when``."""
        timer = Timer(when, waiter)
        heappush(self._heap, timer)
        return timer

    def stop(self, timer: Timer[Waiter]) -> None:
        """Whoever waited goes on; a long time limit must not stay behind each short wait."""
        if timer.waiter is None:
            return
        timer.waiter = None
        self._stale += 1
        if self._stale > FEWEST_STALE and self._stale * 2 > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.waiter is not None]
            heapify(self._heap)
            self._stale = 0

    def next(self) -> float | None:
        """The moment for which somebody waits first; None if nobody does."""
        heap = self._heap
        while heap and heap[0].waiter is None:
            heappop(heap)
            self._stale -= 1
        return heap[0].when if heap else None

    def due(self, now: float) -> list[Waiter]:
        """Those whose moment has come, in its order; their timers are done with."""
        late: list[Waiter] = []
        while (when := self.next()) is not None and when <= now:
            timer = heappop(self._heap)
            if timer.waiter is not None:
                late.append(timer.waiter)
                timer.waiter = None
        return late

    def clear(self) -> None:
        """Nobody waits any more."""
        self._heap.clear()
        self._stale = 0


__all__ = ["FEWEST_STALE", "Timer", "Timers"]
