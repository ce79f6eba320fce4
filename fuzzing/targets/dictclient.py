"""Whatever dict says is one answer to the one question, or its own refusal, and nothing is asked twice."""

from __future__ import annotations

from dovecot_urlauth.wire.dictclient import DictClient, LookupFailed, NoValue, Value
from fuzzing.targets.pieces import Take, same_however_cut


def seeds() -> list[bytes]:
    return [
        b"*1\n+1\tO93acf8\t1\t2\t3\t4\n",
        b"Mone\x01ttwo\n",
        b"N\n",
        b"Fno\x01tway\n",
        b"O1\nO2\n",
        b"*1\n*2\n",
    ]


def _make() -> Take:
    client = DictClient(3, b"attributes", b"bob")
    client.lookup(b"priv/0b8f/vendor/vendor.dovecot/imap-urlauth")
    return client.receive_data, client.next_event


def check(data: bytes) -> None:
    events, _ = same_however_cut(_make, data)
    assert len(events) <= 1
    assert all(isinstance(event, Value | NoValue | LookupFailed) for event in events)
