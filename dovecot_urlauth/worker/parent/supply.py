"""When the next child is forked: at once for a client that waits, later for a spare, later still after crashes.

One coroutine forks, so that no two reasons fork twice.
"""

from __future__ import annotations

from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.worker.parent.policy import CRASH_DELAY, FORK_DELAY, SELECTING_TIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.loop import Loop

NEVER = float("inf")


class Supply:
    """Knows when a child is due."""

    __slots__ = (
        "_failed_at",
        "_for_client",
        "_for_spare",
        "_fork",
        "_is_one_returning",
        "_loop",
        "_missing",
        "_not_before",
        "_woken",
    )

    def __init__(
        self,
        loop: Loop,
        missing: Callable[[], tuple[bool, bool]],
        is_one_returning: Callable[[], bool],
        fork: Callable[[], None],
    ) -> None:
        """``missing()`` is whether a client waits for a child, and whether a spare child is missing.

        ``is_one_returning()`` is whether a child is likely to be spare again soon.
        """
        self._loop = loop
        self._missing = missing
        self._is_one_returning = is_one_returning
        self._fork = fork
        self._for_client = NEVER
        self._for_spare = loop.now()
        self._not_before = 0.0
        self._failed_at = -NEVER
        self._woken = loop.promise()

    def want_for_client(self) -> None:
        """A client waits, and there is no spare child."""
        if self._for_client == NEVER:
            self._for_client = self._loop.now() + (FORK_DELAY if self._is_one_returning() else 0)
            self._woken.set(None)

    def want_spare(self, seconds: float) -> None:
        """A spare child will be missing in so many seconds."""
        self._for_spare = min(self._for_spare, self._loop.now() + seconds)
        self._woken.set(None)

    def failed(self) -> None:
        """A spare child came to nothing: from the second in a row on there is a pause behind each."""
        now = self._loop.now()
        if now < self._failed_at + 2 * CRASH_DELAY:
            self._not_before = now + CRASH_DELAY
        self._failed_at = now

    async def keep(self) -> None:
        """Fork whenever a child is due; does not end."""
        while True:
            due = max(min(self._for_client, self._for_spare), self._not_before)
            try:
                await self._woken.wait(None if due == NEVER else max(0.0, due - self._loop.now()))
            except TimedOut:
                self._try_to_fork()
            self._woken = self._loop.promise()

    def _try_to_fork(self) -> None:
        """Whatever goes wrong, there must be another child one day."""
        try:
            self._fork_what_is_due()
        except Exception as error:
            self.failed()
            self.want_spare(CRASH_DELAY)
            self._loop.on_crash("supply", error)

    def _fork_what_is_due(self) -> None:
        now = self._loop.now()
        is_client_waiting, is_spare_missing = self._missing()
        if self._for_client <= now:
            self._for_client = NEVER
            if is_client_waiting:
                self._fork()
                return
        if self._for_spare <= now:
            self._for_spare = NEVER
            if is_spare_missing and self._is_one_returning():
                self._for_spare = now + SELECTING_TIME
            elif is_spare_missing:
                self._fork()
