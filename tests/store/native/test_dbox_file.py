"""dbox files: whole, cut at any byte, and damaged."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.message.source import CHUNK
from dovecot_urlauth.store.errors import StoreError, Unsupported
from dovecot_urlauth.store.native.dbox import dbox_file
from dovecot_urlauth.store.native.dbox.dbox_file import (
    parse_header,
    parse_message_header,
    parse_trailer,
    read_message,
)
from dovecot_urlauth.store.native.files import Directory
from tests.store.dboxes import HEADER, message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dovecot_urlauth.store.native.file_source import FileSource

FIRST = message(b"first\n", {"V": "7"})
SECOND = message(b"second", {"P": "uidl"})


@contextmanager
def opened(folder: Path, content: bytes) -> Iterator[FileSource]:
    (folder / "m.1").write_bytes(content)
    with Directory.root(os.fsencode(folder)) as directory, directory.file(b"m.1") as file:
        yield file


def read(folder: Path, content: bytes, offset: int = 0, space: int = 0) -> tuple[bytes, int, int | None]:
    """A message, and both sizes that are noted."""
    with opened(folder, content) as file:
        found = read_message(file, offset, space)
        return found.source.read(0, 1 << 20), found.stored_size, found.virtual_size


def test_messages(tmp_path: Path) -> None:
    content = HEADER + FIRST + SECOND
    assert read(tmp_path, content) == read(tmp_path, content, len(HEADER)) == (b"first\n", 6, 7)
    assert read(tmp_path, content, len(HEADER + FIRST)) == (b"second", 6, None)


@pytest.mark.parametrize("more", [-(1 << 20), -40, -1, 0, 1, 500, 1 << 31])
def test_a_message_in_a_long_file(tmp_path: Path, more: int) -> None:
    """However much of it is said to be the message's."""
    long = message(b"long\n" * CHUNK, {"V": "5"})
    content = HEADER + FIRST + long + SECOND + message(b"x" * CHUNK)
    at = len(HEADER) + len(FIRST)
    for offset, stored, expected in (
        (len(HEADER), FIRST, (b"first\n", 6, 7)),
        (at, long, (b"long\n" * CHUNK, 5 * CHUNK, 5)),
        (at + len(long), SECOND, (b"second", 6, None)),
    ):
        assert read(tmp_path, content, offset, max(len(stored) + more, 0)) == expected


def test_a_source_ends_with_its_message(tmp_path: Path) -> None:
    with opened(tmp_path, HEADER + FIRST + SECOND) as file:
        source = read_message(file, 0).source
        assert source.size == 6
        assert [source.read(offset, 4) for offset in (0, 4, 6, 99)] == [b"firs", b"t\n", b"", b""]


def test_a_message_without_a_body(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + message(b"")) == (b"", 0, None)


def test_the_size_before_compression(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + message(b"gz", {"Z": "4d2", "V": "4e0"})) == (b"gz", 1234, 1248)


def test_a_long_trailer(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + message(b"x", {"B": 5000 * "b", "V": "a"})) == (b"x", 1, 10)


@pytest.mark.parametrize("line", [b"1 M1e C1", b"2 C1 M1e A5 Xnew", b"2 M1E"])
def test_headers(line: bytes) -> None:
    assert parse_header(line) == 30


def test_a_longer_message_header() -> None:
    assert parse_header(b"2 M20") == 32
    header = b"\1\2N" + b" " * 10 + b"%016X" % 0xABC + b"  \n"
    assert parse_message_header(header, 32) == 0xABC


def test_of_a_letter_that_comes_twice_the_first_counts() -> None:
    assert parse_trailer(b"\n\1\3\nGa\nGb\nV1\n\nGc\n") == {b"G": b"a", b"V": b"1"}
    assert parse_trailer(b"\n\1\3\nGa\n   \nGb\n\n") == {b"G": b"a"}


BROKEN = {
    "no header": HEADER.rstrip(b"\n") * 20,
    "unknown version": b"3" + HEADER[1:] + FIRST,
    "unknown size": b"2 M1d\n" + FIRST,
    "unknown size of message headers": b"2 M401\n" + FIRST,
    "broken number": b"2 C1\n" + FIRST,
    "broken number in a header": HEADER + FIRST.replace(b"0006", b"00x6"),
    "broken number that is noted": HEADER + message(b"x", {"V": "-1"}),
    "broken number that is too long": HEADER + message(b"x", {"Z": 17 * "1"}),
    "no message there": HEADER + b"\1\3" + FIRST[2:],
    "no message there, but its start": HEADER + FIRST[:29],
    "no message there, but one without an end": HEADER + FIRST[:29] + b" " + FIRST[30:],
    "shorter than its message": HEADER + message(b"x", size=1 << 60),
    "no metadata": HEADER + message(b"x", size=2),
    "without an end": HEADER + message(b"x")[:-1],
    "without an end that we look for": HEADER + message(b"x", {"B": dbox_file.LIMIT_TRAILER * "b"}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_in_order(tmp_path: Path, case: str) -> None:
    reason = next(words for words in REASONS if case.startswith(words))
    with pytest.raises(Unsupported, match=reason):
        read(tmp_path, BROKEN[case])


REASONS = ("no header", "unknown version", "unknown size", "broken number", "no message there",
           "shorter than", "no metadata", "without an end")  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_message(tmp_path: Path, body: bytes) -> None:
    content = HEADER + FIRST + message(body)
    assert read(tmp_path, content, len(HEADER + FIRST))[0] == body


@pytest.mark.parametrize("kept", range(len(HEADER + FIRST)))
def test_cut_at_any_byte(tmp_path: Path, kept: int) -> None:
    with pytest.raises(Unsupported):
        read(tmp_path, (HEADER + FIRST)[:kept])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage(tmp_path: Path, data: st.DataObject) -> None:
    """A message or a documented error, wherever a map points."""
    content = bytearray(HEADER + FIRST + SECOND)
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    offset = data.draw(st.integers(0, 2 * len(content)) | st.integers(0, (1 << 32) - 1))
    try:
        read(tmp_path, bytes(content), offset)
    except StoreError:
        pass


@given(st.binary(max_size=100), st.integers(0, 40))
def test_any_bytes(text: bytes, size: int) -> None:
    for parse in (parse_header, lambda data: parse_message_header(data, size), parse_trailer):
        try:
            parse(text)
        except Unsupported:
            pass
