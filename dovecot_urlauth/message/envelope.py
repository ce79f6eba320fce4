"""The envelope of a message inside a message: RFC 3501 section 7.4.2, as lib-imap/imap-envelope.c writes it."""

from __future__ import annotations

from dovecot_urlauth.message.address import addresses
from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.parameters import NUL_SHOWN
from dovecot_urlauth.message.quote import human, unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.rules import MessageRules

#: No structure is longer; the IMAP server would have to take it as one line.
STRUCTURE_LIMIT = 16 * 1024 * 1024

_LISTS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def write_envelope(fields: list[tuple[bytes, bytes]], rules: MessageRules) -> bytes:
    """Write the envelope without its parentheses.

    Of fields that come twice the last counts; address lists are joined.  Raises TooLarge.
    """
    texts: dict[bytes, bytes] = {}
    lists: dict[bytes, bytearray] = {name: bytearray() for name in _LISTS}
    for name, value in fields:
        if name in lists:
            _append(lists[name], value, rules)
        else:
            texts[name] = value.replace(b"\0", NUL_SHOWN)
    sender = lists[b"from"]
    for name in (b"sender", b"reply-to"):
        lists[name] = lists[name] or sender
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


def _append(into: bytearray, value: bytes, rules: MessageRules) -> None:
    for address in addresses(value, rules):
        into += address.write()
        if len(into) > STRUCTURE_LIMIT:
            raise TooLarge("Message structure is too large")
