r"""The auth master protocol: imap-urlauth and the worker ask auth about users.

imap-urlauth redeems a login's request over ``auth-master``; the worker looks target users up over
``auth-userdb``.  Both ends begin at once, neither waits (``<-`` is auth; 2.4.5's minor number)::

    -> VERSION\t1\t4
    <- VERSION\t1\t4
    <- SPID\t6204
    -> REQUEST\t314048513\t6221\t1\t1ecdae04f5a3...\tsession_pid=6224
    <- USER\t314048513\tbob\tclient_service=imap\tuid=5000\tgid=5000\thome=/home/bob
    -> USER\t1\talice\tprotocol=imap
    <- USER\t1\talice\tuid=5001\tgid=5001\thome=/home/alice

The worker may ask where a user's mail is as well, by the passdb's fields (root only)::

    -> PASS\t2\talice\tprotocol=imap
    <- PASS\t2\tuser=alice\tproxy\thost=192.0.2.2\tmaster=m\tpass=secret

Other answers are ``NOTFOUND\t<id>`` and ``FAIL\t<id>[\treason=<text>]``.

States: VERSION, SPID, OPEN.  Fatal: another major version, no SPID, an answer without a number, a line above
the limit.  Words we do not know are skipped, and so are empty fields.  Whether an id was ever asked about is
for the caller to know.
(lib-master/master-login-auth.c, lib-auth/auth-master.c; 2.4: lib-login, lib-auth-client.)
"""

from __future__ import annotations

import binascii

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.number import PID_MAX, decimal
from dovecot_urlauth.wire.readable import quoted, readable
from dovecot_urlauth.wire.tabescape import fields, join
from dovecot_urlauth.wire.version import auth_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAJOR = 1
REQUEST_LIMIT = 1024  # auth drops the connection over a longer line (AUTH_MASTER_MAX_LINE_LENGTH)
LINE_LIMIT = 8192  # what Dovecot's own clients buffer of an answer

_REASON = b"reason="


@frozen
class ServerHello:
    """auth is there; ``pid`` must be the ``auth_pid`` of a hand-off, or auth was restarted in between."""

    pid: int


@frozen
class UserReply:
    """The user exists.  ``name`` is auth's spelling; a field without ``=`` has the value ``b""``."""

    id: int
    name: bytes
    fields: Mapping[bytes, bytes]


@frozen
class PassReply:
    """What the passdb says of a user; a field without ``=`` has the value ``b""``."""

    id: int
    fields: Mapping[bytes, bytes]


@frozen
class NotFound:
    """No such user."""

    id: int


@frozen
class Failed:
    """auth would or could not answer; ``reason`` is None if it did not say why."""

    id: int
    reason: bytes | None


class State(Enum):
    """What auth has said so far."""

    VERSION = "version"
    SPID = "spid"
    OPEN = "open"


class AuthMaster(LineProtocol):
    """Our end of one connection to auth-master or auth-userdb; ``minor`` is the dialect's."""

    def __init__(self, minor: int) -> None:
        lines = LineBuffer(LINE_LIMIT, f"BUG: Auth server sent us more than {LINE_LIMIT} bytes of data")
        super().__init__(lines, b"VERSION\t%d\t%d\n" % (MAJOR, minor))
        self.state = State.VERSION

    def request(self, request_id: int, client_pid: int, auth_id: int, cookie: bytes, session_pid: int) -> None:
        """Redeem a login: ``client_pid``, ``auth_id`` and ``cookie`` of the hand-off, our own pid."""
        self._output += _line(
            b"REQUEST",
            b"%d" % request_id,
            b"%d" % client_pid,
            b"%d" % auth_id,
            binascii.hexlify(cookie),
            b"session_pid=%d" % session_pid,
        )

    def user_lookup(self, request_id: int, name: bytes, parameter: bytes, *, debug: bool = False) -> None:
        """Look a user up; ``parameter`` is the dialect's ``service=...`` or ``protocol=...``.

        Raises ValueError if auth would not take so long a line.
        """
        self._output += _line(b"USER", b"%d" % request_id, name, parameter, *([b"debug"] if debug else []))

    def pass_lookup(self, request_id: int, name: bytes, parameter: bytes) -> None:
        """Ask for the passdb's fields; ``parameter`` is the dialect's.  Raises ValueError as above."""
        self._output += _line(b"PASS", b"%d" % request_id, name, parameter)

    def next_event(self) -> ServerHello | UserReply | PassReply | NotFound | Failed | None:
        """The next event, or None until more has come; raises ProtocolError."""
        while (line := self._lines.next_line()) is not None:
            event = _READERS[self.state](self, line)
            if event is not None:
                return event
        return None

    def _read_version(self, line: bytes) -> None:
        version = auth_version(line)
        if version is None:
            raise ProtocolError(f"didn't reply with a valid VERSION line: {readable(line)}")
        if version[0] != MAJOR:
            raise ProtocolError(
                f"Socket supports major version {version[0]}, but we support only {MAJOR} "
                "(mixed old and new binaries?)"
            )
        self.state = State.SPID

    def _read_spid(self, line: bytes) -> ServerHello:
        word, *rest = fields(line) or [b""]
        pid = decimal(rest[0], PID_MAX) if rest and word == b"SPID" else None
        if pid is None:
            raise ProtocolError(f"Authentication server didn't send valid SPID as expected: {readable(line)}")
        self.state = State.OPEN
        return ServerHello(pid)

    def _read_answer(self, line: bytes) -> UserReply | PassReply | NotFound | Failed | None:
        word, *rest = fields(line) or [b""]
        build = _ANSWERS.get(word)
        if build is None:
            return None
        request_id = decimal(rest[0]) if rest else None
        event = build(request_id, rest[1:]) if request_id is not None else None
        if event is None:
            raise ProtocolError(f"Auth server sent invalid {readable(word)} reply: {quoted(line)}")
        return event


def _line(*values: bytes) -> bytes:
    line = join(*values) + b"\n"
    if len(line) > REQUEST_LIMIT:
        raise ValueError(f"auth takes lines of {REQUEST_LIMIT} bytes, not {len(line)}")
    return line


def _user(request_id: int, values: list[bytes]) -> UserReply | None:
    if not values or not values[0]:
        return None
    return UserReply(request_id, values[0], _pairs(values[1:]))


def _pass(request_id: int, values: list[bytes]) -> PassReply:
    return PassReply(request_id, _pairs(values))


def _pairs(values: list[bytes]) -> dict[bytes, bytes]:
    return {name: content for name, _, content in (value.partition(b"=") for value in values if value)}


def _not_found(request_id: int, values: list[bytes]) -> NotFound:
    return NotFound(request_id)


def _failed(request_id: int, values: list[bytes]) -> Failed:
    reasons = [value[len(_REASON) :] for value in values if value.startswith(_REASON)]
    return Failed(request_id, reasons[0] if reasons else None)


if TYPE_CHECKING:
    _Event = ServerHello | UserReply | PassReply | NotFound | Failed

_READERS: Mapping[State, Callable[[AuthMaster, bytes], _Event | None]] = {
    State.VERSION: AuthMaster._read_version,
    State.SPID: AuthMaster._read_spid,
    State.OPEN: AuthMaster._read_answer,
}
_ANSWERS: Mapping[bytes, Callable[[int, list[bytes]], UserReply | PassReply | NotFound | Failed | None]] = {
    b"USER": _user,
    b"PASS": _pass,
    b"NOTFOUND": _not_found,
    b"FAIL": _failed,
}


__all__ = [
    "LINE_LIMIT",
    "REQUEST_LIMIT",
    "AuthMaster",
    "Failed",
    "NotFound",
    "PassReply",
    "ServerHello",
    "State",
    "UserReply",
]
