"""Any setting expands to a text in either language, or is left to Dovecot."""

from __future__ import annotations

from contextlib import suppress

from dovecot_urlauth.config import variables_2_3, variables_2_4
from dovecot_urlauth.config.errors import UnsupportedSetting

VALUES = {
    "user": "Bob@Example.Test",
    "username": "Bob",
    "domain": "Example.Test",
    "home": "/h/bob",
    "userdb:n": "12",
}


def seeds() -> list[bytes]:
    return [
        b"/var/mail/%2.256Nu/%-1.05Ld/%{sha256;rounds=2,truncate=9,format=base64:user}/%{userdb:x:y}",
        b"%{user | md5(rounds=2, salt='s') % 256 | hex(2)}/%{userdb:x | default('a\\tb')}%%{",
        b"%{literal(-7) / 2}%{user|substr(userdb:n, -1)|lfill(30, 'ab')|index('@', 1)|truncate(3)}",
    ]


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for expand in (variables_2_3.expand, variables_2_4.expand):
        with suppress(UnsupportedSetting):
            found = expand(text, VALUES)
            assert "%" in text or found == text
