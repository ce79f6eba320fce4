"""Names of keywords: in the main index, in the log's records, and the letters that file names have."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.index import keywords
from dovecot_urlauth.store.native.index.main_index import MainExtension
from tests.store import ondisk

if TYPE_CHECKING:
    from pathlib import Path


class Index:
    """A main index with nothing but a keyword extension, one byte at offset 8 of each record."""

    def __init__(self, header: bytes | None) -> None:
        self.header = header

    def extension(self, name: bytes) -> MainExtension | None:
        assert name == b"keywords"
        return None if self.header is None else MainExtension(name, 0, self.header, 8, 1)


def header(*names: bytes) -> bytes:
    entries, texts = b"", b""
    for name in names:
        entries += struct.pack("<II", 0, len(texts))
        texts += name + b"\0"
    return struct.pack("<I", len(names)) + entries + texts


def record(bits: int) -> bytes:
    return bytes(8) + bytes([bits])


@pytest.mark.parametrize(
    ("bits", "names"), [(0, set()), (1, {b"$Forwarded"}), (2, {b"NonJunk"}), (3, {b"$Forwarded", b"NonJunk"})]
)
def test_in_a_record(bits: int, names: set[bytes]) -> None:
    index = Index(header(b"$Forwarded", b"NonJunk"))
    assert keywords.in_record(index, record(bits)) == names  # type: ignore[arg-type]


def test_an_index_without_keywords() -> None:
    assert keywords.in_record(Index(None), record(1)) == set()  # type: ignore[arg-type]


@given(st.binary(max_size=40), st.integers(0, 255))
def test_a_broken_header_has_fewer_names(text: bytes, bits: int) -> None:
    found = keywords.in_record(Index(text), record(bits))  # type: ignore[arg-type]
    assert len(found) <= bits.bit_count()


def test_an_update() -> None:
    data = ondisk.update_keyword(keywords.REMOVE, b"NonJunk", (1, 5))[8:]
    assert keywords.parse_update(data) == (keywords.REMOVE, b"NonJunk", struct.pack("<II", 1, 5))


@given(st.binary(max_size=24))
def test_a_broken_update_is_none(data: bytes) -> None:
    parsed = keywords.parse_update(data)
    assert (parsed is None) == (len(data) < 4)


LETTERS = [
    (b"0 a\n1 b\n25 z\n", {b"a", b"z"}, b"az"),
    (b"1 b\n0 a\n", {b"a", b"b"}, b"ab"),
    (b"26 a\nx a\n-1 a\n001 a\n a\n", {b"a"}, b""),
    (b"", {b"a"}, b""),
    (b"0 a\n", set(), b""),
    (None, {b"a"}, b""),
]


@pytest.mark.parametrize(("text", "names", "letters"), LETTERS)
def test_letters(tmp_path: Path, text: bytes | None, names: set[bytes], letters: bytes) -> None:
    if text is not None:
        (tmp_path / "dovecot-keywords").write_bytes(text)
    with Directory.root(os.fsencode(tmp_path)) as control:
        assert keywords.letters(control, names) == letters


def test_no_regular_file_has_no_letters(tmp_path: Path) -> None:
    (tmp_path / "dovecot-keywords").mkdir()
    with Directory.root(os.fsencode(tmp_path)) as control:
        assert keywords.letters(control, {b"a"}) == b""
