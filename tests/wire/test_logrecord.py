from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.logrecord import RECORD_LIMIT, Severity, encode, encode_prefix
from dovecot_urlauth.wire.readable import readable

PID = 6221


def decode(records: list[bytes], severity: Severity) -> list[bytes]:
    """The texts of the records, each checked for its frame."""
    head = b"\x01%c%d " % (severity.value, PID)
    for record in records:
        assert record.startswith(head)
        assert record.endswith(b"\n")
        assert record.count(b"\n") == 1
        assert len(record) <= RECORD_LIMIT
    return [record[len(head) : -1] for record in records]


def test_recorded_lines() -> None:
    assert encode(Severity.INFO, PID, "Logged in: user=<bob>") == [b"\x01\x026221 Logged in: user=<bob>\n"]
    assert encode_prefix(PID, "imap-urlauth-login: ") == b"\x01\x086221 prefix=imap-urlauth-login: \n"


@pytest.mark.parametrize(
    ("severity", "code"),
    [("DEBUG", 1), ("INFO", 2), ("WARNING", 3), ("ERROR", 4), ("FATAL", 5), ("PANIC", 6)],
)
def test_type_byte(severity: str, code: int) -> None:
    (record,) = encode(getattr(Severity, severity), PID, "x")
    assert record[1] == code


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [b""]),
        ("one", [b"one"]),
        ("one\ntwo\n", [b"one?two?"]),
        ("eve\n\x01\x026221 Logged in: user=<root>", [b"eve???6221 Logged in: user=<root>"]),
        ("nul\0nul", [b"nul?nul"]),
        ("\x1b[2J", [b"?[2J"]),
        ("café", [b"caf\xc3\xa9"]),
        ("\udcff", [b"?"]),
    ],
)
def test_lines_of_a_text(text: str, lines: list[bytes]) -> None:
    assert decode(encode(Severity.ERROR, PID, text), Severity.ERROR) == lines


@pytest.mark.parametrize("excess", [-1, 0, 1, 5000])
def test_long_texts_are_cut_at_the_pipe_s_atomic_size(excess: int) -> None:
    room = RECORD_LIMIT - len(b"\x01\x026221 \n")
    text = "x" * (room + excess)
    texts = decode(encode(Severity.INFO, PID, text), Severity.INFO)
    assert b"".join(texts) == text.encode()
    assert len(texts) == -(-len(text) // room)


def test_prefix_is_one_line() -> None:
    prefix = encode_prefix(PID, "a\nb" + "x" * 5000)
    assert prefix.startswith(b"\x01\x086221 prefix=a?bxxx")
    assert prefix.endswith(b"x\n")
    assert len(prefix) == RECORD_LIMIT


@given(st.text(st.characters(), max_size=50), st.integers(1, 300))
def test_any_text_is_one_line_after_another(text: str, times: int) -> None:
    text = text * times
    assert b"".join(decode(encode(Severity.DEBUG, PID, text), Severity.DEBUG)) == readable(text).encode()
