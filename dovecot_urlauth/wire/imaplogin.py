"""Logging in at another backend's imap as a master user: RFC 3501 sections 6.2 and 7.1, RFC 4616.

``<-`` is the backend; STARTTLS only where the proxy fields ask for it, the initial response only where the
greeting has SASL-IR::

    <- * OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS ...] Dovecot ready.
    -> a STARTTLS
    <- a OK Begin TLS negotiation now.
       (the caller encrypts the connection, and says so)
    -> b AUTHENTICATE PLAIN
    <- +
    -> YWxpY2UAbWFzdGVyAHNlY3JldA==
    <- b OK [CAPABILITY IMAP4rev1 ... METADATA] Logged in

States: GREETING, STARTTLS, TLS, AUTHENTICATE, CONTINUED, OPEN.  Fatal: a greeting that is no ``* OK``, one that is
logged in already (as whom?), bytes behind the answer to STARTTLS, which somebody may have put there before the
encryption began, a refusal, a login without METADATA, a line above the limit.
"""

from __future__ import annotations

from binascii import b2a_base64

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.readable import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LINE_LIMIT = 8192
"""Bytes; a line of capabilities has some hundred."""


@frozen
class Credentials:
    """Who logs in, for whom: without a ``master`` the user does it."""

    user: bytes
    master: bytes
    password: bytes

    def initial_response(self) -> bytes:
        """The base64 of RFC 4616's message."""
        message = b"\0".join((self.user if self.master else b"", self.master or self.user, self.password))
        return b2a_base64(message, newline=False)


@frozen
class BeginTls:
    """The connection is to be encrypted now; then :meth:`ImapLogin.encrypted` is due."""


@frozen
class LoggedIn:
    """The next byte belongs to the session of the user."""


class State(Enum):
    """What the backend's next line answers."""

    GREETING = "greeting"
    STARTTLS = "starttls"
    TLS = "tls"
    AUTHENTICATE = "authenticate"
    CONTINUED = "continued"
    OPEN = "open"


class ImapLogin(LineProtocol):
    """Our end, from the greeting to the login."""

    def __init__(self, credentials: Credentials, *, starttls: bool = False) -> None:
        super().__init__(LineBuffer(LINE_LIMIT, f"Backend sent us more than {LINE_LIMIT} bytes in a line"))
        self._credentials = credentials
        self._starttls = starttls
        self.state = State.GREETING

    def receive_eof(self) -> None:
        """The backend closed its end, which it may not before the login.  Raises ProtocolError."""
        if self.state is not State.OPEN:
            raise ProtocolError("Disconnected by backend before the login")

    def encrypted(self) -> None:
        """The connection is encrypted."""
        self.state = State.AUTHENTICATE
        self._output += b"b AUTHENTICATE PLAIN\r\n"

    def next_event(self) -> BeginTls | LoggedIn | None:
        """The next event, or None until more has come; raises ProtocolError."""
        while self.state in _READERS and (line := self._lines.next_line()) is not None:
            event = _READERS[self.state](self, line)
            if event is not None:
                return event
        return None

    def _read_greeting(self, line: bytes) -> None:
        if line.upper().split(b" ", 2)[:2] != [b"*", b"OK"]:
            raise ProtocolError(f"Backend's greeting is not usable: {readable(line)}")
        if self._starttls:
            self.state = State.STARTTLS
            self._output += b"a STARTTLS\r\n"
        elif b"SASL-IR" in line.upper().translate(None, b"]").split():
            self.state = State.CONTINUED
            self._output += b"b AUTHENTICATE PLAIN %s\r\n" % self._credentials.initial_response()
        else:
            self.encrypted()

    def _read_starttls(self, line: bytes) -> BeginTls | None:
        if _condition(line, b"a", "STARTTLS") is None:
            return None
        if self._lines.rest():
            raise ProtocolError("Backend sent more behind its answer to STARTTLS")
        self.state = State.TLS
        return BeginTls()

    def _read_authenticate(self, line: bytes) -> None:
        if line.startswith(b"+"):
            self.state = State.CONTINUED
            self._output += self._credentials.initial_response() + b"\r\n"
        elif _condition(line, b"b", "AUTHENTICATE") is not None:
            raise ProtocolError("Backend's answer to AUTHENTICATE is not usable")

    def _read_login(self, line: bytes) -> LoggedIn | None:
        text = _condition(line, b"b", "login")
        if text is None:
            return None
        listed = text.upper().partition(b"[CAPABILITY ")[2].partition(b"]")[0].split()
        if listed and b"METADATA" not in listed:
            raise ProtocolError("Backend has no METADATA (imap_metadata = yes is missing there)")
        self.state = State.OPEN
        return LoggedIn()


def _condition(line: bytes, tag: bytes, what: str) -> bytes | None:
    """The text behind ``<tag> OK``, None of a line that is not the answer.  Raises ProtocolError."""
    if line.startswith(b"* BYE"):
        raise ProtocolError(f"Backend refused {what}: {readable(line[2:])}")
    if line.startswith((b"* ", b"+")):
        return None
    given, _, rest = line.partition(b" ")
    condition, _, text = rest.partition(b" ")
    if given != tag or condition.upper() not in (b"OK", b"NO", b"BAD"):
        raise ProtocolError(f"Backend's answer is not usable: {readable(line)}")
    if condition.upper() != b"OK":
        raise ProtocolError(f"Backend refused {what}: {readable(text)}")
    return text


_READERS: Mapping[State, Callable[[ImapLogin, bytes], BeginTls | LoggedIn | None]] = {
    State.GREETING: ImapLogin._read_greeting,
    State.STARTTLS: ImapLogin._read_starttls,
    State.AUTHENTICATE: ImapLogin._read_authenticate,
    State.CONTINUED: ImapLogin._read_login,
}


__all__ = ["LINE_LIMIT", "BeginTls", "Credentials", "ImapLogin", "LoggedIn", "State"]
