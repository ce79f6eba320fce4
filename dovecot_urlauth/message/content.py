"""What a request gets: sizes known, bytes still to come."""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@frozen
class Content:
    """The answer: ``chunks`` yields exactly ``size`` bytes, or raises ReadError when the message falls short."""

    size: int
    #: The bytes may hold NULs: they are sent as they are, for which IMAP needs a ``literal8``.
    has_nuls: bool
    #: The BODYPARTSTRUCTURE without its parentheses, if asked for.
    structure: bytes | None
    chunks: Iterator[bytes]
    whole: bytes | None = None
    """All of it, where that is in memory already."""
