"""Content-Type and the parameters of MIME fields: RFC 2045 section 5.1, RFC 2231.

What is read, kept and dropped of broken fields is that of lib-mail/rfc822-parser.c and rfc2231-parser.c.
"""

from __future__ import annotations

from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.tokens import BROKEN, END, MORE, Tokenizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.rules import MessageRules

Parameters = list[tuple[bytes, bytes]]

#: U+FFFD in UTF-8; stands for a NUL, which neither C nor IMAP can show.
NUL_SHOWN = b"\xef\xbf\xbd"

#: Bytes of one MIME field.  Reading it is a single step, and takes 0.2 us a byte of comments or quoted pairs.
FIELD_LIMIT = 64 * 1024

_SLASH, _SEMICOLON, _EQUALS, _QUOTE = b'/;="'
_HACK_ENDS = b"; \t\r\n"
_DIGITS = b"0123456789"


def field_tokens(value: bytes) -> Tokenizer:
    """The tokens of a MIME field's value, at the first of them.  Raises TooLarge."""
    if len(value) > FIELD_LIMIT:
        raise TooLarge("Message header is too large")
    tokens = Tokenizer(value)
    tokens.skip()
    return tokens


class ContentType:
    """A Content-Type field, whose parameters are read when they are asked for.  Raises TooLarge."""

    __slots__ = ("_parameters", "_rules", "_sound", "_tokens", "text")

    def __init__(self, value: bytes, rules: MessageRules) -> None:
        self._rules = rules
        self._tokens = field_tokens(value)
        #: ``type/subtype``, or what is known of it.
        self.text, self._sound = content_type(self._tokens, rules)
        self._parameters: Parameters | None = None

    @property
    def parameters(self) -> Parameters:
        """The parameters; none where the type is not sound."""
        if self._parameters is None:
            self._parameters = parameters(self._tokens, self._rules) if self._sound else []
        return self._parameters


def content_type(tokens: Tokenizer, rules: MessageRules) -> tuple[bytes, bool]:
    """Read ``type/subtype``; gives what is known of it and whether it is sound."""
    text = bytearray()
    if tokens.skip() != MORE or tokens.token(text) != MORE:
        return bytes(text), False
    main = bytes(text)
    broken = b"" if rules.strict_content_type else main
    if (rules.strict_content_type and not main) or tokens.next != _SLASH:
        return broken, False
    tokens.position += 1
    if tokens.skip() != MORE:
        return broken, False
    text.append(_SLASH)
    answer = tokens.token(text)
    if not rules.strict_content_type:
        return bytes(text), answer != BROKEN
    if answer == BROKEN or len(text) == len(main) + 1 or tokens.next not in (-1, _SEMICOLON):
        return b"", False
    return bytes(text), True


def parameters(tokens: Tokenizer, rules: MessageRules) -> Parameters:
    """Read all ``;name=value`` from the position on, as (name, value) in the order IMAP shows them."""
    if tokens.position >= tokens.end:
        return []
    from dovecot_urlauth.message.rfc2231 import Decoder, Joiner

    tokens.nul = NUL_SHOWN
    result = Decoder() if rules.rfc2231_decoded else Joiner()
    for _ in range(rules.parameter_limit):
        answer, name, value = _parameter(tokens)
        if answer == END:
            break
        if answer == BROKEN:
            if tokens.position >= tokens.end:
                break
            tokens.position += 1
        else:
            result.add(name, value.partition(b"\0")[0])
    return result.finish()


def _parameter(tokens: Tokenizer) -> tuple[int, bytes, bytes]:
    """Read one parameter: MORE if there is one, END behind the last, BROKEN if neither."""
    if tokens.next < 0:
        return END, b"", b""
    if tokens.next != _SEMICOLON:
        return BROKEN, b"", b""
    tokens.position += 1
    name, value = bytearray(), bytearray()
    if tokens.skip() != MORE or tokens.token(name) != MORE or tokens.next != _EQUALS:
        return BROKEN, b"", b""
    tokens.position += 1
    answer = tokens.skip()
    if answer == MORE:
        if tokens.next == _QUOTE:
            answer = tokens.quoted(value)
        elif tokens.next == _EQUALS:
            _encoded_word(tokens, value)
        else:
            answer = tokens.token(value)
    return BROKEN if answer == BROKEN else MORE, bytes(name), bytes(value)


def _encoded_word(tokens: Tokenizer, value: bytearray) -> None:
    """``name==?utf-8?b?...?=`` is wrong but common: take it as it is."""
    start = tokens.position
    while tokens.position < tokens.end and tokens.data[tokens.position] not in _HACK_ENDS:
        tokens.position += 1
    value += tokens.data[start : tokens.position]
