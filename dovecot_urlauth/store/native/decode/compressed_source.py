"""A compressed mail as a Source: any offset, with bounded memory and bounded work.

A stream is only read forwards.  The last pieces are kept; what lies further back is reached from a copy of the
stream that was set aside on the way, or else from the beginning.  So far one can have to go that reaching an
offset is done in steps, which whoever reads asks for beforehand (message/source.py).
"""

from __future__ import annotations

from bisect import bisect_right

from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.native.decode.stream import PIECE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.steps import Steps
    from dovecot_urlauth.store.native.decode.stream import Stream

KEPT = 1024 * 1024
"""Bytes behind the stream's position that are kept; most mails are whole in there."""
MOST_POINTS = 32
"""Copies of the stream that are kept, some 50 KB each."""

LARGEST = 1024 * 1024 * 1024
"""Bytes of a decompressed mail; Dovecot knows no limit."""
ALLOWED = 64 * 1024 * 1024
"""Up to so many bytes any ratio will do."""
LARGEST_RATIO = 500
"""Of decompressed to stored bytes beyond that."""
PASSES = 50
"""How often all of a mail may be decompressed for one request."""


class CompressedSource:
    """Reads what ``open_stream()`` gives; fulfils the message room's ``SteppedSource``."""

    def __init__(self, name: str, open_stream: Callable[[], Stream], stored_size: int) -> None:
        """``name`` of the format, for log texts; ``stored_size`` in bytes.  Raises what ``open_stream`` does."""
        self.size = 0
        """Bytes decompressed; not known before :meth:`measure` is through."""
        self._name = name
        self._open = open_stream
        self._limit = min(max(ALLOWED, LARGEST_RATIO * stored_size), LARGEST)
        self._work = PASSES * self._limit
        """Bytes that may still be decompressed."""
        self._stream = open_stream()
        self._starts: list[int] = []
        """Offsets of the pieces that are kept."""
        self._pieces: list[bytes] = []
        self._end = 0
        """Offset behind the last piece, where the stream is."""
        self._points: list[tuple[int, Stream]] = []
        self._between = KEPT
        """Bytes between two points."""

    def measure(self) -> Steps[None]:
        """Read everything once, in steps: size, seek points, and whether it can be read at all.

        Raises StoreFailure for what is corrupt, ends too soon, or has no end in sight.
        """
        while self._advance():
            yield
        self.believe(self._end)

    def believe(self, size: int) -> None:
        """It was measured before, and has ``size`` bytes."""
        self.size = size
        self._work = PASSES * (self.size + KEPT)

    def reach(self, offset: int) -> Steps[None]:
        """Bring the stream so near, in steps, that a read from ``offset`` is quick.  Raises StoreFailure."""
        at = bisect_right(self._points, offset, key=_place)
        point = self._points[at - 1] if at else None
        if offset < (self._starts[0] if self._starts else self._end) or (point and point[0] > self._end):
            self._restart(point)
        while self._end < offset and self._advance():
            yield

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end.  Raises StoreFailure."""
        run_through(self.reach(offset))
        end = min(offset + length, self.size)
        pieces = []
        while offset < end:
            if offset >= self._end:
                if not self._advance():
                    break
                continue
            at = bisect_right(self._starts, offset) - 1
            start = self._starts[at]
            piece = self._pieces[at][offset - start : end - start]
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _restart(self, point: tuple[int, Stream] | None) -> None:
        self._starts.clear()
        self._pieces.clear()
        self._end = 0
        stream = point and point[1].copy()
        if point and stream:
            self._end, self._stream = point[0], stream
        else:
            self._stream = self._open()

    def _advance(self) -> bool:
        """Take the stream's next piece; False at its end."""
        piece = self._stream.read()
        if piece is None:
            return False
        self._work -= max(len(piece), PIECE // 16)
        if self._work < 0:
            raise StoreFailure(f"{self._name}: Message has to be decompressed too often")
        if not piece:
            return True
        if self._pieces and len(self._pieces[-1]) + len(piece) <= PIECE:
            self._pieces[-1] += piece
        else:
            self._starts.append(self._end)
            self._pieces.append(piece)
        self._end += len(piece)
        if self._end > self._limit:
            raise StoreFailure(f"{self._name}: Message has more than {self._limit} bytes")
        while self._end - self._starts[0] > KEPT + PIECE and len(self._pieces) > 1:
            del self._starts[0], self._pieces[0]
        self._set_point()
        return True

    def _set_point(self) -> None:
        """Set a copy of the stream aside if the last one is far behind; ever fewer the longer the mail is."""
        last = self._points[-1][0] if self._points else 0
        if self._end - last < self._between:
            return
        twin = self._stream.copy()
        if twin is None:
            return
        if len(self._points) == MOST_POINTS:
            self._points = self._points[1::2]
            self._between *= 2
        self._points.append((self._end, twin))


def _place(point: tuple[int, Stream]) -> int:
    return point[0]
