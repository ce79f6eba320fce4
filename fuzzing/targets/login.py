"""Whatever a client says to login gives an AUTH request whose fields hold no NUL, or one line of refusal."""

from __future__ import annotations

import binascii
from typing import Any

from dovecot_urlauth.wire.login import AuthRequest, LoginProtocol, token_response
from fuzzing.targets.pieces import Take, same_however_cut

HELLO = b"VERSION\timap-urlauth\t2\t0\n"


def seeds() -> list[bytes]:
    return [
        HELLO + b"AUTH\timap\t6216\tbob\tsession\t" + b"0" * 40 + b"\nUSER\talice\n",
        HELLO + b"AUTH\tsubmission\t1\tb\x01tob\ts\x01\t\x01n\r\n",
        HELLO + b"AUTH\timap\t4294967296\tb\x010ob\t\t\n",
        b"VERSION\timap-urlauth\t3\t1\n",
    ]


def _make() -> Take:
    protocol = LoginProtocol()
    return protocol.receive_data, protocol.next_event


def check(data: bytes) -> None:
    events: list[Any]
    events, _ = same_however_cut(_make, data)
    for event in events:
        if isinstance(event, AuthRequest):
            fields = binascii.a2b_base64(token_response(event)).split(b"\0")
            assert fields == [event.service, b"%d" % event.pid, event.user, event.session, event.token]
