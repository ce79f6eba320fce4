"""Body sizes after decoding, for BODYPARTSTRUCTURE together with BINARY.

lib-storage/index/index-mail-binary.c works a part's size out from its stored size and the changes inside it; it
compares stored offsets with sizes in CRLF line ends, and lets differences wrap around.  So do we.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from dovecot_urlauth.message.binary import BlockKind, Decoder
from dovecot_urlauth.message.body import has_nul, raw
from dovecot_urlauth.message.transfer import Encoding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps

_SIZE_MASK = (1 << 64) - 1
_LINES_MASK = (1 << 32) - 1


class DecodedSizes:
    """Sizes of the parts of one message, whose decoder is that of the whole message with its header."""

    def __init__(self, root: Part, decoder: Decoder, *, has_nul: bool) -> None:
        conversion = decoder.conversion
        headers, bodies = _converted_sizes(decoder)
        self._header_sizes = headers
        changes = sorted(_changes(root, headers, bodies))
        self._offsets = [offset for offset, _, _ in changes]
        self._sizes = [0, *accumulate(size for _, size, _ in changes)]
        self._lines = [0, *accumulate(lines for _, _, lines in changes)]
        self._decoded = conversion.converted or conversion.has_nuls
        self._changed = bool(headers or bodies) or has_nul

    def binary(self, *, first: bool) -> bool:
        """Whether parts are called binary: something is decoded, or there are NULs.

        For all but the first part that is shown a rewritten header or a NUL between the parts is enough.
        """
        return self._decoded if first else self._changed

    def body(self, part: Part) -> tuple[int, int]:
        """Size and number of lines of a part's body."""
        start, header, body = part.start.offset, part.header_size, part.body_size
        size = header.virtual + body.virtual
        first, behind = bisect_left(self._offsets, start), bisect_left(self._offsets, start + size)
        # a part of no size at all does not find its own change, which is its neighbour's
        before = self._header_sizes.get(start, header.virtual) if size else 0
        size += self._sizes[behind] - self._sizes[first] - before
        lines = body.lines + self._lines[behind] - self._lines[first]
        return size & _SIZE_MASK, lines & _LINES_MASK


def decoded_sizes(source: Source, root: Part, decoder: Decoder) -> Steps[DecodedSizes]:
    """Work the sizes out, in steps."""
    nul = yield from has_nul(raw(source, 0, source.size))
    return DecodedSizes(root, decoder, has_nul=nul)


def _converted_sizes(decoder: Decoder) -> tuple[dict[int, int], dict[int, int]]:
    """Sizes of the rewritten headers and decoded bodies, by their parts' offsets."""
    headers: dict[int, int] = {}
    bodies: dict[int, int] = {}
    for block, survey in zip(decoder.conversion.blocks, decoder.surveys):
        if block.encoding is not Encoding.IDENTITY:
            sizes = headers if block.kind is BlockKind.HEADER else bodies
            sizes[block.part] = survey.size
    return headers, bodies


def _changes(root: Part, headers: dict[int, int], bodies: dict[int, int]) -> Iterator[tuple[int, int, int]]:
    """By how much each changed part's size and number of lines change, with its offset."""
    first_at: dict[int, Part] = {}
    for part in _walk(root):
        offset = part.start.offset
        named = first_at.setdefault(offset, part)
        if offset in headers or offset in bodies:
            before = named.header_size.virtual + named.body_size.virtual
            after = headers.get(offset, part.header_size.virtual) + bodies.get(offset, 0)
            yield offset, after - before, -named.body_size.lines


def _walk(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(part.children)
