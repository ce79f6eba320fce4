"""What is asked of a message."""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.section import Section


@frozen
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
    #: What ``section`` says, where somebody has parsed it already.
    parsed: Section | None = None
