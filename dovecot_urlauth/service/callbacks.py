"""Waiting for file descriptors and timers: one epoll, one heap.

asyncio would be the natural choice and takes 35 ms to import, which under stock service settings is part of
every request.
"""

from __future__ import annotations

import select
from heapq import heappop, heappush
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP


class Timer:
    """A call in the future; :meth:`cancel` takes it back."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Loop:
    """Calls back when an fd is ready or a time has come, until told to stop."""

    __slots__ = ("_epoll", "_stopped", "_timers", "_watched")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[int], None]] = {}
        self._timers: list[Timer] = []
        self._stopped = False

    def watch(self, fd: int, callback: Callable[[int], None], events: int = READ) -> None:
        """Call ``callback(events)`` whenever ``fd`` is ready; errors and hang-ups are always reported."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = callback

    def forget(self, fd: int) -> None:
        """Stop watching; needed before the fd is closed."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback()`` once, not before ``seconds`` have passed."""
        timer = Timer(monotonic() + seconds, callback)
        heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        """Serve events until :meth:`stop`."""
        while not self._stopped:
            for fd, events in self._epoll.poll(self._run_timers()):
                callback = self._watched.get(fd)
                if callback is not None:
                    callback(events)
                if self._stopped:
                    break

    def close(self) -> None:
        """In a forked child: give the epoll up, which would otherwise change the parent's."""
        self._epoll.close()
        self._watched.clear()
        self._timers.clear()

    def _run_timers(self) -> float:
        """Run what is due now; return the seconds until the next timer, -1 if there is none."""
        timers = self._timers
        now = monotonic()
        due = []
        while timers and (timers[0].callback is None or timers[0].when <= now):
            due.append(heappop(timers))
        for timer in due:
            if timer.callback is not None:
                timer.callback()
        if self._stopped:
            return 0
        return max(0.0, timers[0].when - monotonic()) if timers else -1
