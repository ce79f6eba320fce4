"""Whatever a worker says is an answer to what was asked, in its order, or an error of its own."""

from __future__ import annotations

from dovecot_urlauth.wire.fetchreply import Expect, Fetched, ReplyReader
from fuzzing.targets.pieces import Take, same_however_cut

ASKED = (Expect.VERSION, Expect.AUTH, Expect.USER, Expect.URL, Expect.URL, Expect.END)
HELLO = b"VERSION\timap-urlauth\t2\t0\nOK\n"


def seeds() -> list[bytes]:
    return [
        HELLO + b'OK\nOK\thasnuls\tbpstruct="text" "plain" NIL\t3\nabc\nNO\terror=not\x01tthis\nOK\n',
        HELLO + b"NO\nOK\t0\nNO\nOK\n",
        HELLO + b"OK\nOK\t18446744073709551615\nx",
    ]


def _make() -> Take:
    reader = ReplyReader()
    for command in ASKED:
        reader.expect(command)
    return reader.receive_data, reader.next_event


def check(data: bytes) -> None:
    events, _ = same_however_cut(_make, data, quotes_what_came=True)
    assert len(events) <= len(ASKED)
    for event, command in zip(events, ASKED):
        assert isinstance(event, Fetched) or event.command is command
