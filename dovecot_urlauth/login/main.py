"""imap-urlauth-login's first steps: call imap-urlauth, then load the program.

Usage: imap-urlauth-login [-l postlogin-socket] [-D] [-S] [-R directory] [auth-socket]

A client that turns out to have no token has then made master start imap-urlauth, and that the worker, for
nothing: they end as soon as login lets go of the connection, which it does after two seconds at the latest.
Many who connect and say nothing must not keep busy a machine on which somebody has a question: nobody is called
for a silent client, and nobody at all while master says that all login processes are full.
"""

from dovecot_urlauth.start.preconnect import (
    environ,
    first_client,
    has_spoken,
    login_processes_are_full,
    preconnect,
    serves_one_waiting_client,
)

NAME = "imap-urlauth-login"


def main(argv: list[str]) -> int:
    """Return the exit status."""
    client = first_client() if serves_one_waiting_client() else None
    # what an option or auth may name instead of this socket is not known yet
    is_certain = client is not None and has_spoken(client) and len(argv) == 1
    preconnected = preconnect(_handoff_socket()) if is_certain and not login_processes_are_full() else None

    from dovecot_urlauth.login.start import serve
    from dovecot_urlauth.service.run import run

    return run(argv, NAME, lambda start: serve(start, client, preconnected))


def _handoff_socket() -> bytes:
    """Where it is before the chroot, for master's cwd is base_dir."""
    return (environ.get(b"RESTRICT_CHROOT") or b"token-login") + b"/imap-urlauth"
