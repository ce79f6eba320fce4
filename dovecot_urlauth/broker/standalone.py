"""imap-urlauth without master: one client on stdin and stdout, for the user in $USER (imap-urlauth.c).

There is no ``OK`` line, since nobody authenticated; the worker is asked as by the service "".
"""

from __future__ import annotations

import os
import stat
import sys

from dovecot_urlauth.broker.control import SessionOver, Worker
from dovecot_urlauth.config.read import read_settings
from dovecot_urlauth.config.wanted import BROKER
from dovecot_urlauth.service.descriptor import Descriptor
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.run import Fatal, Start
from dovecot_urlauth.wire.control import OK, Access

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log

STDIN, STDOUT = Descriptor(0), Descriptor(1)
WORKER_SOCKET = b"imap-urlauth-worker"
INETD_REFUSAL = "NO imap_urlauth binary must not be started from inetd, use imap-urlauth-login instead."


def serve_standard_streams(start: Start) -> int:
    """Serve until the client or the worker is done; return the exit status. Raises Fatal, SettingsError."""
    if os.getuid() == 0 and stat.S_ISSOCK(os.fstat(STDOUT.fileno()).st_mode):
        sys.stdout.write(f"{INETD_REFUSAL}\n")
        sys.stdout.flush()
        return 1
    username = os.environ.get("USER") or _login_name()
    settings = read_settings(start.environment, start.dialect.config_source, BROKER, start.log.warning)
    base_dir = os.fsencode(settings.get("base_dir", "/run/dovecot"))
    worker_path = base_dir + b"/" + WORKER_SOCKET
    access = Access(os.fsencode(username) or None, b"", (), "DEBUG" in os.environ)
    loop = Loop()
    loop.run(serve_by_workers(loop, start.log, start.dialect, worker_path, access))
    return 0


async def serve_by_workers(loop: Loop, log: Log, dialect: Dialect, path: bytes, access: Access) -> None:
    """Worker after worker until the client is gone."""
    is_first = True
    try:
        while True:
            worker = Worker(loop, log, dialect, path, access)
            connection = await worker.connect()
            try:
                await worker.give(connection, STDIN, STDOUT)
                if not is_first:
                    os.write(STDOUT.fileno(), OK)
                is_first = False
                await worker.finish(connection)
            finally:
                connection.close()
    except SessionOver as over:
        log.info(f"Disconnected: {over}")


def _login_name() -> str:
    try:
        return os.getlogin()
    except OSError:
        raise Fatal("USER environment missing") from None
