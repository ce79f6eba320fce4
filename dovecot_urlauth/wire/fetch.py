r"""The fetch protocol, worker's end: what ``imap`` says once the worker holds its socket.

::

    C: USER\talice                                       whose mail
    S: OK
    C: URL\timap://alice@.../;UID=1;URLAUTH=...\tbpstruct\tbinary
    S: OK\thasnuls\tbpstruct="text" "plain" ...\t5       five bytes, then a LF as guard
    S: <5 bytes>
    C: URL\timap://...
    S: NO\terror=Failed to fetch URLAUTH "...": URLAUTH has expired
    C: END                                               another target user is next
    S: OK                                                from imap-urlauth, not from the worker

States: SELECT (only USER), FETCH (only URL and END), DONE.  The worker moves to FETCH itself, by
:meth:`CommandReader.selected`, when a USER was answered with OK.  Command words are case sensitive, the
flags of URL are not.  Empty lines are skipped.  Fatal: a word out of its state, a wrong number of
parameters, a line above the limit.  (imap-urlauth-worker.c, imap-urlauth-worker-common.c)
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.readable import quoted
from dovecot_urlauth.wire.tabescape import escape, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LINE_LIMIT = 65536  # 2.3 has 2048, which kills sessions with long URLs; 2.4 has none

OK_LINE = b"OK\n"
NO_LINE = b"NO\n"
LITERAL_END = b"\n"


@frozen
class UserCommand:
    """Open the mail of this user."""

    name: bytes


@frozen
class UrlCommand:
    """Fetch this URL.  At most one of ``body`` and ``binary`` is set; none of the three never."""

    url: bytes
    body: bool
    binary: bool
    structure: bool


@frozen
class EndCommand:
    """Done with this user."""


class State(Enum):
    """Which commands are in order."""

    SELECT = "select"
    FETCH = "fetch"
    DONE = "done"


class CommandReader(LineProtocol):
    """Worker's end: take one command, answer it, take the next."""

    def __init__(self) -> None:
        super().__init__(LineBuffer(LINE_LIMIT, "Session aborted: Input line too long"))
        self.state = State.SELECT
        self._last: tuple[bytes, UrlCommand | None] = (b"", None)
        """The last URL command and its line: who asks for the same again gets the same object."""

    def selected(self) -> None:
        """The last USER was answered with OK."""
        self.state = State.FETCH

    def next_event(self) -> UserCommand | UrlCommand | EndCommand | None:
        """The next command, or None until more has come; raises ProtocolError."""
        if self.state is State.DONE:
            return None
        while (line := self._lines.next_line()) is not None:
            if line:
                return self._read(line)
        return None

    def _read(self, line: bytes) -> UserCommand | UrlCommand | EndCommand:
        last, url_command = self._last
        if url_command is not None and line == last and self.state is State.FETCH:
            return url_command
        word, *arguments = fields(line)
        read, complaint = _LEGAL.get((self.state, word), (None, ""))
        if read is None:
            raise _bad_input(f"Unknown or inappropriate command: {quoted(word)}")
        command = read(arguments)
        if command is None:
            raise _bad_input(complaint)
        if isinstance(command, EndCommand):
            self.state = State.DONE
        elif isinstance(command, UrlCommand):
            self._last = (line, command)
        return command


def _read_user(arguments: list[bytes]) -> UserCommand | None:
    return UserCommand(arguments[0]) if len(arguments) == 1 else None


def _read_url(arguments: list[bytes]) -> UrlCommand | None:
    if not arguments:
        return None
    flags = {flag.lower() for flag in arguments[1:]}
    binary, structure = b"binary" in flags, b"bpstruct" in flags
    body = not binary and (b"body" in flags or not structure)
    return UrlCommand(arguments[0], body, binary, structure)


def _read_end(arguments: list[bytes]) -> EndCommand | None:
    return None if arguments else EndCommand()


if TYPE_CHECKING:
    _Command = UserCommand | UrlCommand | EndCommand

_LEGAL: Mapping[tuple[State, bytes], tuple[Callable[[list[bytes]], _Command | None], str]] = {
    (State.SELECT, b"USER"): (_read_user, "USER: Invalid number of parameters"),
    (State.FETCH, b"URL"): (_read_url, "URL: Missing URL parameter"),
    (State.FETCH, b"END"): (_read_end, "END: Invalid number of parameters"),
}
"""What may be said when, and the log's line if its parameters are wrong."""


def _bad_input(why: str) -> ProtocolError:
    return ProtocolError(f"Client input error: {why}", "Session aborted: Unexpected input")


def ok_line(size: int, *, has_nuls: bool = False, structure: bytes | None = None) -> bytes:
    """The first line of a URL's answer.

    If ``size`` is above 0, that many bytes and LITERAL_END must follow; behind size 0 nothing may.
    """
    if structure is None and not has_nuls:
        return b"OK\t%d\n" % size
    parts = [b"OK"]
    if has_nuls:
        parts.append(b"hasnuls")
    if structure is not None:
        parts.append(b"bpstruct=" + escape(structure))
    return b"\t".join(parts) + b"\t%d\n" % size


def no_line(error: bytes | None = None) -> bytes:
    """The refusal of a URL, with a text for the user or without."""
    return NO_LINE if error is None else b"NO\terror=%s\n" % escape(error)


__all__ = [
    "LINE_LIMIT",
    "LITERAL_END",
    "NO_LINE",
    "OK_LINE",
    "CommandReader",
    "EndCommand",
    "State",
    "UrlCommand",
    "UserCommand",
    "no_line",
    "ok_line",
]
