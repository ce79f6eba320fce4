"""Connecting to the next stage before our own imports, so that master starts it meanwhile, on another CPU.

Under stock service settings a process serves one client in its life, and master starts the next stage's process
when somebody connects to its socket; starting takes that one as long as us.  Only modules that are part of the
interpreter are used here: ``import os`` takes a quarter of the time that the interpreter itself needs.
"""

from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    MSG_PEEK,
    SO_ACCEPTCONN,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import environb as environ
    from os import lseek
else:
    try:
        from posix import environ, lseek
    except ImportError:  # another Python than CPython 3.11 to 3.14
        from os import environb as environ
        from os import lseek

LOGIN_NOTIFY_FD = 4
SEEK_CUR = 1
ACCEPTED_CLIENT_FD = 8
LISTENER_FDS = (7, 8, 9)
"""Where the only listener of a service can be: Dovecot 2.3, 2.4.1, 2.4.2 and newer."""


def serves_one_waiting_client() -> bool:
    """Whether master started this process because a client waits, and for that one only."""
    return environ.get(b"SERVICE_COUNT") == b"1" and environ.get(b"PROCESS_MIN_AVAIL", b"0") == b"0"


def login_processes_are_full() -> bool:
    """Whether master says so: then nothing is started that may not be needed (master/service-login-notify.c)."""
    try:
        return lseek(LOGIN_NOTIFY_FD, 0, SEEK_CUR) == 1
    except OSError:
        return False


def first_client() -> socket | None:
    """The client for whom master has started this process, accepted by master (2.4.2 and newer) or here.

    None when it is gone to another process.  Master hears of it later, when signals can be received: a process
    that is full may be sent one.
    """
    if environ.get(b"DOVECOT_ACCEPTED_CLIENT_LISTENER_FD") is not None:
        return socket(AF_UNIX, SOCK_STREAM, 0, ACCEPTED_CLIENT_FD)
    if environ.get(b"SOCKET_COUNT") != b"1":
        return None
    for fd in LISTENER_FDS:
        try:
            listener = socket(AF_UNIX, SOCK_STREAM, 0, fd)
        except OSError:
            continue  # not every version has something there
        try:
            if listener.getsockopt(SOL_SOCKET, SO_ACCEPTCONN):
                listener.setblocking(False)
                accepted, _ = listener._accept()  # type: ignore[attr-defined]
                return socket(AF_UNIX, SOCK_STREAM, 0, accepted)
        except OSError:
            return None
        finally:
            listener.detach()
    return None


def has_spoken(client: socket) -> bool:
    """Whether ``client`` has sent anything, as a mail process does as soon as it is connected."""
    client.setblocking(False)
    try:
        return client.recv(1, MSG_PEEK) != b""
    except OSError:
        return False


def preconnect(path: bytes) -> socket | None:
    """A connection to the next stage's socket, None if it is not to be had at once; master's cwd is base_dir."""
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def still_there(connection: socket) -> bool:
    """Whether the next stage has not hung up; what it may have said stays to be read."""
    try:
        return connection.recv(1, MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


__all__ = [
    "environ",
    "first_client",
    "has_spoken",
    "login_processes_are_full",
    "preconnect",
    "serves_one_waiting_client",
    "still_there",
]
