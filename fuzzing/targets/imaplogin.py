"""Whatever a backend says gives events, the same however cut, or ProtocolError; the password goes out once."""

from __future__ import annotations

from dovecot_urlauth.wire.imaplogin import Credentials, ImapLogin
from fuzzing.targets.pieces import Take, outcome

CREDENTIALS = Credentials(b"alice", b"master", b"a password")
GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR] Dovecot ready.\r\n"


def seeds() -> list[bytes]:
    return [
        GREETING + b"b OK [CAPABILITY IMAP4rev1 METADATA] Logged in\r\n",
        b"* OK Dovecot ready.\r\n* CAPABILITY IMAP4rev1\r\n+ \r\n* OK still\r\nb OK Logged in\r\n",
        b"* OK ready\r\n+\r\n+\r\nb NO [AUTHENTICATIONFAILED] Authentication failed.\r\n",
        GREETING + b"b OK [CAPABILITY IMAP4rev1] Logged in\r\n",
        b"* PREAUTH [CAPABILITY IMAP4rev1] as whom\r\n",
        b"* BYE too many\r\n",
    ]


def check(data: bytes) -> None:
    results = []
    for size in (max(len(data), 1), 3, 1):
        made: list[ImapLogin] = []

        def make(made: list[ImapLogin] = made) -> Take:
            made.append(ImapLogin(CREDENTIALS))
            return made[-1].receive_data, made[-1].next_event

        said = outcome(make, [data[at : at + size] for at in range(0, len(data), size)])
        sent = made[-1].data_to_send()
        assert sent.count(CREDENTIALS.initial_response()) <= 1
        assert data.upper().startswith(b"* OK") or not sent
        results.append((said, sent))
    assert results[0] == results[1] == results[2]
