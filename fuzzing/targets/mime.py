"""Any message has parts that lie inside each other in order, with the lines and sizes of their own bytes."""

from __future__ import annotations

from dovecot_urlauth.message.part import Part
from dovecot_urlauth.message.rules import RULES_2_3_13, RULES_2_4_5
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.message.tree import parse
from fuzzing.targets.structure import seeds as seeds

__all__ = ["check", "seeds"]


def check(data: bytes) -> None:
    rules = RULES_2_4_5 if data[:1] < b"\x80" else RULES_2_3_13
    message = data[1:]
    root = run_through(parse(BytesSource(message), rules))
    assert (root.start.offset, root.body_end) == (0, len(message))
    waiting = [root]
    while waiting:
        part = waiting.pop()
        waiting += part.children
        _check(part, message)


def _check(part: Part, message: bytes) -> None:
    place = part.body.offset
    assert part.start.offset <= place
    for child in part.children:
        assert place <= child.start.offset
        place = child.body_end
    assert place <= part.body_end
    text = message[part.body.offset : part.body_end]
    lines = text.count(b"\n")
    size = part.body_size
    assert (size.physical, size.lines) == (len(text), lines)
    assert size.virtual == len(text) + lines - text.count(b"\r\n")
