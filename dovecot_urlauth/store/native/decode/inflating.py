"""gz: RFC 1952, any number of members in a row, as lib-compression/istream-zlib.c reads them."""

from __future__ import annotations

import zlib

from dovecot_urlauth.store.native.decode.stream import PIECE, Input, corrupt, truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.source import Source

GZIP = 16 + zlib.MAX_WBITS
"""Header and trailer are read by zlib itself, which checks the CRC and the size."""
NAME = "gz"


class GzStream:
    """One that can be copied: zlib's state is the last 32 KiB of output and little more."""

    __slots__ = ("_inflater", "_input", "_rest", "_started")

    def __init__(self, source: Source) -> None:
        self._input = Input(source)
        self._inflater = zlib.decompressobj(GZIP)
        self._rest = b""
        """Stored bytes that are read and not yet used."""
        self._started = True
        """Some byte of the present member was seen; the first one must be there."""

    def read(self) -> bytes | None:
        """See Stream.read."""
        data = self._rest or self._input.take()
        if not data:
            if self._started:
                raise truncated(NAME, self._input.offset)
            return None
        self._started = True
        try:
            piece = self._inflater.decompress(data, PIECE)
        except zlib.error:
            raise corrupt(NAME, self._input.offset) from None
        if self._inflater.eof:
            self._rest = self._inflater.unused_data
            self._inflater = zlib.decompressobj(GZIP)
            self._started = False
        else:
            self._rest = self._inflater.unconsumed_tail
        return piece

    def copy(self) -> GzStream:
        """See Stream.copy."""
        twin = GzStream.__new__(GzStream)
        twin._input = self._input.copy()
        twin._inflater = self._inflater.copy()
        twin._rest = self._rest
        twin._started = self._started
        return twin
