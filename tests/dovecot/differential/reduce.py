"""Shrink a message, keeping what two workers differ about: delta debugging, first by lines, then by bytes.

Candidates are tried by the batch: delivering them costs one look at the mailbox, whatever their number.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from tests.dovecot.differential.arena import shown
from tests.dovecot.differential.compare import UNEXPLAINED, judge

if TYPE_CHECKING:
    from testing.oracle import Answer
    from tests.dovecot.differential.arena import Arena
    from tests.dovecot.differential.compare import Exchange
    from tests.dovecot.differential.questions import Question

BATCH = 24


def reduced(arena: Arena, question: Question, message: bytes, seconds: float) -> bytes:
    """The smallest message found within so many seconds about which the workers still differ."""
    deadline = time.monotonic() + seconds
    lines = _smaller(arena, question, message.splitlines(keepends=True), deadline)
    whole = b"".join(lines)
    return b"".join(_smaller(arena, question, [whole[at : at + 1] for at in range(len(whole))], deadline))


def _smaller(arena: Arena, question: Question, pieces: list[bytes], deadline: float) -> list[bytes]:
    """Leave out ever smaller runs of `pieces`."""
    width = max(len(pieces) // 2, 1)
    while pieces and time.monotonic() < deadline:
        shorter = _without_a_run(arena, question, pieces, width, deadline)
        if shorter is not None:
            pieces = shorter
            width = min(width, max(len(pieces) // 2, 1))
        elif width == 1:
            break
        else:
            width //= 2
    return pieces


def _without_a_run(
    arena: Arena, question: Question, pieces: list[bytes], width: int, deadline: float
) -> list[bytes] | None:
    """`pieces` without one run of `width`, if some such message still makes a difference."""
    places = list(range(0, len(pieces), width))
    for first in range(0, len(places), BATCH):
        if time.monotonic() > deadline:
            return None
        candidates = [pieces[:at] + pieces[at + width :] for at in places[first : first + BATCH]]
        stored = arena.put([b"".join(candidate) for candidate in candidates])
        for candidate, where in zip(candidates, stored):
            asked = question.about(where, arena.keys[where.mailbox])
            if judge(arena.ask(asked)) == UNEXPLAINED:
                return candidate
    return None


def report(exchange: Exchange) -> str:
    """A difference as something that one can paste: the message as a Python expression, the URL, both answers."""
    question = exchange.question
    lines = [f"{question.kind} {question.section!r} {question.partial} {b' '.join(question.items).decode()}"]
    if exchange.message is not None:
        lines += [f"message = {expression(exchange.message)}"]
    lines += [
        f"url = {question.url!r}",
        f"accessor = {question.accessor}",
        f"stock: {shown(exchange.stock)}",
        f"ours:  {shown(exchange.ours)}",
    ]
    if exchange.stock and exchange.ours:
        lines.append(_first_difference(exchange.stock, exchange.ours))
    return "\n".join(lines)


def _first_difference(stock: Answer, ours: Answer, shown_around: int = 100) -> str:
    """Where two long answers part."""
    texts = [b" ".join(answer.words) + b"\n" + answer.content for answer in (stock, ours)]
    place = next((place for place, (one, other) in enumerate(zip(*texts)) if one != other), min(map(len, texts)))
    pieces = [text[max(place - shown_around, 0) : place + shown_around] for text in texts]
    return f"from byte {place}: stock {pieces[0]!r}\n{'':>{len(str(place)) + 11}}ours  {pieces[1]!r}"


#: Something that follows itself at least eight times, as long messages are made.
REPEATED = re.compile(rb"(.{1,120}?)\1{7,}", re.DOTALL)


def expression(message: bytes) -> str:
    """A Python expression of the whole message, with what is repeated written once."""
    pieces = []
    place = 0
    for found in REPEATED.finditer(message):
        pieces += _lines(message[place : found.start()])
        pieces.append(f"{found[1]!r} * {len(found[0]) // len(found[1])}")
        place = found.end()
    pieces += _lines(message[place:])
    return "(\n    " + "\n    + ".join(pieces or ["b''"]) + "\n)"


def _lines(text: bytes) -> list[str]:
    return [repr(line) for line in text.splitlines(keepends=True)]
