"""Transactions of a log that look like one before: nearly all do, since each saves one mail.

An index that nobody has compacted has some hundred of them, of eight records each, and a first fetch plays them
all.  Of one that has the shape of another only what differs is looked at.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Player: TypeAlias = Callable[[int, bytes], bool | None]

LARGEST = 1024
"""Bytes of a transaction whose shape is remembered."""
MOST_LEARNED = 64
"""Shapes that are learned from one log: each takes as long as playing the transaction does."""


@frozen
class Record:
    """A record that was played; places are offsets in the log's data."""

    start: int
    fixed: int
    """The end of the bytes that a record of the same meaning has, too."""
    end: int
    kind: int
    player: Player | None
    is_introduction: bool
    is_idle: bool
    """Whether it matters to nobody but who takes the records up to the next introduction."""


class Shape:
    """The bytes that transactions have in common, and which players take the others."""

    __slots__ = ("_calls", "_mask", "_same", "played")

    def __init__(
        self, data: bytes, start: int, end: int, records: Sequence[Record], head: int, played: int
    ) -> None:
        """Of the transaction from ``start`` to ``end``, whose records have ``head`` bytes before their data.

        ``played`` is the end of the last record that somebody takes, or ``start``.
        """
        mask = bytearray(end - start)
        calls: list[tuple[Player, int, int, int]] = []
        was_idle = False
        for each in records:
            mask[each.start - start : each.fixed - start] = b"\xff" * (each.fixed - each.start)
            if each.player is not None:
                if was_idle and each.is_introduction:
                    del calls[-1]
                was_idle = each.is_idle
                calls.append((each.player, each.kind, each.start + head - start, each.end - start))
        self._calls = tuple(calls)
        self._mask = int.from_bytes(mask, "little")
        self._same = int.from_bytes(data[start:end], "little") & self._mask
        self.played = played - start
        """The same, from the start."""

    def play(self, transaction: bytes) -> bool:
        """Play another transaction of this size, if it has this shape; whether it has."""
        if int.from_bytes(transaction, "little") & self._mask != self._same:
            return False
        for player, kind, start, end in self._calls:
            player(kind, transaction[start:end])
        return True
