"""What holds for every protocol: bytes in whatever pieces give the same events and the same documented error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dovecot_urlauth.wire.lines import ProtocolError

Take = tuple[Callable[[bytes], None], Callable[[], Any]]


def outcome(make: Callable[[], Take], pieces: Iterable[bytes]) -> tuple[list[Any], tuple[Any, ...] | None]:
    """The events, and how the protocol gave up, if it did."""
    feed, take = make()
    events = []
    try:
        for piece in pieces:
            feed(piece)
            while (event := take()) is not None:
                events.append(event)
    except ProtocolError as error:
        return events, (error.texts, error.reason)
    return events, None


def same_however_cut(
    make: Callable[[], Take], data: bytes, *, quotes_what_came: bool = False
) -> tuple[list[Any], tuple[Any, ...] | None]:
    """The outcome, which is the same whole, in two halves, and byte by byte.

    An error that ``quotes_what_came`` has so far may have other words each time.
    """
    whole = events, error = outcome(make, [data])
    middle = len(data) // 2
    for pieces in ([data[:middle], data[middle:]], [data[at : at + 1] for at in range(len(data))]):
        others, other = outcome(make, pieces)
        assert others == events
        assert other == error or (quotes_what_came and None not in (other, error))
    return whole
