"""Whatever auth says to login gives events about requests that were made, or its own refusal."""

from __future__ import annotations

from dovecot_urlauth.wire.authclient import COOKIE_SIZE, AuthClient, AuthFail, AuthOk, Ready
from fuzzing.targets.pieces import Take, same_however_cut

REQUESTS = 3
HELLO = b"VERSION\t1\t4\nMECH\tDOVECOT-TOKEN\tprivate\nSPID\t7255\nCUID\t3\nCOOKIE\t" + b"ab" * 16 + b"\nDONE\n"


def seeds() -> list[bytes]:
    return [
        HELLO + b"OK\t1\tuser=bob\t\toriginal_user=BOB\tanonymous\n",
        HELLO + b"FAIL\t1\tuser=bob\tnodelay\tcode=temp_fail\nCONT\t2\taGk=\nCANCELLED\t3\n",
        HELLO + b"OK\t3\tuser=b\x01tb\tproxy\nOK\t3\tuser=x\n",
        HELLO.replace(b"\t4\n", b"\t2\n").replace(b"\tprivate", b"") + b"OK\t2\tnologin\tuser=a\n",
    ]


def _make() -> Take:
    client = AuthClient(7, 4, (b"protocol=imap-urlauth",))
    for _ in range(REQUESTS):
        client.request(b"session", b"resp")
    return client.receive_data, client.next_event


def check(data: bytes) -> None:
    events, _ = same_however_cut(_make, data)
    answered = [event.id for event in events if isinstance(event, AuthOk | AuthFail)]
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(range(1, REQUESTS + 1))
    for event in events:
        if isinstance(event, Ready):
            assert len(event.cookie) == COOKIE_SIZE
            assert event.server_pid > 0
        if isinstance(event, AuthOk):
            assert event.user
            assert not {b"nologin", b"proxy"} & set(event.fields)
