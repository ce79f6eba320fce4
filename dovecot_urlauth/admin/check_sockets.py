"""Who may connect to the sockets between the services: those who must, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dovecot_urlauth.admin.check_services import BROKER, LOGIN, WORKER
from dovecot_urlauth.admin.doveconf import Block, Configuration
from dovecot_urlauth.admin.findings import Finding, fail, note, ok

LOGIN_SOCKET = "imap-urlauth"
EVERYBODY = 0o666
OTHERS = 0o006


class Openness(Enum):
    """To whom a socket must be open."""

    EVERYBODY = "every local user"
    NOBODY = "nobody but its owner"
    EITHER = "root, who gets in anyway"


@dataclass(frozen=True)
class Socket:
    """A listener of a service."""

    service: str
    path: str
    openness: Openness
    purpose: str


SOCKETS = (
    Socket(LOGIN, LOGIN_SOCKET, Openness.EVERYBODY, "imap connects to it as the mail user"),
    Socket(
        BROKER,
        "token-login/imap-urlauth",
        Openness.EVERYBODY,
        "imap-urlauth-login connects to it as its own user",
    ),
    Socket(
        "auth", "token-login/tokenlogin", Openness.EVERYBODY, "imap-urlauth-login connects to it as its own user"
    ),
    Socket("auth", "auth-master", Openness.NOBODY, "it tells who is logged in and gives out users' data"),
    Socket("auth", "auth-userdb", Openness.EITHER, "imap-urlauth-worker asks it whose mail is where"),
    Socket(WORKER, WORKER, Openness.NOBODY, "it reads any user's mail for whoever connects"),
)


def check_sockets(configuration: Configuration) -> Iterator[Finding]:
    """Each socket on the way of a request."""
    for socket in SOCKETS:
        yield _check_socket(configuration, socket)
    yield from _check_worker_owner(configuration)


def listener_mode(listener: Block) -> int:
    """Its permissions; Dovecot's default is 0600."""
    return int(listener.get("mode", "0600"), 8)


def _check_socket(configuration: Configuration, socket: Socket) -> Finding:
    listener = configuration.service(socket.service).block(f"unix_listener {socket.path}")
    mode = listener_mode(listener)
    if listener.is_empty:
        return fail(f"service {socket.service} has no unix_listener {socket.path}: {socket.purpose}")
    if mode == 0:
        return fail(f"socket {socket.path} is switched off: {socket.purpose}")
    if socket.openness is Openness.EVERYBODY and mode & EVERYBODY != EVERYBODY:
        text = f"socket {socket.path} has mode {mode:04o}, not 0666"
        if _may_connect(configuration, socket, listener, mode):
            return note(f"{text}: {socket.purpose}")
        return fail(f"{text}, and nobody gets in: {socket.purpose}")
    if socket.openness is Openness.NOBODY and mode & OTHERS:
        return fail(f"socket {socket.path} is open to every local user (mode {mode:04o}): {socket.purpose}")
    return ok(f"socket {socket.path} has mode {mode:04o}")


def _may_connect(configuration: Configuration, socket: Socket, listener: Block, mode: int) -> bool:
    """Whether a socket that is not open to all lets anybody in for whom it is there."""
    owner = configuration.value_of(listener.get("user", "root"))
    as_group = bool(listener.get("group")) and mode & 0o060 == 0o060
    if socket.path == LOGIN_SOCKET:
        return as_group or (owner != "root" and mode & 0o600 == 0o600)
    login = configuration.everything.get("default_login_user", "dovenull")
    return as_group or (owner == login and mode & 0o600 == 0o600)


def _check_worker_owner(configuration: Configuration) -> Iterator[Finding]:
    listener = configuration.service(WORKER).block(f"unix_listener {WORKER}")
    owner = configuration.value_of(listener.get("user", "root"))
    user = configuration.value_of(configuration.service(BROKER).get("user", "root"))
    shared = listener.get("group") and listener_mode(listener) & 0o060 == 0o060
    if user not in ("root", owner) and not shared:
        yield fail(f"socket {WORKER} belongs to {owner}, and {BROKER}, which runs as {user}, cannot connect to it")
