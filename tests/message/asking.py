"""Short ways to ask a message that is in memory."""

from __future__ import annotations

from dovecot_urlauth.message.fetch import Content, Request, fetch
from dovecot_urlauth.message.rules import RULES_2_3_19_DEBIAN, MessageRules
from dovecot_urlauth.message.source import BytesSource


def ask(
    message: bytes,
    section: bytes = b"",
    *,
    binary: bool = False,
    structure: bool = False,
    body: bool = False,
    partial: tuple[int, int | None] = (0, None),
    rules: MessageRules = RULES_2_3_19_DEBIAN,
) -> Content:
    """The answer to a request."""
    request = Request(section, *partial, body=body, binary=binary, structure=structure)
    return fetch(BytesSource(message), request, rules)


def body_of(message: bytes, section: bytes = b"", **options: object) -> bytes:
    """BODY[section]."""
    return _bytes(ask(message, section, body=True, **options))  # type: ignore[arg-type]


def decoded(message: bytes, section: bytes = b"", **options: object) -> bytes:
    """BINARY[section]."""
    return _bytes(ask(message, section, binary=True, **options))  # type: ignore[arg-type]


def structure_of(message: bytes, section: bytes = b"", **options: object) -> bytes:
    """The BODYPARTSTRUCTURE of a section."""
    structure = ask(message, section, structure=True, **options).structure  # type: ignore[arg-type]
    assert structure is not None
    return structure


def _bytes(content: Content) -> bytes:
    data = b"".join(content.chunks)
    assert len(data) == content.size
    return data
