r"""The line protocol between ``imap`` (or ``submission``) and imap-urlauth-login.

The client connects to ``base_dir/imap-urlauth`` and asks to be let in with the token that auth gave it::

    S: VERSION\timap-urlauth\t2\t0            2.4 only: greet once auth is ready; 2.3's imap must hear nothing
    C: VERSION\timap-urlauth\t2\t0
    C: AUTH\timap\t6216\tbob\tIyJVd+9gas1/AAAB\t3c8a62acd095abc1f4a1d31c801afd95ddacc835
    S: FAILED                                 only if auth says no; after yes the next process speaks

States: VERSION, AUTH, DONE.  Anything but the expected line is fatal: a log line, a reason for the line about
the disconnect, and no byte to the client (imap-urlauth-login.c).  The order of the checks is Dovecot's:
VERSION, shape of AUTH, service; then the caller compares the claimed pid with the peer's credentials, see
:func:`peer_mismatch`, and only then is auth asked, with :func:`token_response`.
"""

from __future__ import annotations

import binascii

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.number import PID_MAX, decimal
from dovecot_urlauth.wire.readable import readable
from dovecot_urlauth.wire.tabescape import fields
from dovecot_urlauth.wire.version import is_version, version_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROTOCOL = b"imap-urlauth"
MAJOR = 2
LINE_LIMIT = 1026  # what Dovecot's login reads ahead: 1218 less 128 for the username, 64 for the session id
SERVICES = (b"imap", b"submission")

GREETING = version_line(PROTOCOL, MAJOR, 0)
FAILED = b"FAILED\n"

_AUTH_FIELDS = 6


class LoginRejected(ProtocolError):
    """The client is to be disconnected without a word: ``texts`` to log (maybe none) and the ``reason``."""


@frozen
class VersionReceived:
    """The client speaks our protocol."""


@frozen
class AuthRequest:
    """Who the client says it is.  Nothing here is proven; no field holds a NUL."""

    service: bytes
    pid: int
    user: bytes
    session: bytes
    token: bytes


class State(Enum):
    """Which line is due."""

    VERSION = "version"
    AUTH = "auth"
    DONE = "done"


class LoginProtocol(LineProtocol):
    """imap-urlauth-login's end.

    After the AUTH line there is no more to read until auth has answered."""

    def __init__(self) -> None:
        super().__init__(LineBuffer(LINE_LIMIT))
        self.state = State.VERSION

    def next_event(self) -> VersionReceived | AuthRequest | None:
        """What the next line says, or None if it is not complete yet; raises LoginRejected."""
        if self.state is State.DONE:
            return None
        try:
            line = self._lines.next_line()
        except ProtocolError:
            raise LoginRejected(reason="Input buffer full") from None
        if line is None:
            return None
        read, following, complaint, reason = _LEGAL[self.state]
        event = read(line)
        if event is None:
            raise LoginRejected(f"{complaint} {readable(line)}", reason=reason)
        self.state = following
        return event


def _read_version(line: bytes) -> VersionReceived | None:
    return VersionReceived() if is_version(line, PROTOCOL, MAJOR) else None


def _read_auth(line: bytes) -> AuthRequest | None:
    parts = fields(line)
    pid = decimal(parts[2], PID_MAX) if len(parts) >= _AUTH_FIELDS and parts[0] == b"AUTH" else None
    # auth separates the fields of its answer by NUL: a NUL inside one would shift all that follow.
    if pid is None or any(b"\0" in field for field in parts):
        return None
    service, user, session, token = parts[1], parts[3], parts[4], parts[5]
    if service not in SERVICES:
        raise LoginRejected(
            f"IMAP URLAUTH accessed from inappropriate service: {readable(service)}", reason="Unexpected input"
        )
    return AuthRequest(service, pid, user, session, token)


_LEGAL: Mapping[State, tuple[Callable[[bytes], VersionReceived | AuthRequest | None], State, str, str]] = {
    State.VERSION: (
        _read_version,
        State.AUTH,
        "IMAP URLAUTH client not compatible with this server (mixed old and new binaries?)",
        "Version mismatch",
    ),
    State.AUTH: (
        _read_auth,
        State.DONE,
        "IMAP URLAUTH client sent unexpected AUTH input:",
        "Unexpected input",
    ),
}
"""The line that is due, what is due after it, and what the log says about any other line and its end."""


def peer_mismatch(claimed: int, peer_pid: int, peer_uid: int) -> LoginRejected:
    """The error for a client whose AUTH line claims another pid than its socket's credentials."""
    return LoginRejected(
        f"IMAP URLAUTH client sent invalid session pid {claimed} in AUTH request: "
        f"it did not match peer credentials (pid={peer_pid}, uid={peer_uid})",
        reason="Invalid AUTH request",
    )


def token_response(request: AuthRequest) -> bytes:
    """DOVECOT-TOKEN's response in base64: the five checked fields with a NUL between two of them.

    Raises ValueError if a field holds a NUL, since auth would then see other fields than we checked.
    """
    parts = (request.service, b"%d" % request.pid, request.user, request.session, request.token)
    if any(b"\0" in part for part in parts):
        raise ValueError("NUL in a field of the AUTH request")
    return binascii.b2a_base64(b"\0".join(parts), newline=False)


__all__ = [
    "FAILED",
    "GREETING",
    "LINE_LIMIT",
    "AuthRequest",
    "LoginProtocol",
    "LoginRejected",
    "State",
    "VersionReceived",
    "peer_mismatch",
    "token_response",
]
