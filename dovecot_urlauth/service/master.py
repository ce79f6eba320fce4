"""What a service process tells master: how many more clients it takes; and what login-notify tells it.

lib-master/master-service.c, master/service-monitor.c, master/service-login-notify.c.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.environment import LOGIN_NOTIFY_FD, STATUS_FD
from dovecot_urlauth.wire.status import pack_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop, Work

STATUS_INTERVAL = 1.0
"""Seconds between status messages that neither reach zero nor leave it."""


class StatusReporter:
    """Tells master how many more clients the process takes."""

    __slots__ = ("_generation", "_log", "_loop", "_sending", "_wanted", "_working", "reported")

    def __init__(self, loop: Loop, log: Log, generation: int) -> None:
        self._loop = loop
        self._log = log
        self._generation = generation
        self.reported: int | None = None
        """What master has heard last."""
        self._wanted = 0
        self._sending = False
        self._working = True

    def report(self, available: int, exhausted: int) -> None:
        """Send ``available``; changes between two ordinary numbers are gathered for a second.

        ``exhausted`` is the dialect's number for "never again", which is as urgent as 0.
        """
        self._wanted = available
        if available == self.reported or not self._working:
            return
        urgent = (None, 0, exhausted)
        if available in urgent or self.reported in urgent:
            self._send()
        elif not self._sending:
            self._send_after(self._loop.sleep(STATUS_INTERVAL))

    def repeat(self) -> None:
        """Send the last status again, so that master sees an answer to its SIGINT."""
        if self.reported is not None and self._working:
            self._send()

    def master_gone(self) -> None:
        self._working = False

    def _send_after(self, wait: Work[None]) -> None:
        self._sending = True
        self._loop.spawn(self._send_later(wait), "status")

    async def _send_later(self, wait: Work[None]) -> None:
        await wait
        self._sending = False
        if self._working and self._wanted != self.reported:
            self._send()

    def _send(self) -> None:
        message = pack_status(os.getpid(), self._generation, self._wanted)
        try:
            os.write(STATUS_FD, message)
        except BlockingIOError:
            if not self._sending:
                self._send_after(self._loop.writable(STATUS_FD))
        except BrokenPipeError:
            self._working = False
        except OSError as error:
            self._log.error(f"write(master_status_fd) failed: {error.strerror}")
            self._working = False
        else:
            self.reported = self._wanted


def login_processes_full() -> bool:
    """Whether master says that all login processes are full: it moves the shared file offset to 1."""
    try:
        return os.lseek(LOGIN_NOTIFY_FD, 0, os.SEEK_CUR) == 1
    except OSError:
        return False
