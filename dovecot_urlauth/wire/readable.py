"""Bytes and texts from outside, made readable: for a log line, a process title, a terminal.

Within the program a text keeps every byte that it came with: what is not UTF-8 stands in it as surrogates
(``surrogateescape``).  Where it leaves for eyes, nothing may be left that ends a line, moves a cursor, turns the
writing round or cannot be encoded; each such character becomes ``?``, as in Dovecot's lib/str-sanitize.c.
"""

from __future__ import annotations

QUOTED_BYTES = 80  # how much of a peer's input Dovecot shows in a log line
_ELLIPSIS = "..."
_HARMFUL = dict.fromkeys(
    (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0x2028, 0x202F),  # line and paragraph separators, directions of writing
        *range(0x2066, 0x206A),
    ),
    "?",
)


def readable(text: str | bytes) -> str:
    """The whole text without anything harmful; what is not UTF-8 becomes one ``?`` for each byte."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return text.encode("utf-8", "replace").decode().translate(_HARMFUL)


def quoted(data: bytes, limit: int = QUOTED_BYTES) -> str:
    """A peer's bytes as Dovecot quotes them: readable, and a text above ``limit`` bytes ends in three dots."""
    text = readable(data[:limit].decode("utf-8", "replace").replace("\ufffd", "?"))
    if len(data) <= limit:
        return text
    return text.encode()[: limit - len(_ELLIPSIS)].decode("utf-8", "ignore") + _ELLIPSIS


__all__ = ["QUOTED_BYTES", "quoted", "readable"]
