"""Any bytes are a section or InvalidSection."""

from __future__ import annotations

from dovecot_urlauth.message.errors import InvalidSection
from dovecot_urlauth.message.section import parse_section


def seeds() -> list[bytes]:
    return [
        b"1.2.MIME",
        b"HEADER.FIELDS.NOT (to {3}",
        b'1.HEADER.FIELDS ("a\\"b" c)',
        b"TEXT",
        b"4294967296",
        b"0",
    ]


def check(data: bytes) -> None:
    try:
        parse_section(data)
    except InvalidSection:
        return
