"""Reads what structures and envelopes are written in: NIL, numbers, strings and lists (RFC 3501, 4 and 9)."""

from __future__ import annotations

import re
from typing import Any

Item = int | bytes | list[Any] | None

ATOM = re.compile(rb"(?:NIL|[0-9]+)(?=[ )]|\Z)")
QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")


def read(text: bytes) -> list[Item]:
    """The items of a text, which are divided by single blanks; only lists may follow each other without one."""
    items, place = _items(text, 0)
    assert place == len(text), text[place:]
    return items


def _items(text: bytes, place: int) -> tuple[list[Item], int]:
    items: list[Item] = []
    while place < len(text) and not text.startswith(b")", place):
        if items and not (isinstance(items[-1], list) and text.startswith(b"(", place)):
            assert text.startswith(b" ", place), text[place:]
            place += 1
        item, place = _item(text, place)
        items.append(item)
    return items, place


def _item(text: bytes, place: int) -> tuple[Item, int]:
    if text.startswith(b"(", place):
        inner, place = _items(text, place + 1)
        assert text.startswith(b")", place), text[place:]
        return inner, place + 1
    if found := ATOM.match(text, place):
        return None if found[0] == b"NIL" else int(found[0]), found.end()
    if found := QUOTED.match(text, place):
        return found[1], found.end()
    literal = LITERAL.match(text, place)
    assert literal, text[place:]
    end = literal.end() + int(literal[1])
    content = text[literal.end() : end]
    assert len(content) == int(literal[1])
    assert b"\0" not in content
    return content, end
