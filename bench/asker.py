"""A session with one backend's worker, ours or Dovecot's own, and when it sees what another backend did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from testing.oracle import Answer, WorkerLost, WorkerSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.instance import DovecotInstance

PATIENCE = 20.0
"""Seconds after which a change counts as never seen."""
PAUSE = 0.002
LOST = Answer((b"LOST",))


class Asker:
    """Bob, who asks for alice's mail; a worker that ends is one answer, and the next is asked of a new one."""

    def __init__(self, dovecot: DovecotInstance, worker: str, *, always_new: bool = False) -> None:
        """``always_new``: each URL is asked of a worker of its own."""
        self._always_new = always_new
        self._dovecot = dovecot
        self._worker = worker
        self._session: WorkerSession | None = None

    def fetch(self, url: bytes, *flags: bytes) -> Answer:
        """The answer to one URL."""
        if self._always_new:
            self.close()
        try:
            return self._open().fetch(url, *flags)
        except (WorkerLost, TimeoutError):
            self.close()
            return LOST

    def close(self) -> None:
        """End the session; the next URL begins one that finds nothing warm."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _open(self) -> WorkerSession:
        if self._session is None:
            self._session = WorkerSession(self._dovecot, self._worker)
            self._session.access(b"bob")
            if self._session.select(b"alice") != b"OK\n":
                raise WorkerLost("alice is not let in")
        return self._session


def seconds_until_seen(asker: Asker, url: bytes, is_right: Callable[[Answer], bool]) -> float:
    """How long after now it answers rightly; 0 if at once."""
    began = time.monotonic()
    if is_right(asker.fetch(url)):
        return 0.0
    while time.monotonic() - began < PATIENCE:
        time.sleep(PAUSE)
        if is_right(asker.fetch(url)):
            break
    return time.monotonic() - began
