"""imap-urlauth's first steps: call the worker, then load the program.

Usage: imap-urlauth [-a auth-master-socket]

Where a process serves one client in its life (stock service settings), master starts a worker as soon as
somebody connects to its socket, and starting takes it as long as us.  So that comes before our own imports;
only a client that login has authenticated makes master start this process at all.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket

NAME = "imap-urlauth"
WORKER_SOCKET = b"imap-urlauth-worker"


def main(argv: list[str]) -> int:
    """Return the exit status."""
    early_worker = call_worker() if os.environ.get("SERVICE_COUNT") == "1" else None

    from dovecot_urlauth.broker.start import serve
    from dovecot_urlauth.service.run import run

    return run(argv, NAME, lambda start: serve(start, early_worker))


def call_worker() -> socket | None:
    """A connection to the worker's socket, None if it is not to be had at once; master's cwd is base_dir."""
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    try:
        connection.connect(WORKER_SOCKET)
    except OSError:
        connection.close()
        return None
    return connection
