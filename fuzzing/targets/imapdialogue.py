"""Whatever an engine says gives events, the same however it is cut, or ProtocolError; content has its size."""

from __future__ import annotations

from typing import Any

from dovecot_urlauth.wire.imapdialogue import Fetched, ImapDialogue, Piece, UrlFetch
from fuzzing.targets.pieces import Take, outcome

LIMIT = 4096


def seeds() -> list[bytes]:
    return [
        b"* PREAUTH [CAPABILITY IMAP4rev1] Logged in as alice\r\nu1 OK Done.\r\n",
        b'* METADATA INBOX (/private/vendor/vendor.dovecot/imap-urlauth "0123\\"\\\\")\r\n',
        b"* METADATA {5}\r\nIN\r\nX (/private/x ~{3}\r\na\0b)\r\nu2 OK [X Y] Done.\r\n",
        b'* URLFETCH imap://a@h/ (BODYPARTSTRUCTURE ("text" "plain" NIL) BINARY ~{5}\r\nab\0de)\r\nu3 OK x\r\n',
        b'* URLFETCH "imap://a@h/" (BODYPARTSTRUCTURE ("text" {2}\r\n"( NIL)) (BODY {3}\r\nabc)\r\n',
        b"* 3 FETCH (UID 7 BODY[1.2]<0> {5}\r\nabcde)\r\n* 3 FETCH (UID 7 BINARY[] ~{2}\r\n\0x)\r\nu4 OK\r\n",
        b"* URLFETCH x NIL\r\n* 3 EXISTS\r\n* URLFETCH x (BODY NIL)\r\n* URLFETCH x (BODY {0}\r\n)\r\n",
    ]


def _make() -> Take:
    dialogue = ImapDialogue(limit=LIMIT)
    return dialogue.receive_data, dialogue.next_event


def _joined(events: list[Any]) -> list[Any]:
    """How content is cut depends on how it came."""
    together: list[Any] = []
    for event in events:
        if isinstance(event, Piece) and together and isinstance(together[-1], Piece):
            together[-1] = Piece(together[-1].data + event.data)
        else:
            together.append(event)
    return together


def check(data: bytes) -> None:
    events, error = outcome(_make, [data])
    whole = _joined(events)
    for size in (1, 3):
        pieces, other = outcome(_make, [data[at : at + size] for at in range(0, len(data), size)])
        assert (_joined(pieces), other) == (whole, error)
    for place, event in enumerate(whole[:-1]):
        if isinstance(event, UrlFetch | Fetched) and event.size and place + 2 < len(whole):
            assert isinstance(whole[place + 1], Piece)
            assert len(whole[place + 1].data) == event.size
