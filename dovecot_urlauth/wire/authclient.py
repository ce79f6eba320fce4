r"""The auth client protocol: imap-urlauth-login asks auth, over ``token-login/tokenlogin``.

Example, with 2.4.5's minor numbers (``<-`` is auth)::

    -> VERSION\t1\t4
    -> CPID\t6221
    <- VERSION\t1\t4
    <- MECH\tDOVECOT-TOKEN\tprivate
    <- SPID\t6204
    <- CUID\t3
    <- COOKIE\t957fa8fd44d2bcaa4e79fb08d01f0278
    <- DONE
    -> AUTH\t1\tDOVECOT-TOKEN\tprotocol=imap-urlauth\tfinal-resp-ok\tsecured\tno-penalty\tsession=vsVV...\tresp=...
    <- OK\t1\tuser=bob

States: VERSION, HANDSHAKE, OPEN.  The flags of a MECH line are of no interest: 2.3 forgets to say that
DOVECOT-TOKEN is ``private``, and the stock login dies of that.  Handshake words that we do not know are
skipped; so are empty fields, which 2.3 sends.  Fatal, with the texts of lib-auth/auth-client-connection.c:
another major version, a handshake without mechanism, pid or cookie, a reply to a request that was never
made, a line above the limit.
"""

from __future__ import annotations

import binascii

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.number import PID_MAX, UINT32_MAX, decimal
from dovecot_urlauth.wire.readable import readable
from dovecot_urlauth.wire.tabescape import escape, fields
from dovecot_urlauth.wire.version import auth_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAJOR = 1
MECHANISM = b"DOVECOT-TOKEN"
LINE_LIMIT = 16384  # AUTH_SERVER_CONN_MAX_LINE_LENGTH
COOKIE_SIZE = 16

_TOO_LONG = f"BUG: Auth server sent us more than {LINE_LIMIT} bytes of data"
_NOT_FOR_US = (b"nologin", b"proxy")  # the user may not log in here: for this service a failure


@frozen
class Ready:
    """Handshake done; both values belong into the hand-off."""

    server_pid: int
    cookie: bytes


@frozen
class AuthOk:
    """Authenticated as ``user``, the name as auth spells it."""

    id: int
    user: bytes
    fields: Mapping[bytes, bytes]


@frozen
class AuthFail:
    """Refused.  ``code`` is auth's word for why (``temp_fail``, ...), empty for a plain mismatch."""

    id: int
    user: bytes
    code: bytes
    reason: bytes
    fields: Mapping[bytes, bytes]


@frozen
class Cancelled:
    """A cancelled request is gone; sent from minor version 4 on."""

    id: int


class State(Enum):
    """How far the handshake has come."""

    VERSION = "version"
    HANDSHAKE = "handshake"
    OPEN = "open"


class AuthClient(LineProtocol):
    """Login's end of one connection to auth.

    ``pid`` is announced as CPID and must be the one in the hand-off.  ``minor`` and ``parameters`` (the
    fields of AUTH between mechanism and session) are the dialect's.
    """

    def __init__(self, pid: int, minor: int, parameters: tuple[bytes, ...]) -> None:
        opening = b"VERSION\t%d\t%d\nCPID\t%d\n" % (MAJOR, minor, pid)
        super().__init__(LineBuffer(LINE_LIMIT, _TOO_LONG), opening)
        self.state = State.VERSION
        self._parameters = parameters
        self._last_id = 0
        self._pending: set[int] = set()
        self._mechanisms: set[bytes] = set()
        self._server_pid = 0
        self._cookie = b""

    def request(self, session: bytes, response: bytes) -> int:
        """Ask; the new request's id. ``response`` is base64, ``session`` login's own id."""
        self._last_id = self._last_id + 1 if self._last_id < UINT32_MAX else 1
        self._pending.add(self._last_id)
        parts = (
            b"AUTH",
            b"%d" % self._last_id,
            MECHANISM,
            *self._parameters,
            b"session=" + escape(session),
            b"resp=" + response,  # auth takes the rest of the line: must stay last
        )
        self._output += b"\t".join(parts) + b"\n"
        return self._last_id

    def cancel(self, request_id: int) -> None:
        """Withdraw a request; a reply that is already on its way is then skipped."""
        self._pending.discard(request_id)
        self._output += b"CANCEL\t%d\n" % request_id

    @property
    def pending(self) -> int:
        """How many requests wait for a reply."""
        return len(self._pending)

    def next_event(self) -> Ready | AuthOk | AuthFail | Cancelled | None:
        """The next event, or None until more has come; raises ProtocolError."""
        while (line := self._lines.next_line()) is not None:
            event = _READERS[self.state](self, line)
            if event is not None:
                return event
        return None

    def _read_version(self, line: bytes) -> None:
        version = auth_version(line)
        if version is None or version[0] != MAJOR:
            raise ProtocolError(f"Auth server sent invalid version line: {readable(line)}")
        self.state = State.HANDSHAKE

    def _read_handshake(self, line: bytes) -> Ready | None:
        word, *rest = fields(line) or [b""]
        if word == b"DONE":
            return self._end_of_handshake()
        take, complaint = _HANDSHAKE.get(word, (None, ""))
        if take is not None and not take(self, rest[0] if rest else b""):
            raise ProtocolError(complaint)
        return None

    def _take_mech(self, name: bytes) -> bool:
        self._mechanisms.add(name.upper())
        return bool(name)

    def _take_spid(self, number: bytes) -> bool:
        self._server_pid = decimal(number, PID_MAX) or 0
        return bool(self._server_pid)

    def _take_cuid(self, number: bytes) -> bool:
        return decimal(number) is not None

    def _take_cookie(self, text: bytes) -> bool:
        if self._cookie:
            raise ProtocolError("BUG: Authentication server already sent cookie")
        try:
            self._cookie = binascii.unhexlify(text)
        except ValueError:
            return False
        return len(self._cookie) == COOKIE_SIZE

    def _end_of_handshake(self) -> Ready:
        for is_there, complaint in _REQUIRED:
            if not is_there(self):
                raise ProtocolError(complaint)
        self.state = State.OPEN
        return Ready(self._server_pid, self._cookie)

    def _read_reply(self, line: bytes) -> AuthOk | AuthFail | Cancelled | None:
        word, *rest = fields(line) or [b""]
        build = _REPLIES.get(word)
        if build is None:
            raise ProtocolError(f"Auth server sent unknown response: {readable(word)}")
        request_id = decimal(rest[0]) if rest else None
        if request_id is None:
            raise ProtocolError(f"BUG: Authentication server sent broken {readable(word)} line")
        if not 0 < request_id <= self._last_id:
            raise ProtocolError(f"BUG: Authentication server sent unknown id {request_id}")
        if word == b"CANCELLED":
            return Cancelled(request_id)
        if request_id not in self._pending:
            return None  # withdrawn while the reply was on its way
        self._pending.remove(request_id)
        return build(request_id, rest[1:])


def _build_ok(request_id: int, values: list[bytes]) -> AuthOk | AuthFail:
    named = _named(values)
    user = named.get(b"user", b"")
    if not user or any(name in named for name in _NOT_FOR_US):
        return _build_fail(request_id, values)
    return AuthOk(request_id, user, named)


def _build_fail(request_id: int, values: list[bytes]) -> AuthFail:
    named = _named(values)
    return AuthFail(request_id, named.get(b"user", b""), named.get(b"code", b""), named.get(b"reason", b""), named)


def _build_continuation(request_id: int, values: list[bytes]) -> AuthFail:
    # DOVECOT-TOKEN has one step; a server that wants a second one cannot be satisfied.
    return AuthFail(request_id, b"", b"", b"", {})


def _named(values: list[bytes]) -> dict[bytes, bytes]:
    pairs = (value.partition(b"=") for value in values if value)
    return {name: value for name, _, value in pairs}


if TYPE_CHECKING:
    _Event = Ready | AuthOk | AuthFail | Cancelled

_READERS: Mapping[State, Callable[[AuthClient, bytes], _Event | None]] = {
    State.VERSION: AuthClient._read_version,
    State.HANDSHAKE: AuthClient._read_handshake,
    State.OPEN: AuthClient._read_reply,
}
_HANDSHAKE: Mapping[bytes, tuple[Callable[[AuthClient, bytes], bool], str]] = {
    b"MECH": (AuthClient._take_mech, "BUG: Authentication server sent broken MECH line"),
    b"SPID": (AuthClient._take_spid, "BUG: Authentication server sent invalid PID"),
    b"CUID": (AuthClient._take_cuid, "BUG: Authentication server sent broken CUID line"),
    b"COOKIE": (AuthClient._take_cookie, "BUG: Authentication server sent invalid cookie"),
}
"""What a line of the handshake says, and the log's line if its first field makes no sense."""

_REQUIRED: Sequence[tuple[Callable[[AuthClient], object], str]] = (
    (lambda client: client._mechanisms, "BUG: Authentication server returned no mechanisms"),
    (
        lambda client: MECHANISM in client._mechanisms,
        "Authentication server doesn't support mechanism DOVECOT-TOKEN",
    ),
    (lambda client: client._server_pid, "BUG: Authentication server didn't send a PID"),
    (lambda client: client._cookie, "BUG: Authentication server didn't send a cookie"),
)
"""What must have been said before DONE, in the order in which it is missed."""

_REPLIES: Mapping[bytes, Callable[[int, list[bytes]], AuthOk | AuthFail]] = {
    b"OK": _build_ok,
    b"FAIL": _build_fail,
    b"CONT": _build_continuation,
    b"CANCELLED": _build_fail,
}


__all__ = [
    "LINE_LIMIT",
    "MECHANISM",
    "AuthClient",
    "AuthFail",
    "AuthOk",
    "Cancelled",
    "Ready",
    "State",
]
