"""Long work goes in steps, and a pace gives others their turn between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.message.fetch import Content, Request, fetching
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.steps import TURN, Pace, run_through

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from dovecot_urlauth.message.steps import Steps

MIB = 1 << 20
PARTS = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
LINE = b"a line of a hundred bytes and more " * 3 + b"\n"
BASE64 = PARTS + b"Content-Transfer-Encoding: base64\n\n"

#: Messages of which one thing is long, as (head, what is repeated, tail).
LONG = {
    "body": (b"Subject: x\n\n", LINE, b""),
    "header": (b"Subject: x\n", b"To: " + LINE, b"\nx\n"),
    "folded field": (b"Subject: x\n", b" " + LINE, b"\nx\n"),
    "line": (b"Subject: ", b"x" * 1000, b"\n\nx\n"),
    "delimiter line": (PARTS + b"\nx\n--b", b" " * 1000, b"\n\nx\n--b--\n"),
    "part": (PARTS + b"\n", LINE, b"--b--\n"),
    "lines like delimiters": (PARTS + b"\n", b"--" + LINE, b"--b--\n"),
    "encoded part": (BASE64, b"QUFB" * 19 + b"\n", b"--b--\n"),
    "part behind its padding": (BASE64 + b"QQ==", b" \n" * 500, b"--b--\n"),
    "line that is quoted-printable": (BASE64.replace(b"base64", b"quoted-printable"), b"x" * 1000, b"\n--b--\n"),
    "preamble": (PARTS.removesuffix(b"--b\n"), LINE, b""),
    "body without a part": (PARTS + b"\n--b--\n", LINE, b""),
    "header of a part": (PARTS + b"Content-Transfer-Encoding: base64\n", b"X: " + LINE, b"\nQQ==\n--b--\n"),
}
WISHES = {
    "whole": Request(b""),
    "far away": Request(b"", 3 * MIB // 2, 10),
    "HEADER": Request(b"HEADER"),
    "TEXT": Request(b"TEXT"),
    "fields": Request(b"HEADER.FIELDS (x-none)"),
    "no fields": Request(b"HEADER.FIELDS.NOT (subject)", 3 * MIB // 2, 10),
    "part": Request(b"1"),
    "second part": Request(b"2"),
    "decoded": Request(b"", body=False, binary=True),
    "structure": Request(b"", body=False, structure=True),
    "decoded structure": Request(b"", body=False, binary=True, structure=True),
    "range of decoded": Request(b"1", 1, MIB, body=False, binary=True),
}

#: Bytes that may be read, at most, from one step to the next.
BETWEEN_STEPS = 3 * MIB // 4


class CountingSource:
    """A long message that counts what is read of it since the last step."""

    def __init__(self, head: bytes, middle: bytes, tail: bytes) -> None:
        self.data = head + middle * (2 * MIB // len(middle)) + tail
        self.read_since = self.most = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        self.read_since += length
        return self.data[offset : offset + length]

    def step(self) -> None:
        self.most = max(self.most, self.read_since)
        self.read_since = 0

    def take(self, request: Request) -> bytes:
        """All the bytes that a request is answered with; a step is counted at each."""
        steps = fetching(self, request, RULES_2_4_5)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                content: Content = end.value
                break
            self.step()
        found = []
        for chunk in content.chunks:
            self.step()
            found.append(chunk)
        self.step()
        return b"".join(found)


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("name", LONG)
def test_little_is_read_from_step_to_step(name: str, wish: str) -> None:
    source = CountingSource(*LONG[name])
    try:
        source.take(WISHES[wish])
    except MessageError:
        source.step()
    assert source.most <= BETWEEN_STEPS


def test_a_step_is_taken_for_every_part_and_every_few_fields() -> None:
    many_parts = PARTS + b"\nx\n--b\n" * 1000
    many_fields = b"Content-Type: message/rfc822\n\n" + b"To: a@b\n" * 10_000
    many_addresses = b"Content-Type: message/rfc822\n\nTo: " + b"a@b," * 10_000 + b"\n\n"
    long_fields = b"MIME-Version: 1\n" + (b"Content-Disposition: a " + b"(b) " * 1000 + b"\n") * 200 + b"\n"
    cases = (many_parts, 2000), (many_fields, 300), (many_addresses, 150), (long_fields, 250)
    for message, least in cases:
        source = CountingSource(message, b"x", b"")
        request = Request(b"", body=False, structure=True)
        assert len(list(fetching(source, request, RULES_2_4_5))) > least


# -- the pace


class Clock:
    """A clock that somebody else moves, and how often others had their turn."""

    def __init__(self) -> None:
        self.time = 0.0
        self.turns = 0

    def now(self) -> float:
        return self.time

    async def turn(self) -> None:
        self.turns += 1
        self.time += 5.0

    def work(self, *seconds: float) -> Steps[str]:
        for each in seconds:
            self.time += each
            yield
        return "done"

    def chunks(self, *chunks: bytes) -> Iterator[bytes]:
        for chunk in chunks:
            self.time += TURN
            yield chunk


def finish(coroutine: Coroutine[None, None, object]) -> object:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def test_short_work_gives_no_turn() -> None:
    clock = Clock()
    assert finish(Pace(clock.turn, clock.now).run(clock.work(TURN / 4, TURN / 4))) == "done"
    assert clock.turns == 0


def test_long_work_gives_turns_which_do_not_count_as_work() -> None:
    clock = Clock()
    pace = Pace(clock.turn, clock.now)
    assert finish(pace.run(clock.work(*[TURN * 0.6] * 6))) == "done"
    assert clock.turns == 3
    clock.time += 100
    assert finish(pace.run(clock.work(TURN / 2))) == "done"
    assert clock.turns == 3


def test_work_is_ended_when_its_turn_raises() -> None:
    clock = Clock()
    ended = []

    def work() -> Steps[None]:
        try:
            while True:
                clock.time += TURN
                yield
        finally:
            ended.append(True)

    async def gone() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        finish(Pace(gone, clock.now).run(work()))
    assert ended == [True]


def test_chunks_that_hold_nothing_are_steps() -> None:
    clock = Clock()

    async def collect() -> list[bytes]:
        pace = Pace(clock.turn, clock.now)
        return [chunk async for chunk in pace.chunks(clock.chunks(b"a", b"", b"", b"b", b""))]

    assert finish(collect()) == [b"a", b"b"]
    assert clock.turns == 2


def test_all_steps_at_once() -> None:
    clock = Clock()
    assert run_through(clock.work(1, 2, 3)) == "done"
    assert clock.time == 6
