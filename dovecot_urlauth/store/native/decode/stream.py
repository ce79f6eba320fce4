"""What every compression format gives: a stream that is read from front to back, a piece at a time."""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.message.source import Source
else:
    Protocol = object

PIECE = 64 * 1024
"""Bytes of output that a stream gives at once, as far as its format lets it choose."""
INPUT = 32 * 1024
"""Stored bytes that are read at once."""


class Stream(Protocol):
    """Decompressed bytes in order.  Each call works for some milliseconds, whatever the stored bytes say."""

    def read(self) -> bytes | None:
        """The next piece; it may be empty, when there was work and nothing to give yet.  None at the end.

        Raises StoreFailure for what is no such stream, or ends before its end.
        """

    def copy(self) -> Stream | None:
        """A second stream at the same place; None where the format, or its library, cannot have one."""


def corrupt(name: str, offset: int) -> StoreFailure:
    """The stored bytes before ``offset`` are not what the format allows."""
    return StoreFailure(f"{name}: Corrupted data before byte {offset}")


def truncated(name: str, offset: int) -> StoreFailure:
    """The stored bytes end in the middle."""
    return StoreFailure(f"{name}: Unexpected end of data at byte {offset}")


class Input:
    """The stored bytes in pieces."""

    __slots__ = ("_source", "offset")

    def __init__(self, source: Source, offset: int = 0) -> None:
        self._source = source
        self.offset = offset
        """Of the next byte."""

    def take(self, length: int = INPUT) -> bytes:
        """The next ``length`` bytes; fewer only at the end."""
        data = self._source.read(self.offset, length)
        self.offset += len(data)
        return data

    def copy(self) -> Input:
        """A second reader at the same place."""
        return Input(self._source, self.offset)
