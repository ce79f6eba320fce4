"""Where a message's bytes come from: the one thing the stores and this room agree on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.message.steps import Steps
else:
    Protocol = object

#: How much is read at once: large enough that Python's own cost per chunk does not show, and small enough for
#: the heap.  From 128 KiB on malloc would ask the kernel for each chunk, which costs more than working through it.
CHUNK = 64 * 1024


class Source(Protocol):
    """Random access to a message as it is stored (plain text, neither compressed nor encrypted)."""

    @property
    def size(self) -> int:
        """Bytes stored, before any line end is completed to CRLF."""

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the end of the message."""


class SteppedSource(Source, Protocol):
    """A source that may have to go a long way to an offset: one that is decompressed on the way, for example."""

    def reach(self, offset: int) -> Steps[None]:
        """Go there, in steps, so that the next ``read`` from ``offset`` is as quick as any."""


def reaching(source: Source, offset: int) -> Steps[None]:
    """The steps to ``offset``, if this source takes any; to be taken before the first of some reads in a row."""
    reach = getattr(source, "reach", None)
    if reach is not None:
        yield from reach(offset)


class BytesSource:
    """A message that is in memory already: tests, and text that a store had to assemble."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """Return a slice of the bytes."""
        return self._data[offset : offset + length]
