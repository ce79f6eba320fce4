"""2.4's expressions between ``%{`` and ``}``: words, calls, and what becomes of a failure on the way.

Matches var-expand-lexer.l, var-expand-parser.y and expansion-statement.c of lib-var-expand.  The first word is a
variable or, failing that, a filter; each filter takes what the one before left.  A filter that fails leaves
nothing, which ``default`` may fill; two failures, or nothing at the end, are an error of the configuration.
Loaded when a setting has an expression.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.filters import FILTERS, Arguments, FilterFailed, Looked, calculate
from dovecot_urlauth.config.variables_2_3 import USERDB, encode
from dovecot_urlauth.start.frozen import Enum, frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.filters import Transfer

SIGNS = "|(),=+-*/%}"
NAME_STARTS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
NAME_GOES_ON = NAME_STARTS + DIGITS + "_/;:.-"
OPERATORS = "+-*/%"
ESCAPES = {"\\": "\\", "t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'"}
LONGEST_NUMBER = 18
"""Digits that surely are 64 bits."""


class Kind(Enum):
    """What a word of an expression is."""

    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    SIGN = "sign"


@frozen
class Word:
    """One word."""

    kind: Kind
    text: str


def evaluate(text: str, at: int, values: Mapping[str, str]) -> tuple[bytes, int]:
    """The value of the expression that begins at ``at``, and where the text behind its brace goes on.

    Raises UnsupportedSetting.
    """
    words, end = _lex(text, at)
    try:
        return _Chain(words, values).run(), end
    except (IndexError, FilterFailed):
        raise UnsupportedSetting(f"variable %{{{text[at:end]}") from None


def _lex(text: str, at: int) -> tuple[list[Word], int]:
    words = []
    start = at
    while at < len(text):
        character = text[at]
        if character in " \t":
            at += 1
        elif character in NAME_STARTS:
            end = _run(text, at, NAME_GOES_ON)
            words.append(Word(Kind.NAME, text[at:end]))
            at = end
        elif character in DIGITS:
            end = _run(text, at, DIGITS)
            words.append(Word(Kind.NUMBER, text[at:end]))
            at = end
        elif character in "'\"":
            quoted, at = _lex_text(text, at)
            words.append(Word(Kind.TEXT, quoted))
        elif character in SIGNS:
            words.append(Word(Kind.SIGN, character))
            at += 1
            if character == "}":
                return words, at
        else:
            break
    raise UnsupportedSetting(f"variable %{{{text[start : start + 20]}")


def _run(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _lex_text(text: str, at: int) -> tuple[str, int]:
    """The quoted text at ``at``, and where it ends."""
    quote, start = text[at], at
    plain = []
    at += 1
    while at < len(text) and text[at] != quote:
        character = text[at]
        if character == "\\":
            at += 1
            escaped = ESCAPES.get(text[at : at + 1])
            if escaped is None:
                break
            character = escaped
        plain.append(character)
        at += 1
    if text[at : at + 1] != quote:
        raise UnsupportedSetting(f"variable text {text[start : start + 20]}")
    return "".join(plain), at + 1


class _Chain:
    """One expression, evaluated from its first word to its brace.  IndexError is an expression without an end."""

    def __init__(self, words: list[Word], values: Mapping[str, str]) -> None:
        self._words = words
        self._values = values
        self._at = 0
        self._transfer: Transfer | None = None
        self._has_failed = False

    def run(self) -> bytes:
        """Raises FilterFailed, IndexError or UnsupportedSetting."""
        is_first = True
        while True:
            if self._words[self._at].kind is Kind.NAME:
                self._filter(self._next().text, is_first=is_first)
                is_first = False
                if self._is_sign() and self._words[self._at].text in OPERATORS:
                    self._arithmetic()
            sign = self._next()
            if sign.kind is Kind.SIGN and sign.text == "}":
                break
            if sign.kind is not Kind.SIGN or sign.text != "|":
                raise FilterFailed
        if self._transfer is None:
            raise FilterFailed
        value, is_binary = self._transfer
        return value.hex().encode() if is_binary else value

    def _next(self) -> Word:
        word = self._words[self._at]
        self._at += 1
        return word

    def _is_sign(self, text: str = "") -> bool:
        word = self._words[self._at]
        return word.kind is Kind.SIGN and text in ("", word.text)

    def _filter(self, name: str, *, is_first: bool) -> None:
        arguments = self._arguments() if self._is_sign("(") else Arguments((), {})
        if is_first:
            value = self._lookup(name)
            if value is not None:
                self._transfer = encode(value), False
                return
            self._has_failed = name not in FILTERS
            if self._has_failed:
                return
        apply = FILTERS.get(name)
        if apply is None:
            raise UnsupportedSetting(f"variable filter {name}")
        try:
            self._transfer = apply(self._transfer, arguments)
            self._has_failed = False
        except FilterFailed:
            self._transfer = None
            if self._has_failed:
                raise
            self._has_failed = True

    def _lookup(self, name: str) -> str | None:
        """A variable's value; None for a field that the userdb has not, and for the name of a filter."""
        if name in self._values:
            return self._values[name]
        if name.startswith(USERDB) or name in FILTERS:
            return None
        # a variable that we do not know may well have a value, so that its default is none of our business
        raise UnsupportedSetting(f"variable %{{{name}}}")

    def _arguments(self) -> Arguments:
        unnamed: list[str | int] = []
        named: dict[str, str | int] = {}
        self._next()
        while True:
            word = self._words[self._at]
            if word.kind is Kind.NAME and self._words[self._at + 1] == Word(Kind.SIGN, "="):
                self._at += 2
                named[word.text.lower()] = self._argument()
            else:
                unnamed.append(self._argument())
            sign = self._next()
            if sign == Word(Kind.SIGN, ")"):
                return Arguments(tuple(unnamed), named)
            if sign != Word(Kind.SIGN, ","):
                raise FilterFailed

    def _argument(self) -> str | int:
        """A text, a number, or the value of a variable."""
        word = self._next()
        if word.kind is Kind.TEXT:
            return word.text
        if word.kind is Kind.NAME:
            value = self._values.get(word.text)
            if value is None:
                raise UnsupportedSetting(f"variable %{{{word.text}}}")
            return Looked(value)
        return self._number(word)

    def _number(self, word: Word) -> int:
        sign = 1
        if word == Word(Kind.SIGN, "-"):
            sign, word = -1, self._next()
        if word.kind is not Kind.NUMBER or len(word.text) > LONGEST_NUMBER:
            raise UnsupportedSetting(f"variable with {word.text}")
        return sign * int(word.text)

    def _arithmetic(self) -> None:
        operator = self._next().text
        word = self._next()
        if word.kind is Kind.NAME:
            raise UnsupportedSetting("variable with a calculated variable")
        self._transfer = calculate(self._transfer, operator, self._number(word))
