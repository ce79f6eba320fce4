"""Filters of events: which of them somebody wants, as ``log_debug`` and the stats process say it.

A filter compares what an event has with words, and joins comparisons::

    (event="imap_command_finished" AND NOT category="mail") OR (duration > 1000)

``event`` is the name, ``category`` one that the event is in or a parent of it; any other key is a field.  ``AND``
and ``OR`` bind alike, from left to right, ``NOT`` more tightly; words may be quoted, ``*`` and ``?`` stand for
any bytes and any one.  (lib/event-filter-parser.y, event-filter.c; the grammar is the same since 2.3.12)

What cannot be said of an event here - where in Dovecot's source it is sent, how long it took, a size in other
units - is None: maybe.  Who has to decide sends the event then, for the stats process looks at it again.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    Verdict = bool | None

NAME, CATEGORY = "event", "category"
UNDECIDED = ("source_location", "duration")
SIGNS = "()<>="
SPACE = " \t\r\n"
DEEPEST = 50
"""Nested parentheses and NOTs, and changes between AND and OR in a row; the stats process nests two itself."""

END = ""


class FilterError(ProtocolError):
    """Not a filter that we understand."""


@frozen
class Facts:
    """What is known of an event.  None is not known; an event without a name has the name ``""``."""

    name: str
    categories: Collection[str] | None = None
    """With the parents of each."""
    fields: Mapping[str, str | int] | None = None


class EventFilter:
    """A filter, read once."""

    __slots__ = ("_root",)

    def __init__(self, text: str) -> None:
        """Raises FilterError.  A filter without a word lets nothing through."""
        self._root = _Parser(text).parse()

    @property
    def is_empty(self) -> bool:
        """Whether nobody wants anything."""
        return self._root is None

    def wants(self, facts: Facts) -> Verdict:
        """Whether the event passes; None if that cannot be said."""
        return False if self._root is None else self._root.holds(facts)


@frozen
class _Comparison:
    key: str
    sign: str
    word: str

    def holds(self, facts: Facts) -> Verdict:
        if self.key in UNDECIDED:
            return None
        if self.key == NAME:
            return self.sign == "=" and bool(facts.name) and matches(self.word, facts.name)
        if self.key == CATEGORY:
            return None if facts.categories is None else _without_escapes(self.word) in facts.categories
        return None if facts.fields is None else self._holds_of(facts.fields.get(self.key, ""))

    def _holds_of(self, value: str | int) -> Verdict:
        if isinstance(value, int):
            return _NUMBER_SIGNS[self.sign](value, int(self.word)) if _is_number(self.word) else None
        if self.sign != "=":
            return None
        if not value or not self.word:
            return value == self.word  # a field that is not there is like an empty one
        return matches(self.word.lower(), value.lower())


@frozen
class _Not:
    inner: _Comparison | _Not | _Joined

    def holds(self, facts: Facts) -> Verdict:
        held = self.inner.holds(facts)
        return None if held is None else not held


@frozen
class _Joined:
    """``decisive`` is the verdict of one part that settles the whole: False for AND, True for OR."""

    decisive: bool
    parts: tuple[_Comparison | _Not | _Joined, ...]

    def holds(self, facts: Facts) -> Verdict:
        verdict: Verdict = not self.decisive
        for part in self.parts:
            held = part.holds(facts)
            if held is self.decisive:
                return held
            if held is None:
                verdict = None
        return verdict


_NUMBER_SIGNS = {
    "=": lambda value, word: value == word,
    "<": lambda value, word: value < word,
    ">": lambda value, word: value > word,
    "<=": lambda value, word: value <= word,
    ">=": lambda value, word: value >= word,
}
_DECISIVE = {"AND": False, "OR": True}


class _Parser:
    """Takes words and signs from the front of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._sign, self._word = "", END
        """The token in front: a sign, or a word with an empty sign; both empty at the end."""
        self._advance()

    def parse(self) -> _Comparison | _Not | _Joined | None:
        if self._is_at_end:
            return None
        root = self._joined()
        if not self._is_at_end:
            raise FilterError("event filter: more than one expression")
        return root

    @property
    def _is_at_end(self) -> bool:
        return not self._sign and self._word == END

    def _joined(self) -> _Comparison | _Not | _Joined:
        left = self._one()
        changes = 0
        while (joint := self._word.upper()) in _DECISIVE and not self._sign:
            self._advance()
            decisive, right = _DECISIVE[joint], self._one()
            if isinstance(left, _Joined) and left.decisive is decisive:
                left = _Joined(decisive, (*left.parts, right))
            else:
                left = _Joined(decisive, (left, right))
                changes += 1
            if changes > DEEPEST:
                raise FilterError("event filter: AND and OR change too often")
        return left

    def _one(self) -> _Comparison | _Not | _Joined:
        self._depth += 1
        if self._depth > DEEPEST:
            raise FilterError("event filter: nested too deeply")
        try:
            if self._sign == "(":
                self._advance()
                inner = self._joined()
                self._expect(")")
                return inner
            if not self._sign and self._word.upper() == "NOT":
                self._advance()
                return _Not(self._one())
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> _Comparison:
        key = self._take_word()
        sign = self._sign
        if sign not in ("=", "<", ">"):
            raise FilterError("event filter: a comparison is missing")
        self._advance()
        if sign != "=" and self._sign == "=":
            sign += "="
            self._advance()
        return _Comparison(_without_escapes(key), sign, self._take_word())

    def _take_word(self) -> str:
        word = self._word
        if self._sign not in ("", '"') or self._is_at_end:
            raise FilterError("event filter: a word is missing")
        self._advance()
        return word

    def _expect(self, sign: str) -> None:
        if self._sign != sign:
            raise FilterError(f"event filter: {sign} is missing")
        self._advance()

    def _advance(self) -> None:
        text, at = self._text, self._at
        while at < len(text) and text[at] in SPACE:
            at += 1
        self._sign = self._word = ""
        start = at
        if at < len(text) and text[at] in SIGNS:
            self._sign = text[at]
            at += 1
        elif text[at : at + 1] == '"':
            at = self._end_of_quoted(at + 1)
            self._sign, self._word = '"', text[start + 1 : at - 1]
        else:
            while at < len(text) and text[at] not in SIGNS + SPACE + '"':
                at += 1
            self._word = text[start:at]
        self._at = at

    def _end_of_quoted(self, at: int) -> int:
        """Behind the closing quote.  Escapes stay in: they keep a star from being any bytes."""
        while at < len(self._text):
            if self._text[at] == '"':
                return at + 1
            at += 2 if self._text[at] == "\\" else 1
        raise FilterError('event filter: " is missing')


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text is as the pattern has it, in time that the pattern's stars cannot blow up."""
    at = start = 0
    star = resume = -1
    while at < len(text):
        letter = pattern[start : start + 1]
        if letter == "*":
            star, resume = start, at
            start += 1
            continue
        is_escaped = letter == "\\" and start + 1 < len(pattern)
        wanted = pattern[start + 1] if is_escaped else letter
        if wanted and (wanted == text[at] or (letter == "?" and not is_escaped)):
            at += 1
            start += 2 if is_escaped else 1
        elif star >= 0:
            resume += 1
            at, start = resume, star + 1
        else:
            return False
    return not pattern[start:].strip("*")


def _without_escapes(word: str) -> str:
    result, pieces = "", iter(word)
    for letter in pieces:
        result += next(pieces, "") if letter == "\\" else letter
    return result


def _is_number(word: str) -> bool:
    digits = word.removeprefix("-")
    return digits.isascii() and digits.isdigit()


__all__ = ["EventFilter", "Facts", "FilterError", "matches"]
