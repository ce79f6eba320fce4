"""What Dovecot's own ``imap`` says to us when it serves as the mail store's engine.

A reader of IMAP responses (RFC 3501 section 7) that knows the four the engine's commands bring: status
responses, ``METADATA`` (RFC 5464), RFC 5524's ``URLFETCH`` as Dovecot 2.3 writes it,
``(BODYPARTSTRUCTURE (...) BINARY ~{n}``, and as 2.4 does, ``(BODYPARTSTRUCTURE (...)) (BINARY {n}``, and the
``FETCH`` of one part.  Every other response is skipped.  Content is handed out in the pieces it arrives in, so
that no mail is ever held; everything else is collected up to a limit.

How long a structure is, and what stands in it, was decided by whoever sent the mail: it is read in time linear in
its bytes, and a long one in steps, between which others may have their turn.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    Result = TypeVar("Result")
    Steps = Generator[None, None, Result]

RESPONSE_LIMIT = 16 * 1024 * 1024
"""Bytes of one response apart from streamed content: the structure of 10 000 parts takes 2 MiB."""

REMEMBERED = 4096
"""Bytes of a response that is remembered as it came."""

STEP = 10_000
"""Strings, parentheses, or escaped quotes in a string, that are passed at once: about 10 ms."""

_CONDITIONS = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))
_CONTENT_ITEMS = frozenset((b"BODY", b"BINARY"))
_ATOM_ENDS = (b" ", b"(", b")", b"\r", b"\n")


@frozen
class Status:
    """``<tag> OK [CODE] text``; the tag is ``*`` for an untagged one, the code is empty if there is none."""

    tag: bytes
    condition: bytes
    code: bytes
    text: bytes


@frozen
class Metadata:
    """One entry of one mailbox; the value is None for ``NIL``."""

    mailbox: bytes
    entry: bytes
    value: bytes | None


@frozen
class UrlFetch:
    """The answer to one URL.

    ``found`` is false for a bare ``NIL``.  ``structure`` is the text between BODYPARTSTRUCTURE's outer
    parentheses.  ``size`` counts the content's bytes, which follow as :class:`Piece` events; it is None when
    there is no content.  ``literal8`` says that the content may hold NULs.
    """

    url: bytes
    found: bool
    structure: bytes | None
    size: int | None
    literal8: bool


@frozen
class Fetched:
    """``* 3 FETCH (UID 7 BODY[1] {n}``, or ``BINARY[1]``: a part of one message, and its content in bytes.

    The content follows as :class:`Piece` events; ``literal8`` says that it may hold NULs.
    """

    uid: int
    size: int
    literal8: bool


@frozen
class Piece:
    """The next bytes of the content announced by the last :class:`UrlFetch` or :class:`Fetched`; never empty."""

    data: bytes


Event = Status | Metadata | UrlFetch | Fetched | Piece


class State(Enum):
    """What the next byte of the engine belongs to."""

    LINE = 1
    LITERAL = 2
    CONTENT = 3
    TAIL = 4
    STRUCTURE = 5
    """Nothing yet: a response that is here is taken apart, and :meth:`ImapDialogue.next_event` goes on with it."""


class ImapDialogue:
    """Eats the engine's output and yields events; after a ProtocolError it must not be used any more."""

    def __init__(self, limit: int = RESPONSE_LIMIT) -> None:
        self._limit = limit
        self._input = b""
        self._position = 0
        self.state = State.LINE
        self._response = bytearray()
        self._line_start = 0
        self._left = 0
        self._ready: Piece | None = None
        self._steps: Steps[UrlFetch] | None = None
        self._last_metadata: tuple[bytes, Metadata] | None = None
        """The response of before, as it came: the next one is mostly the same, and is not taken apart again."""

    def receive_data(self, data: bytes) -> None:
        """Adds output of the engine."""
        self._input = self._input[self._position :] + data if self._position < len(self._input) else data
        self._position = 0

    def next_event(self) -> Event | None:
        """The next event, or None; raises :class:`ProtocolError`.

        None means that more input is needed, but in the state STRUCTURE: then another step has been done.
        """
        if self._steps is not None:
            return self._step(self._steps)
        if self._ready is not None:
            ready, self._ready = self._ready, None
            return ready
        if (again := self._metadata_again()) is not None:
            return again
        while self._steps is None and self._position < len(self._input):
            if self.state is State.CONTENT:
                return Piece(self._take(self._left))
            if self.state is State.LITERAL:
                self._take_literal()
                continue
            if not self._take_line():
                return None
            if self.state is State.TAIL:
                self._end_of_content()
            elif (event := self._end_of_line()) is not None:
                return event
        return None

    def _metadata_again(self) -> Metadata | None:
        """What comes next if it is, to the byte and whole, what came last of its kind."""
        if self._last_metadata is None or self.state is not State.LINE or self._response:
            return None
        text, event = self._last_metadata
        if not self._input.startswith(text, self._position):
            return None
        self._position += len(text)
        return event

    def _take(self, most: int) -> bytes:
        """Up to ``most`` bytes of a literal or content; the state after its last byte is set here."""
        start = self._position
        taken = self._input[start : start + most] if start or most < len(self._input) else self._input
        self._position += len(taken)
        self._left -= len(taken)
        if self._left == 0:
            self.state = State.TAIL if self.state is State.CONTENT else State.LINE
        return taken

    def _take_literal(self) -> None:
        """What there is of a literal belongs to the response, and never to the line that goes on behind it."""
        taken = self._take(self._left)
        self._response += taken
        self._line_start = len(self._response)

    def _take_line(self) -> bool:
        """Moves input up to and including LF to the response; false when there is no LF yet."""
        end = self._input.find(b"\n", self._position) + 1
        self._response += self._input[self._position : end or None]
        self._position = end or len(self._input)
        if len(self._response) > self._limit:
            raise ProtocolError("IMAP response too long")
        return bool(end)

    def _end_of_line(self) -> Event | None:
        line = bytes(self._response[self._line_start :]).removesuffix(b"\n").removesuffix(b"\r")
        if self._line_start == 0 and (status := _status(line)) is not None:
            self._restart()
            return status
        literal = _literal(line)
        if literal is None:
            return self._parse(bytes(self._response))
        size, start = literal
        if self._line_start == 0 and (fetched := _fetched(line, size)) is not None:
            self._restart()
            self._expect_content(size)
            return fetched
        if _introduces_content(self._response, line[:start]):
            return self._begin(_Scanner(bytes(self._response), streaming=size))
        if len(self._response) + size > self._limit:
            raise ProtocolError("IMAP response too long")
        self._left = size
        self._line_start = len(self._response)
        self.state = State.LITERAL if size else State.LINE
        return None

    def _begin(self, scanner: _Scanner) -> UrlFetch | None:
        """Take the response apart as far as one step goes."""
        self.state = State.STRUCTURE
        self._steps = self._urlfetch(scanner)
        return self._step(self._steps)

    def _step(self, steps: Steps[UrlFetch]) -> UrlFetch | None:
        try:
            next(steps)
        except StopIteration as done:
            self._steps = None
            event: UrlFetch = done.value
            return event
        return None

    def _urlfetch(self, scanner: _Scanner) -> Steps[UrlFetch]:
        event = yield from scanner.urlfetch()
        self._restart()
        if scanner.streaming is None:
            self._ready = Piece(scanner.content) if scanner.content else None
            return event
        if event.size != scanner.streaming:
            raise ProtocolError("Content literal in an unexpected place")
        self._expect_content(event.size)
        return event

    def _expect_content(self, size: int) -> None:
        self._left = size
        self.state = State.CONTENT if size else State.TAIL

    def _end_of_content(self) -> None:
        if bytes(self._response).strip(b")\r\n"):
            raise ProtocolError("Unexpected data after content")
        self._restart()

    def _restart(self) -> None:
        self.state = State.LINE
        self._response = bytearray()
        self._line_start = 0

    def _parse(self, response: bytes) -> Event | None:
        if response.startswith(b"* URLFETCH "):
            return self._begin(_Scanner(response))
        self._restart()
        if response.startswith(b"* METADATA "):
            event = _Scanner(response).metadata()
            self._last_metadata = (response, event) if len(response) <= REMEMBERED else None
            return event
        if response.startswith(b"* "):
            return None
        raise ProtocolError("Unexpected IMAP response")


def _status(line: bytes) -> Status | None:
    tag, _, rest = line.partition(b" ")
    condition, _, text = rest.partition(b" ")
    if condition not in _CONDITIONS or not tag:
        return None
    code = b""
    if text.startswith(b"[") and b"]" in text:
        code, _, text = text[1:].partition(b"]")
        text = text.removeprefix(b" ")
    return Status(tag, condition, code, text)


def _literal(line: bytes) -> tuple[int, int] | None:
    """Size and start of the ``{n}`` or ``~{n}`` at the end of a line, if one is there."""
    if not line.endswith(b"}"):
        return None
    start = line.rfind(b"{")
    digits = line[start + 1 : -1]
    if start < 0 or not digits.isdigit() or len(digits) > 18:
        return None
    return int(digits), start - (line[start - 1 : start] == b"~")


def _fetched(line: bytes, size: int) -> Fetched | None:
    """What a line that a literal of this size stands behind says of a part, if it says nothing else."""
    words = line.split(b" ")
    if len(words) != 7 or words[0] != b"*" or words[2:4] != [b"FETCH", b"(UID"]:
        return None
    uid, part, literal = words[4:]
    if not (uid.isdigit() and len(uid) <= 10 and part.startswith((b"BODY[", b"BINARY["))):
        return None
    return Fetched(int(uid), size, literal.startswith(b"~"))


def _introduces_content(response: bytearray, line: bytes) -> bool:
    """Whether the literal after ``line`` is a URL's content: only items' names stand there unquoted."""
    if not response.startswith(b"* URLFETCH "):
        return False
    return line.rstrip(b" ").replace(b"(", b" ").rsplit(b" ", 1)[-1] in _CONTENT_ITEMS


class _Scanner:
    """Takes one whole response apart, literals in place; ``streaming`` bytes of content are to follow it."""

    def __init__(self, text: bytes, *, streaming: int | None = None) -> None:
        self._text = text
        self._at = text.index(b" ", 2) + 1
        self.streaming = streaming
        self.content = b""
        self._passed = 0

    def metadata(self) -> Metadata:
        mailbox = self._astring()
        self._expect(b" (")
        entry = self._astring()
        self._expect(b" ")
        value = self._nstring()
        return Metadata(mailbox, entry, value)

    def urlfetch(self) -> Steps[UrlFetch]:
        url = self._astring()
        self._expect(b" ")
        if self._peek() != b"(" and self._nstring() is None:
            return UrlFetch(url, False, None, None, False)
        structure: bytes | None = None
        size, literal8 = None, False
        while self._at < len(self._text) and self._peek() not in b"\r\n":
            self._passed += 1
            if self._passed % STEP == 0:
                yield
            if self._peek() in b" ()":
                self._at += 1
                continue
            item = self._atom().upper()
            self._expect(b" ")
            if item == b"BODYPARTSTRUCTURE":
                structure = yield from self._parenthesised()
            elif item in _CONTENT_ITEMS:
                size, literal8 = self._content()
            else:
                raise ProtocolError("Unknown URLFETCH item")
        return UrlFetch(url, True, structure, size, literal8)

    def _content(self) -> tuple[int | None, bool]:
        """Size of the content here and whether it is a literal8; fills ``content`` if not streamed."""
        literal8 = self._peek() == b"~"
        if self.streaming is not None and self._peek() in b"~{":
            end = self._text.find(b"\n", self._at)
            literal = _literal(self._text[self._at : end].removesuffix(b"\r"))
            if literal is None or literal[1] != 0 or end + 1 != len(self._text):
                raise ProtocolError("Content literal in an unexpected place")
            self._at = end + 1
            return literal[0], literal8
        value = self._nstring()
        if value is None:
            return None, False
        self.content = value
        return len(value), literal8

    def _peek(self) -> bytes:
        return self._text[self._at : self._at + 1]

    def _expect(self, text: bytes) -> None:
        if not self._text.startswith(text, self._at):
            raise ProtocolError("Malformed IMAP response")
        self._at += len(text)

    def _atom(self) -> bytes:
        start, end = self._at, len(self._text)
        for delimiter in _ATOM_ENDS:
            found = self._text.find(delimiter, start, end)
            end = found if found >= 0 else end
        if start == end:
            raise ProtocolError("Malformed IMAP response")
        self._at = end
        return self._text[start:end]

    def _astring(self) -> bytes:
        return self._string() if self._peek() in (b'"', b"{", b"~") else self._atom()

    def _nstring(self) -> bytes | None:
        if self._peek() in (b'"', b"{", b"~"):
            return self._string()
        if self._atom().upper() != b"NIL":
            raise ProtocolError("Malformed IMAP response")
        return None

    def _string(self) -> bytes:
        start = self._at
        self._skip_string()
        if self._text[start : start + 1] == b'"':
            quoted = self._text[start + 1 : self._at - 1]
            return _unescape(quoted) if b"\\" in quoted else quoted
        return self._text[self._text.index(b"\n", start) + 1 : self._at]

    def _skip_string(self) -> None:
        """Moves behind the quoted string or literal that starts here."""
        if self._peek() != b'"':
            self._skip_literal()
            return
        self._at += 1
        while not self._skip_to_quote():
            continue

    def _skip_to_quote(self) -> bool:
        """Moves behind the next quote of a string; whether it ends there, since no backslash is before it."""
        end = self._text.find(b'"', self._at)
        if end < 0:
            raise ProtocolError("Missing '\"' in an IMAP response")
        stretch = self._text[self._at : end]
        self._at = end + 1
        return (len(stretch) - len(stretch.rstrip(b"\\"))) % 2 == 0

    def _skip_literal(self) -> None:
        end = self._text.find(b"\n", self._at)
        literal = _literal(self._text[self._at : max(end, 0)].removesuffix(b"\r"))
        if literal is None or literal[1] != 0 or end + 1 + literal[0] > len(self._text):
            raise ProtocolError("Malformed literal in an IMAP response")
        self._at = end + 1 + literal[0]

    def _parenthesised(self) -> Steps[bytes | None]:
        """The raw text between the parentheses that open here, or None for NIL."""
        if self._peek() != b"(":
            return self._nstring()
        text, start, depth = self._text, self._at + 1, 0
        quote = brace = -1
        is_quoted = False
        while True:
            self._passed += 1
            if self._passed % STEP == 0:
                yield
            if is_quoted:
                is_quoted = not self._skip_to_quote()
                continue
            # each is looked for once: there may be many of one, and none of the other
            quote = self._next(b'"') if quote < self._at else quote
            brace = self._next(b"{") if brace < self._at else brace
            string = min(quote, brace)
            closing = text.find(b")", self._at, string)
            if closing >= 0:
                depth += text.count(b"(", self._at, closing) - 1
                self._at = closing + 1
                if depth == 0:
                    return text[start:closing]
                continue
            depth += text.count(b"(", self._at, string)
            self._at = string
            if string == len(text):
                raise ProtocolError("Missing ')' in an IMAP response")
            is_quoted = string == quote
            if is_quoted:
                self._at += 1
            else:
                self._skip_literal()

    def _next(self, byte: bytes) -> int:
        """Where it comes next, or the end."""
        found = self._text.find(byte, self._at)
        return found if found >= 0 else len(self._text)


def _unescape(quoted: bytes) -> bytes:
    parts = quoted.split(b"\\\\")
    return b"\\".join(part.replace(b"\\", b"") for part in parts)
