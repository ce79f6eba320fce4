"""Whatever a worker says to imap-urlauth ends in Finished, Disconnected or one reason, and nothing follows."""

from __future__ import annotations

from collections.abc import Callable

from dovecot_urlauth.wire.control import VERSION, Access, Active, ControlClient, ControlOrder
from fuzzing.targets.pieces import Take, same_however_cut


def seeds() -> list[bytes]:
    return [
        b"\0OK\nOK\nFINISHED\n",
        b"\1" + VERSION + b"OK\nOK\nDISCONNECTED\n",
        b"\1" + VERSION.replace(b"\t2\t", b"\t3\t"),
        b"\0ok\r\nOK\tx\nFINISHED\nmore\n",
    ]


def _make(order: ControlOrder) -> Callable[[], Take]:
    def make() -> Take:
        client = ControlClient(order, Access(b"bob", b"imap"), "unix:worker")
        return client.receive_data, client.next_event

    return make


def check(data: bytes) -> None:
    order = ControlOrder.VERSION_FIRST if data[:1] == b"\1" else ControlOrder.FD_FIRST
    events, _ = same_however_cut(_make(order), data[1:])
    assert len(events) <= 2
    assert not events or isinstance(events[0], Active)
