"""Address lists: RFC 5322 section 3.4, read as lib-mail/message-address.c does for IMAP envelopes.

Broken lists are common, and what is shown of them is part of the answer: MISSING_MAILBOX, MISSING_DOMAIN,
SYNTAX_ERROR and INVALID_ROUTE stand for what could not be read.
"""

from __future__ import annotations

from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.parameters import NUL_SHOWN
from dovecot_urlauth.message.quote import human, nstring
from dovecot_urlauth.message.tokens import BROKEN, END, MORE, Tokenizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dovecot_urlauth.message.rules import MessageRules

#: Bytes of one address with its comments.  Reading it is a single step, and takes up to 1.7 us a byte.
LONGEST_ADDRESS = 16 * 1024

_LESS, _GREATER, _AT, _COMMA, _COLON, _SEMICOLON, _DOT, _QUOTE = b'<>@,:;."'


class Address:
    """One entry of a list; a group begins and ends with entries that have no domain."""

    __slots__ = ("broken", "domain", "mailbox", "name", "route")

    def __init__(self, mailbox: bytes | None = None) -> None:
        self.name: bytes | None = None
        self.route: bytes | None = None
        self.mailbox = mailbox
        self.domain: bytes | None = None
        self.broken = False

    def write(self) -> bytes:
        """The entry as an envelope has it."""
        name = b"NIL" if self.name is None else human(self.name)
        return b"(%s %s %s %s)" % (name, nstring(self.route), nstring(self.mailbox), nstring(self.domain))


def addresses(value: bytes, rules: MessageRules) -> Iterator[Address]:
    """Read a field's value.  Raises TooLarge."""
    comment = bytearray()
    parser = _AddressParser(Tokenizer(value, nul=NUL_SHOWN, comment=comment), comment, rules)
    if parser.skip() == MORE:
        yield from parser.addresses()


class _AddressParser:
    """A recursive descent by one level: lists of mailboxes and groups of mailboxes."""

    def __init__(self, tokens: Tokenizer, comment: bytearray, rules: MessageRules) -> None:
        self._tokens = tokens
        #: The tokenizer's last comment.
        self._comment = comment
        self._rules = rules
        self._address = Address()

    def skip(self) -> int:
        """Go to where an address begins, which ends within so many bytes."""
        tokens = self._tokens
        tokens.end = min(len(tokens.data), tokens.position + LONGEST_ADDRESS)
        answer = tokens.skip()
        self._heed_limit()
        return answer

    def _heed_limit(self) -> None:
        if self._tokens.position >= self._tokens.end < len(self._tokens.data):
            raise TooLarge("Message header has an address that is too large")

    def addresses(self) -> Iterator[Address]:
        """``address-list``."""
        tokens = self._tokens
        while True:
            start = tokens.position
            phrase = self._phrase()
            if phrase is not None and tokens.next == _COLON:
                answer = yield from self._group(phrase)
            else:
                answer = self._mailbox(start, phrase)
                yield self._finished()
            if answer == END or tokens.next != _COMMA:
                return
            tokens.position += 1
            answer = self.skip()
            if answer == BROKEN:
                self._address = Address()
                yield self._finished()
            if answer != MORE:
                return

    def _phrase(self) -> bytes | None:
        """Words with something behind them: a display name, if that is ``<`` or ``:``."""
        phrase = bytearray()
        answer = self._tokens.phrase(phrase)
        self._heed_limit()
        return bytes(phrase) if answer == MORE else None

    def _group(self, name: bytes) -> Generator[Address, None, int]:
        """``display-name ":" [mailbox-list] ";"``; whatever is wrong with it, it stays a group."""
        tokens = self._tokens
        tokens.position += 1
        answer = self.skip()
        yield Address(name)
        if answer == MORE and tokens.next != _SEMICOLON:
            while True:
                start = tokens.position
                self._mailbox(start, self._phrase())
                yield self._finished()
                if tokens.next != _COMMA:
                    break
                tokens.position += 1
                if self.skip() != MORE:
                    answer = BROKEN
                    break
        if answer != BROKEN:
            if tokens.next == _SEMICOLON:
                tokens.position += 1
                answer = self.skip()
            else:
                answer = BROKEN
        yield Address()
        return END if answer == END else MORE

    def _finished(self) -> Address:
        """The address just read, with what is missing said."""
        self._heed_limit()
        address = self._address
        if address.mailbox is None:
            address.mailbox = b"MISSING_MAILBOX"
        if not address.domain:
            address.domain = b"MISSING_DOMAIN"
        return address

    def _mailbox(self, start: int, phrase: bytes | None) -> int:
        """``[display-name] "<" addr-spec ">"`` or ``addr-spec``, from ``start``, where the phrase began."""
        tokens = self._tokens
        address = self._address = Address()
        if phrase is not None and tokens.next == _LESS:
            address.name = phrase or None
            if self._angle() == BROKEN:
                address.domain = b"SYNTAX_ERROR"
            return MORE if tokens.next >= 0 else END
        tokens.position = start
        answer = self._bare()
        if address.broken and address.name is None and address.domain is None:
            address.name, address.mailbox = address.mailbox, None
        return answer

    def _angle(self) -> int:
        """``"<" [route ":"] addr-spec ">"``."""
        tokens = self._tokens
        tokens.position += 1
        if tokens.skip() != MORE:
            return BROKEN
        if tokens.next == _AT:
            if self._route() == MORE and tokens.next == _COLON:
                tokens.position += 1
            else:
                self._address.route = b"INVALID_ROUTE"
            if tokens.skip() != MORE:
                return BROKEN
        if tokens.next != _GREATER:
            if self._local_part(bytearray()) != MORE:
                return BROKEN
            if tokens.next == _AT and self._domain() != MORE:
                return BROKEN
        if tokens.next != _GREATER:
            return BROKEN
        tokens.position += 1
        return tokens.skip()

    def _route(self) -> int:
        """``"@" domain *("," "@" domain)``, of RFC 822's times."""
        tokens = self._tokens
        route = bytearray()
        while tokens.next == _AT:
            route += b",@" if route else b"@"
            answer = self._read_domain(route)
            if answer != MORE:
                return answer
            while tokens.skip() == MORE and tokens.next == _COMMA:
                tokens.position += 1
        if tokens.next < 0:
            return END
        self._address.route = bytes(route)
        return MORE

    def _bare(self) -> int:
        """``addr-spec`` without brackets; a comment is the display name, and words without ``@`` are it too."""
        tokens, address = self._tokens, self._address
        comment = self._comment
        comment.clear()
        quoted = tokens.next == _QUOTE
        text = bytearray()
        answer = self._local_part(text)
        if answer != MORE:
            address.broken = True
        has_domain = answer != END and tokens.next == _AT
        if has_domain:
            domain = self._domain()
            if domain != MORE:
                answer = domain
        if comment:
            address.name = bytes(comment)
        elif not has_domain:
            self._display_name(text, quoted=quoted)
            answer = BROKEN
        return answer

    def _display_name(self, text: bytearray, *, quoted: bool) -> None:
        """Words where an address should be: a single one is a mailbox, several are a name."""
        address = self._address
        text.append(0x20)
        length = len(text)
        self._tokens.phrase(text)
        if len(text) != length:
            address.name, address.mailbox = bytes(text), None
        elif not quoted:
            address.domain = b""
        address.broken = True

    def _local_part(self, text: bytearray) -> int:
        tokens = self._tokens
        answer = tokens.quoted(text) if tokens.next == _QUOTE else self._dotted(text)
        if answer != BROKEN:
            self._address.mailbox = bytes(text)
        return answer

    def _dotted(self, text: bytearray) -> int:
        """A dot-atom that may have dots anywhere."""
        tokens = self._tokens
        answer = BROKEN
        while True:
            while tokens.next == _DOT:
                text.append(_DOT)
                tokens.position += 1
                if tokens.next < 0:
                    return END
                answer = MORE
            if tokens.next == _AT:
                return answer
            answer = tokens.atom(text)
            if answer != MORE or tokens.next != _DOT:
                return answer

    def _domain(self) -> int:
        text = bytearray()
        answer = self._read_domain(text)
        if answer != BROKEN:
            self._address.domain = bytes(text)
        return answer

    def _read_domain(self, into: bytearray) -> int:
        text = bytearray()
        answer = self._tokens.domain(text)
        if answer != BROKEN and self._rules.unicode_domains and not text.startswith(b"["):
            from dovecot_urlauth.message.idna import shown

            text[:] = shown(bytes(text))
        into += text
        return answer
