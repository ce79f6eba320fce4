"""What the worker asks of a message: the bytes that a section names, decoded or not, and its structure.

lib-imap-storage/imap-msgpart.c.  What needs the MIME tree is imported only when it is needed: most URLs name whole
messages.
"""

from __future__ import annotations

from dovecot_urlauth.message.body import Span, nul_replaced, partial_size
from dovecot_urlauth.message.body import virtual_size as whole_size
from dovecot_urlauth.message.content import Content
from dovecot_urlauth.message.errors import (
    InvalidSection,
    MessageError,
    PartMissing,
    ReadError,
    TooLarge,
    Undecodable,
)
from dovecot_urlauth.message.lineends import completed
from dovecot_urlauth.message.request import Request
from dovecot_urlauth.message.source import CHUNK, reaching
from dovecot_urlauth.message.steps import run_through

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

__all__ = [
    "fetch", "fetching", "text_at_once", "Request", "Content",
    "MessageError", "InvalidSection", "PartMissing", "Undecodable", "TooLarge", "ReadError",
]  # fmt: skip


def fetch(source: Source, request: Request, rules: MessageRules, virtual_size: int | None = None) -> Content:
    """Answer a request at once; everything is as in ``fetching``."""
    return run_through(fetching(source, request, rules, virtual_size))


def fetching(
    source: Source,
    request: Request,
    rules: MessageRules,
    virtual_size: int | None = None,
    counted: Callable[[int], None] | None = None,
) -> Steps[Content]:
    """Answer a request, in steps (``steps.py``): its result is the content, whose chunks are steps too.

    ``virtual_size`` is the size of the whole message with every line end CRLF, where the store knows it; it is
    believed, as Dovecot believes it.  ``counted`` is told of it where it had to be counted.  A part that does not
    exist is empty, unless its structure is asked for.

    Raises InvalidSection, PartMissing, Undecodable and TooLarge.
    """
    if request.section or request.binary or request.structure:
        from dovecot_urlauth.message.msgpart import read

        return (yield from read(source, request, rules))
    if not request.body:
        return Content(0, False, None, iter(()))
    size = virtual_size
    if size is None and source.size <= CHUNK:
        yield from reaching(source, 0)
        text = _text(source.read(0, source.size), request)
        return Content(len(text), False, None, iter((text,) if text else ()), text)
    if size is None:
        size = yield from whole_size(source, 0, source.size)
        if counted is not None:
            counted(size)
    span = Span(0, source.size, size)
    size = partial_size(span.size, request.partial_offset, request.partial_size)
    return Content(size, False, None, span.read(source, request.partial_offset, size))


def text_at_once(source: Source, request: Request) -> bytes | None:
    """What ``fetching`` would give without a virtual size, where that is text of a short message; else None.

    ``source`` has any byte at once: there is nothing to ``reach``.
    """
    if request.section or request.binary or request.structure or not request.body or source.size > CHUNK:
        return None
    return _text(source.read(0, source.size), request)


def _text(stored: bytes, request: Request) -> bytes:
    """What is wanted of a whole message that is in memory."""
    text = nul_replaced(completed(stored))
    size = partial_size(len(text), request.partial_offset, request.partial_size)
    return text[request.partial_offset : request.partial_offset + size] if size < len(text) else text
