"""imap-urlauth's first steps: call the worker, then load the program.

Usage: imap-urlauth [-a auth-master-socket]
"""

from dovecot_urlauth.start.preconnect import preconnect, serves_one_waiting_client

NAME = "imap-urlauth"
WORKER_SOCKET = b"imap-urlauth-worker"


def main(argv: list[str]) -> int:
    """Return the exit status."""
    preconnected = preconnect(WORKER_SOCKET) if serves_one_waiting_client() else None

    from dovecot_urlauth.broker.start import serve
    from dovecot_urlauth.service.run import run

    return run(argv, NAME, lambda start: serve(start, preconnected))
