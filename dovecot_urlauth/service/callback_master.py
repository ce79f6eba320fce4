"""The pipes between a service process and master: status out, death in, login-notify in.

lib-master/master-service.c, master/service-monitor.c, master/service-login-notify.c.
"""

from __future__ import annotations

import os
import select

from dovecot_urlauth.service.environment import DEAD_PIPE_FD, LOGIN_NOTIFY_FD, STATUS_FD
from dovecot_urlauth.wire.status import pack_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.callbacks import Loop, Timer
    from dovecot_urlauth.service.log import Log

STATUS_INTERVAL = 1.0
"""Seconds between status messages that neither reach zero nor leave it."""


class StatusReporter:
    """Tells master how many more clients the process takes."""

    __slots__ = ("_generation", "_log", "_loop", "_pending", "_reported", "_timer", "_working")

    def __init__(self, loop: Loop, log: Log, generation: int) -> None:
        self._loop = loop
        self._log = log
        self._generation = generation
        self._reported: int | None = None
        self._pending = 0
        self._timer: Timer | None = None
        self._working = True

    def report(self, available: int, exhausted: int) -> None:
        """Send ``available``; changes between two ordinary numbers are gathered for a second.

        ``exhausted`` is the dialect's number for "never again", which is as urgent as 0.
        """
        if available == self._reported or not self._working:
            self._pending = available
            return
        urgent = (None, 0, exhausted)
        if available in urgent or self._reported in urgent:
            self._send(available)
            return
        self._pending = available
        if self._timer is None:
            self._timer = self._loop.after(STATUS_INTERVAL, self._send_pending)

    def repeat(self) -> None:
        """Send the last status again, so that master sees an answer to its SIGINT."""
        if self._reported is not None and self._working:
            self._send(self._reported)

    def master_gone(self) -> None:
        self._working = False

    def _send_pending(self) -> None:
        self._timer = None
        if self._working and self._pending != self._reported:
            self._send(self._pending)

    def _send(self, available: int) -> None:
        self._reported = self._pending = available
        message = pack_status(os.getpid(), self._generation, available)
        while True:
            try:
                os.write(STATUS_FD, message)
                return
            except BlockingIOError:
                writable = select.poll()
                writable.register(STATUS_FD, select.POLLOUT)
                writable.poll()
            except BrokenPipeError:
                self._working = False
                return
            except OSError as error:
                self._log.error(f"write(master_status_fd) failed: {error.strerror}")
                self._working = False
                return


def watch_for_master_death(loop: Loop, on_death: Callable[[], None]) -> None:
    """Call ``on_death()`` once when master closes its end of the dead pipe."""

    def dead(events: int) -> None:
        loop.forget(DEAD_PIPE_FD)
        on_death()

    loop.watch(DEAD_PIPE_FD, dead, 0)


def login_processes_full() -> bool:
    """Whether master says that all login processes are full: it moves the shared file offset to 1."""
    try:
        return os.lseek(LOGIN_NOTIFY_FD, 0, os.SEEK_CUR) == 1
    except OSError:
        return False
