"""Feed a protocol the same bytes in different pieces and see what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dovecot_urlauth.wire.lines import ProtocolError

Outcome = tuple[list[Any], ProtocolError | None]


def outcome(feed: Callable[[bytes], None], take: Callable[[], Any], pieces: Iterable[bytes]) -> Outcome:
    """All events until the pieces end or the protocol gives up with its error."""
    events: list[Any] = []
    try:
        for piece in pieces:
            feed(piece)
            while (event := take()) is not None:
                events.append(event)
    except ProtocolError as error:
        return events, error
    return events, None


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def same_in_pieces(make: Callable[[], tuple[Callable[[bytes], None], Callable[[], Any]]], data: bytes) -> Outcome:
    """The outcome of the data fed whole, after checking that byte by byte gives the same."""
    whole = outcome(*make(), [data])
    pieces = outcome(*make(), bytewise(data))
    assert pieces[0] == whole[0]
    assert summary(pieces[1]) == summary(whole[1])
    return whole


def summary(error: ProtocolError | None) -> tuple[tuple[str, ...], str] | None:
    return None if error is None else (error.texts, error.reason)
