"""The engine's half of the dialogue: both generations' URLFETCH, literals anywhere, and nonsense."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dovecot_urlauth.wire import imapdialogue
from dovecot_urlauth.wire.imapdialogue import STEP, Fetched, ImapDialogue, Metadata, Piece, State, Status, UrlFetch
from dovecot_urlauth.wire.lines import ProtocolError
from tests.wire.feeding import bytewise, outcome

URL = b"imap://alice@localhost/INBOX/;UID=1;URLAUTH=authuser:internal:01da"
KEY = b"0123456789abcdef" * 8
ENTRY = b"/private/vendor/vendor.dovecot/imap-urlauth"


def make() -> tuple[Callable[[bytes], None], Callable[[], Any]]:
    dialogue = ImapDialogue(limit=4096)
    return dialogue.receive_data, dialogue.next_event


def joined(events: list[Any]) -> list[Any]:
    """The events with pieces put together: how content is cut depends on how it was fed."""
    together: list[Any] = []
    for event in events:
        if isinstance(event, Piece) and together and isinstance(together[-1], Piece):
            together[-1] = Piece(together[-1].data + event.data)
        else:
            together.append(event)
    return together


def read(data: bytes) -> list[Any]:
    """The events of a conversation, the same however it is cut."""
    whole, error = outcome(*make(), [data])
    assert error is None
    for size in (1, 2, 7):
        pieces, error = outcome(*make(), [data[at : at + size] for at in range(0, len(data), size)])
        assert error is None
        assert joined(pieces) == joined(whole)
    return joined(whole)


def refused(data: bytes) -> str:
    _, whole = outcome(*make(), [data])
    _, pieces = outcome(*make(), bytewise(data))
    assert whole is not None
    assert pieces is not None
    assert whole.text == pieces.text
    return whole.text


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"u1 OK Done.", Status(b"u1", b"OK", b"", b"Done.")),
        (b"u1 OK", Status(b"u1", b"OK", b"", b"")),
        (b"* PREAUTH [CAPABILITY IMAP4rev1] Hi", Status(b"*", b"PREAUTH", b"CAPABILITY IMAP4rev1", b"Hi")),
        (b"* NO Mailbox doesn't exist: {12}", Status(b"*", b"NO", b"", b"Mailbox doesn't exist: {12}")),
        (b"u2 NO [UNKNOWN-CTE] What?", Status(b"u2", b"NO", b"UNKNOWN-CTE", b"What?")),
        (b"* BYE [unclosed", Status(b"*", b"BYE", b"", b"[unclosed")),
        (b"u3 BAD ~{5}", Status(b"u3", b"BAD", b"", b"~{5}")),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_status(line: bytes, end: bytes, status: Status) -> None:
    assert read(line + end) == [status]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"%s"' % KEY, KEY),
        (b"{128}\r\n%s" % KEY, KEY),
        (b"NIL", None),
        (b'"a\\"b\\\\c"', b'a"b\\c'),
        (b"{0}\r\n", b""),
    ],
)
@pytest.mark.parametrize(("name", "mailbox"), [(b"INBOX", b"INBOX"), (b'"a b"', b"a b"), (b"{3}\r\nx y", b"x y")])
def test_metadata(text: bytes, value: bytes | None, name: bytes, mailbox: bytes) -> None:
    assert read(b"* METADATA %s (%s %s)\r\n" % (name, ENTRY, text)) == [Metadata(mailbox, ENTRY, value)]


STRUCTURES = [
    b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 0 NIL NIL NIL NIL',
    b'("text" "html" NIL)("a" ")" NIL) "mixed" ("boundary" "(\\"")',
    b'"application" "x" ("name" {7}\r\n\xc3\xa4)\r\n")) NIL {4}\r\n(((\x80 "7bit" 3',
    b'"a" {0}\r\n NIL',
    b'"a\\\\" "\\"" "\\\\\\"(" ~{3}\r\n")( a~b',
    b"",
]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(
    "form",
    [
        b"(BODYPARTSTRUCTURE (%s) BINARY ~{%d}\r\n%s)",
        b"(BODYPARTSTRUCTURE (%s)) (BINARY ~{%d}\r\n%s)",
    ],
    ids=["2.3", "2.4"],
)
@pytest.mark.parametrize("content", [b"", b"x", b") \r\nu1 OK {5}\r\n\x00" * 20])
def test_structure_and_content(structure: bytes, form: bytes, content: bytes) -> None:
    response = b"* URLFETCH %s %s\r\nu1 OK Done.\r\n" % (URL, form % (structure, len(content), content))
    pieces = [Piece(content)] if content else []
    assert read(response) == [
        UrlFetch(URL, True, structure, len(content), True),
        *pieces,
        Status(b"u1", b"OK", b"", b"Done."),
    ]


@pytest.mark.parametrize(
    ("reply", "event"),
    [
        (b"NIL", UrlFetch(URL, False, None, None, False)),
        (b"(BODY {0}\r\n)", UrlFetch(URL, True, None, 0, False)),
        (b"(BINARY {0}\r\n)", UrlFetch(URL, True, None, 0, False)),
        (b'(BODY "")', UrlFetch(URL, True, None, 0, False)),
        (b"(BODY NIL)", UrlFetch(URL, True, None, None, False)),
        (b"(BODYPARTSTRUCTURE NIL) (BINARY NIL)", UrlFetch(URL, True, None, None, False)),
        (b"(BODYPARTSTRUCTURE (1 (2) 3))", UrlFetch(URL, True, b"1 (2) 3", None, False)),
    ],
)
def test_without_content(reply: bytes, event: UrlFetch) -> None:
    assert read(b"* URLFETCH %s %s\r\n" % (URL, reply)) == [event]


def test_quoted_content_and_url() -> None:
    data = b'* URLFETCH "imap://x/a\\"b" (BODY "say \\"hi\\"")\r\nu1 OK\r\n'
    assert read(data) == [
        UrlFetch(b'imap://x/a"b', True, None, 8, False),
        Piece(b'say "hi"'),
        Status(b"u1", b"OK", b"", b""),
    ]


METADATA = b"* METADATA INBOX (%s {128}\r\n%%s)\r\n" % ENTRY


@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"u1 OK Done.\r\n",
        METADATA % KEY[::-1],
        b"* URLFETCH x (BODY {2}\r\nhi)\r\n",
        b"* X {9}\r\n* METADATA\r\n",
    ],
    ids=["at once", "later", "another", "content", "literal"],
)
def test_the_same_metadata_again(between: bytes) -> None:
    [event] = read(METADATA % KEY)
    [*events] = read(between)
    assert read((METADATA % KEY + between) * 3) == [event, *events] * 3


def test_the_same_metadata_is_not_taken_apart_again(monkeypatch: pytest.MonkeyPatch) -> None:
    dialogue = ImapDialogue()
    dialogue.receive_data(METADATA % KEY)
    event = dialogue.next_event()
    monkeypatch.setattr(imapdialogue, "_Scanner", None)
    dialogue.receive_data((METADATA % KEY) * 2 + b"u1 OK\r\n")
    assert dialogue.next_event() is dialogue.next_event() is event
    assert isinstance(dialogue.next_event(), Status)


def test_metadata_within_content_is_content() -> None:
    said = METADATA % KEY
    data = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n* X {%d}\r\n%s\r\n" % (len(said), said, len(said), said)
    [event] = read(said)
    assert read(said + data) == [event, Fetched(1, len(said), False), Piece(said)]


def test_long_metadata_is_not_kept() -> None:
    dialogue = ImapDialogue()
    dialogue.receive_data(METADATA % KEY + METADATA.replace(b"128", b"5000") % (b"x" * 5000))
    for _ in range(2):
        assert isinstance(dialogue.next_event(), Metadata)
    assert dialogue._last_metadata is None


@pytest.mark.parametrize(
    ("part", "event"),
    [
        (b"BODY[] {9}", Fetched(4294967295, 9, False)),
        (b"BODY[1.2.MIME]<0> {9}", Fetched(4294967295, 9, False)),
        (b"BINARY[1] {9}", Fetched(4294967295, 9, False)),
        (b"BINARY[]<3> ~{9}", Fetched(4294967295, 9, True)),
    ],
)
@pytest.mark.parametrize("content", [b"123456789", b")\r\n* NO \0"])
def test_a_part_of_one_message(part: bytes, event: Fetched, content: bytes) -> None:
    data = b"* 12 FETCH (UID 4294967295 %s\r\n%s)\r\nu1 OK\r\n" % (part, content)
    assert read(data) == [event, Piece(content), Status(b"u1", b"OK", b"", b"")]


def test_an_empty_part_of_a_message() -> None:
    data = b"* 1 FETCH (UID 1 BODY[7] {0}\r\n)\r\nu1 OK\r\n"
    assert read(data) == [Fetched(1, 0, False), Status(b"u1", b"OK", b"", b"")]


def test_a_part_and_something_else() -> None:
    """Nobody has asked for more."""
    said = refused(b"* 1 FETCH (UID 1 BODY[] {2}\r\nhi BODY[1] NIL)\r\n")
    assert said == "Unexpected data after content"


@pytest.mark.parametrize(
    "start",
    [
        b"BODY[]",
        b"UID 1 RFC822",
        b"UID x BODY[]",
        b"UID 12345678901 BODY[]",
        b"UID 1 FLAGS () BODY[]",
        b"UID 1 BODY[HEADER.FIELDS (x)]",
        b"UID 1 ENVELOPE (",
    ],
)
def test_other_fetches_are_skipped(start: bytes) -> None:
    data = b"* 1 FETCH (%s {9}\r\n* NO \r\n\r\n)\r\n* 1 STORE (UID 1 BODY[] {2}\r\nxy)\r\nu1 OK\r\n" % start
    assert read(data) == [Status(b"u1", b"OK", b"", b"")]


def test_a_literal_within_another_response_begins_no_part() -> None:
    data = b"* X {1}\r\nx* 1 FETCH (UID 1 BODY[] {2}\r\nxy)\r\nu1 OK\r\n"
    assert read(data) == [Status(b"u1", b"OK", b"", b"")]


def test_other_responses_are_skipped() -> None:
    data = (
        b'* FLAGS (\\Answered)\r\n* 3 EXISTS\r\n* 1 FETCH (UID 1 BODY[] "x")\r\n'
        b"* 2 FETCH (BINARY.SIZE[] 3)\r\nu1 OK\r\n"
    )
    assert read(data) == [Status(b"u1", b"OK", b"", b"")]


def test_content_comes_in_the_pieces_it_was_fed_in() -> None:
    dialogue = ImapDialogue()
    dialogue.receive_data(b"* URLFETCH %s (BODY {1000000}\r\n" % URL)
    assert isinstance(dialogue.next_event(), UrlFetch)
    assert dialogue.next_event() is None
    chunk = bytes(250_000)
    for _ in range(4):
        dialogue.receive_data(chunk)
        event = dialogue.next_event()
        assert isinstance(event, Piece)
        assert event.data is chunk
        assert dialogue.next_event() is None
    dialogue.receive_data(b")\r\nu1 OK\r\n")
    assert dialogue.next_event() == Status(b"u1", b"OK", b"", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n",
        b"\r\n",
        b"+ go on\r\n",
        b"* METADATA\r\n* METADATA \r\n",
        b"* METADATA INBOX\r\n",
        b"* METADATA INBOX (x)\r\n",
        b'* METADATA "INBOX (x "y")\r\n',
        b"* METADATA {3}\r\nab\r\n",
        b"* URLFETCH \r\n",
        b"* URLFETCH u\r\n",
        b"* URLFETCH u MAYBE\r\n",
        b"* URLFETCH u (BODY)\r\n",
        b"* URLFETCH u (SIZE 3)\r\n",
        b"* URLFETCH u (BODYPARTSTRUCTURE ((1 2)\r\n",
        b'* URLFETCH u (BODYPARTSTRUCTURE ("a)\r\n',
        b"* URLFETCH u (BODYPARTSTRUCTURE (a {b))\r\n",
        b"* URLFETCH u (BODYPARTSTRUCTURE (a ~{b}\r\n))\r\n",
        b"* URLFETCH u (BODY {3}\r\nabcd)\r\n",
        b"* URLFETCH u (BODY {3}\r\nabc) BODYPARTSTRUCTURE (x)\r\n",
        b"* URLFETCH ( BODY {3}\r\nabc)\r\n",
        b"* URLFETCH u (BODY BINARY {3}\r\nabc)\r\n",
        b"* URLFETCH u NIL (BODY {5}\r\n",
        b"* URLFETCH u (BODY ~x BINARY {5}\r\n",
        b"* URLFETCH u (BODY {x}\r\n",
        b"* METADATA x}\r\n",
    ],
)
def test_refused(data: bytes) -> None:
    assert refused(data)


def test_limit() -> None:
    assert refused(b"* X" + b"x" * 5000) == "IMAP response too long"
    assert refused(b"* X {5000}\r\n") == "IMAP response too long"
    assert refused(b"* X {4000}\r\n" + b"x" * 4000 + b" {100}\r\n") == "IMAP response too long"
    assert refused(b"* URLFETCH u (BODY {3}\r\nabc" + b")" * 5000) == "IMAP response too long"


WORDS = [
    b"* ", b"URLFETCH ", b"METADATA ", b"u1 ", b"OK", b"NO ", b"INBOX", b" (", b")", b"(", b"BODY ", b"BINARY ",
    b"BODYPARTSTRUCTURE ", b"NIL", b'"', b"\\", b"{3}", b"~{2}", b"{0}", b"{", b"}", b"\r\n", b"\n", b"\r", b"abc",
    b"\x00", b"\xff", b" ", b"[", b"]", b"{99999}", b"{999999999999999999999}", b"+",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=40).map(b"".join), st.data())
@example(b"* URLFETCH u (BODY {3}\r\nabc)\r\n* METADATA {3}\r\nabc (x {0}\r\n)\r\n", None)
def test_nonsense_gives_events_or_one_error(data: bytes, draw: st.DataObject | None) -> None:
    whole, error = outcome(*make(), [data])
    assert error is None or isinstance(error, ProtocolError)
    pieces, piece_error = outcome(*make(), bytewise(data))
    assert joined(pieces) == joined(whole)
    assert (piece_error and piece_error.text) == (error and error.text)
    for event, following in zip(whole, [*whole[1:], None]):
        if isinstance(event, UrlFetch) and event.size is None:
            assert not isinstance(following, Piece)


@pytest.mark.parametrize("first", [b"x BINARY", b"x (BODY", b"~"])
def test_a_literal_announces_nothing(first: bytes) -> None:
    """A stranger's mail has such strings, one behind the other, in its structure."""
    structure = b'"text" {%d}\r\n%s {3}\r\nabc NIL' % (len(first), first)
    line = b"* URLFETCH x (BODYPARTSTRUCTURE (%s) BINARY {2}\r\nde)\r\n" % structure
    assert read(line) == [UrlFetch(b"x", True, structure, 2, False), Piece(b"de")]


LONG = 500_000
"""Bytes of a structure that takes many steps."""
VERY_LONG = 4_000_000
"""In quadratic time half a minute and more, in linear time four seconds at most."""


@pytest.mark.parametrize(
    "unit",
    [b'"a" "1" ', b'"(" ', b"(a) ", b"{1}\r\na ", b'"\\"" ', b'"a" {1}\r\n" '],
    ids=[
        "parameters",
        "parentheses in strings",
        "parentheses",
        "literals",
        "escaped quotes",
        "both kinds of string",
    ],
)
def test_a_long_structure_is_read_in_steps(unit: bytes) -> None:
    """Each step ends by itself, without more input, and as many are made as there is to do."""
    structure = unit * (LONG // len(unit))
    assert steps_of(structure) >= len(structure) // len(unit) // STEP


@pytest.mark.parametrize(
    ("content", "steps"),
    [(b"\\\\" * (LONG // 2), 0), (b'\\"' * (LONG // 2), LONG // 2 // STEP), (b"(" * LONG, 0)],
    ids=["backslashes", "escaped quotes", "parentheses"],
)
def test_one_long_string_is_read_in_steps(content: bytes, steps: int) -> None:
    assert steps_of(b'"%s"' % content) >= steps


@pytest.mark.parametrize("structure", STRUCTURES)
def test_steps_change_nothing(structure: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"* URLFETCH u (BODYPARTSTRUCTURE (%s)) (BINARY NIL)\r\nu1 OK\r\n" % structure
    in_one = read(data)
    monkeypatch.setattr(imapdialogue, "STEP", 1)
    dialogue = ImapDialogue()
    events: list[Any] = []
    for byte in bytewise(data):
        dialogue.receive_data(byte)
        while (event := dialogue.next_event()) is not None or dialogue.state is State.STRUCTURE:
            events += [event] if event else []
    assert events == in_one


@pytest.mark.parametrize("unit", [b'"a" "1" ', b"{1}\r\na "], ids=["quoted strings", "literals"])
def test_a_very_long_structure_takes_linear_time(unit: bytes) -> None:
    began = time.process_time()
    assert steps_of(unit * (VERY_LONG // len(unit)))
    assert time.process_time() - began < 25


def test_what_stands_between_items_is_read_in_steps() -> None:
    dialogue = ImapDialogue()
    dialogue.receive_data(b"* URLFETCH u %s(BODY NIL)\r\n" % (b"(" * 3 * STEP))
    seen = [dialogue.next_event() for _ in range(4)]
    assert seen == [None, None, None, UrlFetch(b"u", True, None, None, False)]


def steps_of(structure: bytes) -> int:
    """How often others may have a turn while the structure is read, and content comes right behind it."""
    dialogue = ImapDialogue()
    dialogue.receive_data(b"* URLFETCH u (BODYPARTSTRUCTURE (%s) BINARY ~{2}\r\n" % structure)
    dialogue.receive_data(b"ab)\r\nu1 OK Done.\r\n")
    steps = 0
    while (event := dialogue.next_event()) is None:
        assert dialogue.state is State.STRUCTURE
        steps += 1
    assert event == UrlFetch(b"u", True, structure, 2, True)
    assert dialogue.next_event() == Piece(b"ab")
    assert dialogue.next_event() == Status(b"u1", b"OK", b"", b"Done.")
    return steps


def test_a_literal_that_ends_as_one_begins() -> None:
    assert read(b"* X {5}\r\nab{3}\r\nu1 OK Done.\r\n") == [Status(b"u1", b"OK", b"", b"Done.")]
