"""What is asked of a message, and the answer."""

from __future__ import annotations

from dovecot_urlauth.wire.value import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


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
