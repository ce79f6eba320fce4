"""Whatever 2.3's config process answers is settings or its refusal."""

from __future__ import annotations

from dovecot_urlauth.wire.config_text import ConfigReply
from fuzzing.targets.pieces import Take, same_however_cut


def seeds() -> list[bytes]:
    return [
        b"\nmail_location=maildir:~/Maildir\nmail_plugins=\x03acl\n\n",
        b"service-uses-local\t\nERROR no such module\n",
        b"\n\n",
        b"\na\n=b\n\xff=\xfe\n\n",
    ]


def _make() -> Take:
    reply = ConfigReply()
    return reply.receive_data, reply.next_event


def check(data: bytes) -> None:
    events, _ = same_however_cut(_make, data)
    assert len(events) <= 1
