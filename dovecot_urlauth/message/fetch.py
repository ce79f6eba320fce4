"""What the worker asks of a message: the bytes that a section names, decoded or not, and its structure.

lib-imap-storage/imap-msgpart.c.  What needs the MIME tree is imported only when it is needed: most URLs name whole
messages.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import Span, count, partial_size
from dovecot_urlauth.message.errors import (
    InvalidSection,
    MessageError,
    PartMissing,
    ReadError,
    TooLarge,
    Undecodable,
)
from dovecot_urlauth.wire.value import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source

__all__ = [
    "fetch", "Request", "Content",
    "MessageError", "InvalidSection", "PartMissing", "Undecodable", "TooLarge", "ReadError",
]  # fmt: skip


@record(frozen=True, slots=True)
class Request:
    """One URL's wishes."""

    #: The decoded text of ``;SECTION=``, empty for the whole message.
    section: bytes
    #: Bytes to leave out, and at most to give (None: all), counted in what would be sent without a partial.
    partial_offset: int = 0
    partial_size: int | None = None
    body: bool = True
    #: Decode the transfer encodings (RFC 3516's BINARY).
    binary: bool = False
    #: Describe the part (RFC 5524's BODYPARTSTRUCTURE).
    structure: bool = False


@record(frozen=True, slots=True)
class Content:
    """The answer: ``chunks`` yields exactly ``size`` bytes, or raises ReadError when the message falls short."""

    size: int
    #: The bytes may hold NULs: they are sent as they are, for which IMAP needs a ``literal8``.
    has_nuls: bool
    #: The BODYPARTSTRUCTURE without its parentheses, if asked for.
    structure: bytes | None
    chunks: Iterator[bytes]


def fetch(source: Source, request: Request, rules: MessageRules, virtual_size: int | None = None) -> Content:
    """Answer a request.

    ``virtual_size`` is the size of the whole message with every line end CRLF, where the store knows it; it is
    believed, as Dovecot believes it.  A part that does not exist is empty, unless its structure is asked for.

    Raises InvalidSection, PartMissing, Undecodable and TooLarge.
    """
    if request.section or request.binary or request.structure:
        from dovecot_urlauth.message.answer import answer

        return answer(source, request, rules)
    if not request.body:
        return Content(0, False, None, iter(()))
    if virtual_size is None:
        virtual_size = count(source, 0, source.size)
    span = Span(0, source.size, virtual_size)
    size = partial_size(span.size, request.partial_offset, request.partial_size)
    return Content(size, False, None, span.read(source, request.partial_offset, size))
