"""Whatever a message holds, its BODYPARTSTRUCTURE is one list of RFC 3501's; what is announced is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.message.fetch import Request, fetch
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5
from dovecot_urlauth.message.source import BytesSource

MESSAGES = Path(__file__).resolve().parents[2] / "tests/messages"
RULES = (RULES_2_3_13, RULES_2_3_19_DEBIAN, RULES_2_4_1, RULES_2_4_5)
SECTIONS = (
    b"", b"TEXT", b"HEADER", b"1", b"2", b"1.1", b"1.MIME", b"1.HEADER", b"2.TEXT",
    b"HEADER.FIELDS (subject content-type)", b"HEADER.FIELDS.NOT (to)", b"1.HEADER.FIELDS (from)",
)  # fmt: skip
LARGEST_SEED = 4000


def seeds() -> list[bytes]:
    files = sorted(MESSAGES.rglob("*.eml"))
    return [bytes((number,)) + file.read_bytes()[:LARGEST_SEED] for number, file in enumerate(files)]


def check(data: bytes) -> None:
    from tests.message.imaplist import read

    choice = data[0] if data else 0
    request = Request(SECTIONS[choice % len(SECTIONS)], 0, None, choice % 2 == 0, choice % 2 == 1, True)
    try:
        content = fetch(BytesSource(data[1:]), request, RULES[choice // 16 % len(RULES)])
        sent = b"".join(content.chunks)
    except MessageError:
        return
    assert len(sent) == content.size
    assert content.has_nuls == (b"\0" in sent)
    assert content.structure is not None
    check_structure(read(content.structure))


def check_structure(items: list[Any]) -> None:
    """``body-type-mpart`` or ``body-type-1part``, with all of its extension data."""
    if isinstance(items[0], list):
        *parts, subtype, _, _, _, _ = items
        assert isinstance(subtype, bytes)
        for part in parts:
            check_structure(part)
        return
    kind, subtype, _, _, _, encoding, size, *rest = items
    assert all(isinstance(text, bytes) for text in (kind, subtype, encoding))
    assert isinstance(size, int)
    assert 0 <= size < 1 << 32
    if kind.lower() == b"text":
        assert isinstance(rest.pop(0), int)
    elif (kind, subtype) == (b"message", b"rfc822"):
        envelope, inner, lines = rest[:3]
        del rest[:3]
        assert (len(envelope), isinstance(lines, int)) == (10, True)
        check_structure(inner)
    assert len(rest) == 4
