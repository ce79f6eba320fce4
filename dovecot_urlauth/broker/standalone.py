"""imap-urlauth without master: one client on stdin and stdout, for the user in $USER (imap-urlauth.c).

There is no ``OK`` line, since nobody authenticated; the worker is asked as by the service "".
"""

from __future__ import annotations

import os
import stat
import sys

from dovecot_urlauth.broker.control import WorkerConnection
from dovecot_urlauth.config.read import read_settings
from dovecot_urlauth.config.wanted import BROKER
from dovecot_urlauth.service.callbacks import Loop
from dovecot_urlauth.service.run import Fatal, Start
from dovecot_urlauth.wire.control import Access

TYPE_CHECKING = False

STDIN, STDOUT = 0, 1
WORKER_SOCKET = b"imap-urlauth-worker"
INETD_REFUSAL = "NO imap_urlauth binary must not be started from inetd, use imap-urlauth-login instead."


def serve_standard_streams(start: Start) -> int:
    """Serve until the client or the worker is done; return the exit status. Raises Fatal, SettingsError."""
    if os.getuid() == 0 and stat.S_ISSOCK(os.fstat(STDOUT).st_mode):
        sys.stdout.write(f"{INETD_REFUSAL}\n")
        sys.stdout.flush()
        return 1
    username = os.environ.get("USER") or _login_name()
    settings = read_settings(start.environment, start.dialect.config_source, BROKER)
    base_dir = os.fsencode(settings.get("base_dir", "/run/dovecot"))
    session = _Session(start, base_dir + b"/" + WORKER_SOCKET, os.fsencode(username))
    return session.run()


class _Session:
    """Worker after worker until the client is gone; it has what a WorkerConnection needs of a process."""

    def __init__(self, start: Start, worker_path: bytes, username: bytes) -> None:
        self.loop = Loop()
        self.dialect = start.dialect
        self.log = start.log
        self._path = worker_path
        self._access = Access(username or None, b"", (), "DEBUG" in os.environ)
        self._first = True

    def run(self) -> int:
        self._find_worker()
        self.loop.run()
        return 0

    def _find_worker(self) -> None:
        connection = WorkerConnection(
            self,
            self.log,
            self._path,
            self._access,
            on_passed=self._on_passed,
            on_finished=self._find_worker,
            on_lost=self._on_lost,
        )
        connection.connect(STDIN, STDOUT)

    def _on_passed(self) -> None:
        if not self._first:
            os.write(STDOUT, b"OK\n")
        self._first = False

    def _on_lost(self, reason: str) -> None:
        self.log.info(f"Disconnected: {reason}")
        self.loop.stop()


def _login_name() -> str:
    try:
        return os.getlogin()
    except OSError:
        raise Fatal("USER environment missing") from None
