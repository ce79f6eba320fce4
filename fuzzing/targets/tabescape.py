"""Any line comes apart, and fields that are joined come apart again as they were (one empty field is no line)."""

from __future__ import annotations

from dovecot_urlauth.wire.tabescape import escape, fields, join, unescape


def seeds() -> list[bytes]:
    return [b"USER\t1\ta\x01tb\t\x01n\x01r\x010\x011", b"\x01", b"\t\t\x01x", bytes(range(256))]


def check(data: bytes) -> None:
    apart = fields(data)
    assert fields(join(*apart)) == (apart if apart != [b""] else [])
    assert unescape(escape(data)) == data
    assert not set(escape(data)) & set(b"\t\n\r\0")
