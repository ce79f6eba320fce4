"""Ranges that Dovecot cuts wrongly, and the ranges to ask for instead.

Dovecot 2.4.1-2.4.5 give a CR too many where a range begins at the LF of a CRLF and the mail is stored with CRLF
(lib-mail/message-size.c, message_skip_virtual).  A range that begins one byte earlier is right then, but for one
thing: it may begin at such an LF itself.  So a few bytes are looked at from either place.  Nothing has to be known
of the version, or of how the mail is stored.
"""

from __future__ import annotations

from dovecot_urlauth.message.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PROBE = 4098
"""Bytes that are looked at; only in more empty lines than that the two cases are alike."""
CRLF = b"\r\n"


def may_begin_inside_a_line_end(request: Request) -> bool:
    """Whether the mail has to be looked at to know where the range begins."""
    return request.body and not request.binary and request.partial_offset > 0


async def begins_inside_a_line_end(request: Request, read: Callable[[Request], Awaitable[bytes]]) -> bool:
    """Whether the range begins at the LF of a CRLF; ``read`` gives a small range as Dovecot cuts it."""
    if not may_begin_inside_a_line_end(request):
        return False
    before = await read(_probe(request, request.partial_offset - 1))
    if not before.startswith(CRLF):
        return False
    # either the CR before the range, or one too many in front of the LF that stands before the range
    return before.startswith(await read(_probe(request, request.partial_offset)))


def one_byte_earlier(request: Request) -> Request:
    """The range with the byte before it."""
    size = None if request.partial_size is None else request.partial_size + 1
    return _range(request, request.partial_offset - 1, size, structure=request.structure)


async def without_first_byte(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """All but the first byte."""
    first = True
    async for chunk in chunks:
        yield chunk[1:] if first else chunk
        first = False


def _probe(request: Request, offset: int) -> Request:
    return _range(request, offset, PROBE, structure=False)


def _range(request: Request, offset: int, size: int | None, *, structure: bool) -> Request:
    return Request(request.section, offset, size, structure=structure, parsed=request.parsed)
