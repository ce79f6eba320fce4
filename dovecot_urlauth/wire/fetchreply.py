r"""The fetch protocol, client's end: what ``imap`` accepts on its imap-urlauth socket.

Used to ask a worker the questions that ``imap`` would ask, and to judge its answers as strictly
(lib-imap-urlauth/imap-urlauth-connection.c).  The client says with :meth:`ReplyReader.expect` which command
it sent; each has one answer:

======== ==================================================================================
VERSION  ``VERSION\timap-urlauth\t2\t<minor>`` (2.4 only)
AUTH     ``OK``, any case; else fatal
USER     ``OK`` or ``NO``
URL      ``NO[\terror=<text>]``, or ``OK[\t<flag>]...\t<size>``, the bytes and a LF unless size is 0
END      ``OK``
======== ==================================================================================

Fatal besides: any byte while no answer is due, a literal without its LF.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.number import UINT64_MAX, decimal
from dovecot_urlauth.wire.readable import quoted
from dovecot_urlauth.wire.tabescape import fields
from dovecot_urlauth.wire.version import version_fault

PROTOCOL = b"imap-urlauth"
MAJOR = 2
LINE_LIMIT = 16 * 1024 * 1024  # imap itself has none; a body structure can be long

_ERROR = b"error="
_STRUCTURE = b"bpstruct="


class Expect(Enum):
    """The command whose answer is due."""

    VERSION = "version"
    AUTH = "auth"
    USER = "user"
    URL = "url"
    END = "end"


@frozen
class Accepted:
    """OK to anything but URL."""

    command: Expect


@frozen
class Refused:
    """NO to USER or URL; ``error`` is the text for the user, if one was sent."""

    command: Expect
    error: bytes | None


@frozen
class Fetched:
    """OK to URL."""

    data: bytes
    has_nuls: bool
    structure: bytes | None


class State(Enum):
    """What the next byte of the server belongs to."""

    IDLE = "idle"
    LINE = "line"
    LITERAL = "literal"


_LEGAL = {
    Expect.AUTH: ((b"OK",), "Failed to authenticate to service: Got unexpected response: "),
    Expect.USER: ((b"OK", b"NO"), "Failed to select target user: Got unexpected response: "),
    Expect.END: ((b"OK",), "Failed to unselect target user: Got unexpected response: "),
}
"""The answers of one word, in any case, and what is said about any other."""


class ReplyReader(LineProtocol):
    """Client's end: say what is expected, take replies until None."""

    def __init__(self) -> None:
        super().__init__(LineBuffer(LINE_LIMIT))
        self.state = State.IDLE
        self._due: list[Expect] = []
        self._head: Fetched | None = None
        self._literal: list[bytes] = []
        self._missing = 0

    def expect(self, command: Expect) -> None:
        """One more answer is due."""
        self._due.append(command)
        if self.state is State.IDLE:
            self.state = State.LINE

    def next_event(self) -> Accepted | Refused | Fetched | None:
        """The next complete answer, or None until more has come; raises ProtocolError."""
        if self.state is State.LITERAL and self._head is not None:
            return self._read_literal(self._head)
        if self.state is State.IDLE:
            unsolicited = self._lines.rest()
            if unsolicited:
                raise ProtocolError(f"Received input while no requests were pending: {quoted(unsolicited)}")
            return None
        line = self._lines.next_line()
        return None if line is None else self._read(self._due[0], line)

    def _read(self, command: Expect, line: bytes) -> Accepted | Refused | Fetched | None:
        if command is Expect.URL:
            return self._read_url(line)
        if command is Expect.VERSION:
            fault = version_fault(line, PROTOCOL, MAJOR)
            if fault is not None:
                raise ProtocolError(fault)
            self._answered()
            return Accepted(command)
        word = line.upper()
        words, complaint = _LEGAL[command]
        if word not in words:
            raise ProtocolError(complaint + quoted(line))
        self._answered()
        return Accepted(command) if word == b"OK" else Refused(command, None)

    def _read_url(self, line: bytes) -> Refused | Fetched | None:
        word, *rest = fields(line) or [b""]
        if word == b"NO":
            error = rest[0][len(_ERROR) :] if rest and rest[0].lower().startswith(_ERROR) else None
            self._answered()
            return Refused(Expect.URL, error)
        size = decimal(rest[-1], UINT64_MAX) if rest and word == b"OK" else None
        if size is None:
            raise _unexpected(line)
        structures = [flag[len(_STRUCTURE) :] for flag in rest[:-1] if flag.lower().startswith(_STRUCTURE)]
        if b"" in structures:
            raise _unexpected(line)
        has_nuls = any(flag.lower() == b"hasnuls" for flag in rest[:-1])
        reply = Fetched(b"", has_nuls, structures[-1] if structures else None)
        if size == 0:
            self._answered()
            return reply
        self._head, self._missing = reply, size
        self.state = State.LITERAL
        return self._read_literal(reply)

    def _answered(self) -> None:
        self._due.pop(0)
        self.state = State.LINE if self._due else State.IDLE

    def _read_literal(self, head: Fetched) -> Fetched | None:
        piece = self._lines.take(self._missing)
        self._missing -= len(piece)
        self._literal.append(piece)
        guard = self._lines.take(1) if not self._missing else b""
        if not guard:
            return None
        if guard != b"\n":
            raise ProtocolError(f"no LF at end of literal (found 0x{guard[0]:x})")
        data = b"".join(self._literal)
        self._head, self._literal = None, []
        self._answered()
        return Fetched(data, head.has_nuls, head.structure)


def _unexpected(line: bytes) -> ProtocolError:
    return ProtocolError(f"Unexpected URL response: {quoted(line)}" if line else "Empty URL response: ")


__all__ = ["Accepted", "Expect", "Fetched", "Refused", "ReplyReader", "State"]
