"""Whatever a client says to a worker is commands in their order, or a refusal; USER comes first and once."""

from __future__ import annotations

from collections.abc import Callable

from dovecot_urlauth.wire.fetch import CommandReader, EndCommand, UrlCommand, UserCommand
from fuzzing.targets.pieces import Take, same_however_cut


def seeds() -> list[bytes]:
    return [
        b"\0USER\talice\n",
        b"\1URL\timap://alice@h/INBOX;UID=1;URLAUTH=user+bob:internal:01\tbpstruct\tbinary\nURL\tx\nEND\n",
        b"\1\n\r\nURL\ta\x01tb\tBODY\r\nEND\tx\n",
    ]


def _make(is_selected: bool) -> Callable[[], Take]:
    def make() -> Take:
        reader = CommandReader()
        if is_selected:
            reader.selected()
        return reader.receive_data, reader.next_event

    return make


def check(data: bytes) -> None:
    is_selected = data[:1] == b"\1"
    events, _ = same_however_cut(_make(is_selected), data[1:])
    legal = (UrlCommand, EndCommand) if is_selected else (UserCommand,)
    assert all(isinstance(event, legal) for event in events)
    ends = [isinstance(event, EndCommand) for event in events]
    assert True not in ends[:-1]
    for event in events:
        if isinstance(event, UrlCommand):
            assert not (event.body and event.binary)
            assert event.body or event.binary or event.structure
