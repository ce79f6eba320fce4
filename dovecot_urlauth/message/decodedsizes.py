"""Body sizes after decoding, for BODYPARTSTRUCTURE together with BINARY.

Each part has the size and the number of lines that its body has in the decoded message, as a client that fetches
it will count them.  lib-storage/index/index-mail-binary.c differs: it works a size out from stored sizes and from
offsets that it takes for sizes in CRLF line ends, lets differences wrap around below zero, and counts no lines in
what it decodes.
"""

from __future__ import annotations

from itertools import accumulate

from dovecot_urlauth.message.body import has_nul, raw
from dovecot_urlauth.message.transfer import Encoding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.binary import Decoder
    from dovecot_urlauth.message.part import Part
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps


class DecodedSizes:
    """Sizes of the parts of one message, whose decoder is that of the whole message with its header."""

    def __init__(self, decoder: Decoder, *, has_nul: bool) -> None:
        conversion = decoder.conversion
        self._bodies = conversion.bodies
        self._sizes = [0, *accumulate(survey.size for survey in decoder.surveys)]
        self._lines = [0, *accumulate(survey.lines for survey in decoder.surveys)]
        self._decoded = conversion.converted or conversion.has_nuls
        self._changed = has_nul or any(block.encoding is not Encoding.IDENTITY for block in conversion.blocks)

    def binary(self, *, first: bool) -> bool:
        """Whether parts are called binary: something is decoded, or there are NULs.

        For all but the first part that is shown a rewritten header or a NUL between the parts is enough.
        """
        return self._decoded if first else self._changed

    def body(self, part: Part) -> tuple[int, int]:
        """Size and number of lines of a part's body."""
        first, behind = self._bodies[part]
        return self._sizes[behind] - self._sizes[first], self._lines[behind] - self._lines[first]


def decoded_sizes(source: Source, decoder: Decoder) -> Steps[DecodedSizes]:
    """Work the sizes out, in steps."""
    nul = yield from has_nul(raw(source, 0, source.size))
    return DecodedSizes(decoder, has_nul=nul)
