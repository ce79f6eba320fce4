"""Whatever auth says to imap-urlauth or a worker names a user, or nobody, or gives its own refusal."""

from __future__ import annotations

from dovecot_urlauth.wire.authmaster import AuthMaster, UserReply
from fuzzing.targets.pieces import Take, same_however_cut

HELLO = b"VERSION\t1\t4\nSPID\t6204\n"


def seeds() -> list[bytes]:
    return [
        HELLO + b"USER\t1\tbob\tclient_service=imap\tuid=5000\tgid=5000\thome=/home/bob\tanonymous\n",
        HELLO + b"NOTFOUND\t2\nFAIL\t3\treason=a\x01tb\nUSER\t4\n",
        HELLO + b"PASS\t1\nUSER\t1\tx\t\t=\t==\n",
    ]


def _make() -> Take:
    master = AuthMaster(4)
    return master.receive_data, master.next_event


def check(data: bytes) -> None:
    events, _ = same_however_cut(_make, data)
    for event in events:
        if isinstance(event, UserReply):
            assert event.name
            assert 0 <= event.id < 1 << 32
