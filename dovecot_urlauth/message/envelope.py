"""The envelope of a message inside a message: RFC 3501 section 7.4.2, as lib-imap/imap-envelope.c writes it."""

from __future__ import annotations

from dovecot_urlauth.message.address import addresses
from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.parameters import NUL_SHOWN
from dovecot_urlauth.message.quote import human, unfolded
from dovecot_urlauth.message.steps import OFTEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.steps import Steps

#: Addresses are slow to read, so there is a limit for all the envelopes of one structure, before and after.  One
#: address may fill it, and is a single step of 45 ns a byte.
ADDRESS_LIMIT = 1024 * 1024
WRITTEN_LIMIT = 8 * ADDRESS_LIMIT

_LISTS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


class EnvelopeWriter:
    """Writes the envelopes of one structure."""

    def __init__(self, rules: MessageRules) -> None:
        self._rules = rules
        self._read = self._written = 0

    def write(self, fields: list[tuple[bytes, bytes]]) -> Steps[bytes]:
        """Write the envelope without its parentheses, in steps.

        Of fields that come twice the last counts; address lists are joined.  Raises TooLarge.
        """
        texts: dict[bytes, bytes] = {}
        lists: dict[bytes, bytearray] = {name: bytearray() for name in _LISTS}
        for number, (name, value) in enumerate(fields, 1):
            if not number & OFTEN:
                yield
            if name in lists:
                yield from self._append(lists[name], value)
            else:
                texts[name] = value.replace(b"\0", NUL_SHOWN)
        for name in (b"sender", b"reply-to"):
            lists[name] = lists[name] or lists[b"from"]
        subject = texts.get(b"subject")
        return b" ".join(
            (
                unfolded(texts.get(b"date")),
                b"NIL" if subject is None else human(subject),
                *(b"(%s)" % lists[name] if lists[name] else b"NIL" for name in _LISTS),
                unfolded(texts.get(b"in-reply-to")),
                unfolded(texts.get(b"message-id")),
            )
        )

    def _append(self, into: bytearray, value: bytes) -> Steps[None]:
        self._read += len(value)
        self._written -= len(into)
        if self._read > ADDRESS_LIMIT:
            raise TooLarge("Message header is too large")
        for number, address in enumerate(addresses(value, self._rules), 1):
            if not number & OFTEN:
                yield
            into += address.write()
            if self._written + len(into) > WRITTEN_LIMIT:
                raise TooLarge("Message structure is too large")
        self._written += len(into)
