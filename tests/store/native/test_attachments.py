"""External attachments of dbox: what is noted about them, and messages put together again."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.dbox.attachments import (
    MOST_ATTACHMENTS,
    Attached,
    AttachmentFolder,
    Encoded,
    Joined,
    Piece,
    Reference,
    parse_references,
)
from dovecot_urlauth.store.native.files import Directory

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.message.steps import Steps


def test_references() -> None:
    assert parse_references(b"120 50 - ab/cd/abcd-1 170 78 B76C x 300 5 B4 y") == [
        Reference(120, 50, 0, b"", (b"ab", b"cd", b"abcd-1")),
        Reference(170, 78, 76, b"\r\n", (b"x",)),
        Reference(300, 5, 4, b"\n", (b"y",)),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"1", b"1 2 -", b"1 2 - x 3", b"1 2  x", b"1 2 C x", b"1 2 B x", b"1 2 B75 x", b"1 2 B0 x",
        b"1 2 B76CC x", b"1 2 76 x", b"1 2 -B76 x", b"-1 2 - x", b"1 x - x", b"1 2 - ../x", b"1 2 - a//x",
        b"1 2 - /x", b"1 2 - ",
        b"5 5 - x 9 1 - y", b"1 2 - x  3 4 - y", b"1" * 19 + b" 2 - x",
        b" ".join([b"1 0 - x"] * (MOST_ATTACHMENTS + 1)),
    ],
)  # fmt: skip
def test_broken_references(broken: bytes) -> None:
    with pytest.raises(Unsupported):
        parse_references(broken)


REFERENCE = st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from((b"-", b"B76", b"B4C")))


@given(
    st.binary(max_size=60)
    | st.lists(REFERENCE, min_size=1, max_size=4).map(
        lambda each: b" ".join(
            b"%d %d %s ab/cd/x" % (100 * at + start, size, how) for at, (start, size, how) in enumerate(each)
        )
    )
)
def test_any_references(text: bytes) -> None:
    """Whole and cut anywhere: what is found does not overlap, and names a file below the folder."""
    for cut in range(len(text) + 1):
        try:
            found = parse_references(text[:cut])
        except Unsupported:
            continue
        end = 0
        for each in found:
            assert each.start >= end
            end = each.start + each.size
            assert not {b"", b".", b".."} & set(each.path)
            assert each.columns % 4 == 0


@given(st.binary(max_size=300), st.integers(1, 20), st.sampled_from((b"\n", b"\r\n")), st.data())
def test_base64_in_lines(data: bytes, blocks: int, newline: bytes, draw: st.DataObject) -> None:
    """Any range of it is a slice of the whole."""
    columns = 4 * blocks
    text = b64encode(data)
    whole = newline.join(text[at : at + columns] for at in range(0, len(text), columns))
    source = Encoded(BytesSource(data), columns, newline)
    assert source.size == len(whole)
    offset, length = draw.draw(st.integers(0, len(whole) + 2)), draw.draw(st.integers(0, len(whole) + 2))
    assert source.read(offset, length) == whole[offset : offset + length]


def test_of_a_long_line_only_what_is_asked_for_is_read() -> None:
    """It was read and encoded whole for each of its pieces."""
    asked: list[int] = []

    class Noting(BytesSource):
        def read(self, offset: int, length: int) -> bytes:
            asked.append(length)
            return super().read(offset, length)

    data = bytes(range(256)) * 300
    source = Encoded(Noting(data), 4 * 10**15, b"\r\n")
    text = b64encode(data)
    for offset in (0, 3, 50_001, source.size - 8):
        assert source.read(offset, 8) == text[offset : offset + 8]
    assert max(asked) <= 9


@given(st.lists(st.binary(max_size=9)), st.integers(0, 60), st.integers(0, 60))
def test_pieces(pieces: list[bytes], offset: int, length: int) -> None:
    whole = b"".join(pieces)
    joined = Joined([Piece(BytesSource(b"12" + piece + b"3"), 2, len(piece)) for piece in pieces])
    assert joined.size == len(whole)
    assert joined.read(offset, length) == whole[offset : offset + length]


def test_who_is_reached() -> None:
    """Only what is read next, and at its own offset."""
    asked: list[tuple[str, int]] = []

    class Far(BytesSource):
        def reach(self, offset: int) -> Steps[None]:
            asked.append(("far", offset))
            yield

    joined = Joined([Piece(Far(b"0123456789"), 3, 4), Piece(BytesSource(b"abc"), 0, 3), Piece(Far(b"xyz"), 0, 3)])
    for offset in (1, 5, 8, 10, 99):
        for _ in joined.reach(offset):
            pass
    assert asked == [("far", 4), ("far", 1)]


@pytest.fixture
def folder(tmp_path: Path) -> AttachmentFolder:
    (tmp_path / "att" / "ab").mkdir(parents=True)
    (tmp_path / "att" / "ab" / "one-guid-7").write_bytes(b"decoded")
    (tmp_path / "att" / "two-guid-7").write_bytes(b"plain")
    (tmp_path / "rest").write_bytes(b"head.middle.end")
    return AttachmentFolder(os.fsencode(tmp_path / "att"), b"-guid-7")


def attached(folder: AttachmentFolder, references: bytes, size: int) -> Attached:
    with Directory.root(os.path.dirname(folder.root)) as directory:
        return Attached(parse_references(references), folder, directory.file(b"rest"), size)


ENCODED = b"ZGVj\nb2Rl\nZA=="


def test_a_message(folder: AttachmentFolder) -> None:
    opened = attached(folder, b"5 14 B4 ab/one 26 5 - two", 34)
    source = opened.whole(BytesSource(b"head.middle.end"))
    whole = b"head." + ENCODED + b"middle." + b"plain" + b"end"
    assert source.size == len(whole)
    assert source.read(0, 99) == whole
    opened.close()
    opened.close()


def test_attachments_at_both_ends(folder: AttachmentFolder) -> None:
    opened = attached(folder, b"0 5 - two 10 5 - two", 15)
    assert opened.whole(BytesSource(b"inner")).read(0, 99) == b"plaininnerplain"
    opened.close()


@pytest.mark.parametrize(
    ("references", "size"),
    [
        (b"5 13 B4 ab/one", 28),
        (b"5 14 B8 ab/one", 29),
        (b"5 14 B4C ab/one", 29),
        (b"5 6 - two", 21),
        (b"5 5 - two", 19),
        (b"5 5 - two", 21),
        (b"16 5 - two", 20),
        (b"5 5 - two", 7),
    ],
)
def test_a_message_of_another_size(folder: AttachmentFolder, references: bytes, size: int) -> None:
    opened = attached(folder, references, size)
    with pytest.raises(Unsupported, match="another size"):
        opened.whole(BytesSource(b"head.middle.end"))
    opened.close()


def test_files_that_cannot_be_had(folder: AttachmentFolder, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "att" / "link-guid-7").symlink_to("two-guid-7")
    os.mkfifo(tmp_path / "att" / "fifo-guid-7")
    for path, error in (
        (b"none", Unsupported),
        (b"x/y", Unsupported),
        (b"link", Unsupported),
        (b"fifo", StoreFailure),
    ):
        with pytest.raises(error):
            attached(folder, b"5 5 - two 20 5 - " + path, 25)
    assert len(os.listdir("/proc/self/fd")) == before
