"""imap-urlauth-login's first steps: call imap-urlauth, then load the program.

Usage: imap-urlauth-login [-l postlogin-socket] [-D] [-S] [-R directory] [auth-socket]

A client that turns out to have no token has then made master start imap-urlauth, and that the worker, for
nothing: they end as soon as login lets go of the connection, which it does after two seconds at the latest.
When all login processes are full, nobody is called: most of those who wait then have nothing to ask, and who
has waits for the processes that are started for them.
"""

from dovecot_urlauth.start.preconnect import (
    environ,
    login_processes_are_full,
    preconnect,
    serves_one_waiting_client,
)

NAME = "imap-urlauth-login"


def main(argv: list[str]) -> int:
    """Return the exit status."""
    # what an option or auth may name instead of this socket is not known yet
    may_call = serves_one_waiting_client() and len(argv) == 1 and not login_processes_are_full()
    ahead = preconnect(_handoff_socket()) if may_call else None

    from dovecot_urlauth.login.start import serve
    from dovecot_urlauth.service.run import run

    return run(argv, NAME, lambda start: serve(start, ahead))


def _handoff_socket() -> bytes:
    """Where it is before the chroot, for master's cwd is base_dir."""
    return (environ.get(b"RESTRICT_CHROOT") or b"token-login") + b"/imap-urlauth"
