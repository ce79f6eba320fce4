"""The tokens of structured header fields: RFC 5322 section 3.2 and RFC 2045 section 5.1.

Every method reads at ``position`` and moves it; blanks and comments behind a token are skipped as well.  The
answer is MORE (something follows), END (the text is used up; a token may have been read) or BROKEN, as in
lib-mail/rfc822-parser.c, because what a broken field leaves behind shows in IMAP's answers.
"""

from __future__ import annotations

BROKEN, END, MORE = -1, 0, 1

_SPECIAL = b' \t\r\n"(),.:;<>@[\\]'
_ATEXT = bytes(byte for byte in range(0x21, 0x100) if byte != 0x7F and byte not in _SPECIAL)
_ATEXT_OR_DOT = _ATEXT + b"."
_TOKEN = _ATEXT_OR_DOT.translate(None, b"/?=")
_BEGINS_ATOM = frozenset(_ATEXT)
_BEGINS_WORD = frozenset(_ATEXT_OR_DOT + b'"')
_SPACE = b" \t\r\n"
_BLANK, _CR, _LF, _BACKSLASH, _DOT, _QUOTE, _AT, _OPEN, _CLOSE = b' \r\n\\."@()'
_BRACKET, _BRACKET_CLOSE = b"[]"
_WORDS = _ATEXT_OR_DOT + _SPACE
#: Every blank as a space.
_ALIKE = bytes.maketrans(_SPACE, b"    ")
#: What does not stand for itself within quotes and comments.
_CHANGED = b"\\\n\0"
_STOPS_QUOTED_PAIR = b"\r\n\0"

#: How much is looked at at once; few words are longer.
_PIECE = 64
#: When so many bytes of a text have been gone through one by one, so many more are looked at as a whole.
_MANY, _LONG = 1024, 4096


class Tokenizer:
    """Reads one field's value; ``nul`` replaces NULs inside quotes, ``comment`` collects the last comment."""

    __slots__ = ("comment", "data", "end", "nul", "position")

    def __init__(self, data: bytes, *, nul: bytes = b"", comment: bytearray | None = None) -> None:
        self.data = data
        self.end = len(data)
        self.position = 0
        self.nul = nul
        self.comment = comment

    @property
    def next(self) -> int:
        """The byte at the position, -1 at the end."""
        return self.data[self.position] if self.position < self.end else -1

    def skip(self) -> int:
        """Skip blanks, line ends and comments."""
        data, end = self.data, self.end
        while self.position < end:
            byte = data[self.position]
            if byte in _SPACE:
                self.position += 1
            elif byte == _OPEN:
                if self._comment() == BROKEN:
                    return BROKEN
            else:
                return MORE
        return END

    def atom(self, into: bytearray) -> int:
        """``1*atext``."""
        return self._run(into, _ATEXT) if self.next in _BEGINS_ATOM else BROKEN

    def token(self, into: bytearray) -> int:
        """A MIME token, which may be empty here; unlike RFC 2045's it holds dots and 8-bit bytes."""
        return self._run(into, _TOKEN)

    def dot_atom(self, into: bytearray) -> int:
        """Atoms with single dots between them, blanks and comments around the dots."""
        while True:
            answer = self.atom(into)
            if answer != MORE or self.next != _DOT:
                return answer
            self.position += 1
            into.append(_DOT)
            if self.skip() != MORE:
                return BROKEN

    def phrase(self, into: bytearray) -> int:
        """Words and quoted strings, joined by single blanks."""
        if self.next < 0:
            return END
        if self.next == _DOT:
            return BROKEN
        few = len(into) + _MANY
        while True:
            if len(into) > few:
                self._many_words(into)
            answer = self.quoted(into) if self.next == _QUOTE else self._run(into, _ATEXT_OR_DOT)
            if answer != MORE:
                return answer
            if self.next not in _BEGINS_WORD:
                return self.skip()
            into.append(0x20)

    def _many_words(self, into: bytearray) -> None:
        """Take plain words that lie at hand at once, but for the last."""
        words = self.data[self.position : self.position + _LONG]
        if words.translate(None, _WORDS):
            words = words[: len(words) - len(words.lstrip(_WORDS))]
        words = words.translate(_ALIKE).rstrip(b" ")
        last = words.rfind(b" ") + 1
        if last and words[0] != _BLANK:
            self.position += last
            words = words[:last]
            while b"  " in words:
                words = words.replace(b"  ", b" ")
            into += words

    def quoted(self, into: bytearray) -> int:
        """A quoted string, at whose opening quote the position is."""
        return self.skip() if self._enclosed(into, -1, _QUOTE) else BROKEN

    def domain(self, into: bytearray) -> int:
        """``@domain``: a dot-atom or a literal in brackets, which are kept."""
        self.position += 1
        if self.skip() != MORE:
            return BROKEN
        if self.next != _BRACKET:
            return self.dot_atom(into)
        text = bytearray(b"[")
        if not self._enclosed(text, _BRACKET, _BRACKET_CLOSE):
            return BROKEN
        into += text + b"]"
        return self.skip()

    def _run(self, into: bytearray, allowed: bytes) -> int:
        """A run of allowed bytes and the blanks behind it."""
        data, position = self.data, self.position
        rest = b""
        while not rest:
            piece = data[position : position + _PIECE]
            if not piece:
                self.position = position
                return END
            rest = piece.lstrip(allowed)
            taken = len(piece) - len(rest)
            into += piece[:taken]
            position += taken
        self.position = position
        return MORE if rest[0] > _OPEN else self.skip()

    def _comment(self) -> int:
        comment = self.comment
        if comment is not None:
            comment.clear()
        return MORE if self._enclosed(comment, _OPEN, _CLOSE) else BROKEN

    def _enclosed(self, into: bytearray | None, opener: int, closer: int) -> bool:
        """Read up to ``closer``: line ends are dropped, a backslash takes the next byte as it is.

        Comments nest; a second bracket breaks a domain literal, which keeps its backslashes.
        """
        data, end = self.data, self.end
        position = start = self.position + 1
        keep_backslash = closer == _BRACKET_CLOSE
        depth = 1
        text = bytearray()
        far = position + _MANY
        while position < end:
            if position >= far:
                piece = data[position : position + _LONG]
                openers, closers = (piece.count(opener) if opener >= 0 else 0), piece.count(closer)
                if (
                    closers < depth
                    and not (keep_backslash and openers)
                    and piece == piece.translate(None, _CHANGED)
                ):
                    depth += openers - closers
                    position += len(piece)
                    continue
                far += _LONG
            byte = data[position]
            if byte == closer:
                depth -= 1
                if not depth:
                    break
            elif byte == opener:
                if keep_backslash:
                    self.position = position
                    return False
                depth += 1
            elif byte == _LF:
                text += data[start:position].removesuffix(b"\r")
                start = position + 1
            elif byte == 0 and self.nul:
                text += data[start:position] + self.nul
                start = position + 1
            elif byte == _BACKSLASH:
                if position + 1 >= end:
                    position = end
                    break
                if data[position + 1] not in _STOPS_QUOTED_PAIR:
                    if not keep_backslash:
                        text += data[start:position]
                        start = position + 1
                    position += 1
            position += 1
        closed = not depth
        if closed:
            text += data[start:position]
            position += 1
        if into is not None:
            into += text
        self.position = position
        return closed
