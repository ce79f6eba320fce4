"""Compressed mails at every offset: whole, cut at any byte, garbled, and larger than anybody would write."""

from __future__ import annotations

import random
import struct
import sys
from itertools import product
from typing import TYPE_CHECKING
from unittest import mock

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.decode import compressed_source, stream
from dovecot_urlauth.store.native.decode.compressed_source import CompressedSource
from dovecot_urlauth.store.native.decode.compression import OPEN, compression_of, decompressed
from dovecot_urlauth.store.native.decode.zstd import LARGEST_WINDOW, window_size
from tests.store.native.compressing import COMPRESS, LZ4_HEAD, lz4_framed, zstd_streamed

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = tuple(COMPRESS)
MAIL = b"".join(b"line %d of %d\n" % (number, number * number) for number in range(60_000))
STORED = {name: compress(MAIL) for name, compress in COMPRESS.items()}
ADVANCE = CompressedSource._advance
SHORT = random.Random(1).randbytes(700) + b"and what repeats itself " * 40
SHORT_STORED = {name: compress(SHORT) for name, compress in COMPRESS.items()}


@pytest.fixture(params=FORMATS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is kept, so that a mail of a megabyte has all that a large one has."""
    monkeypatch.setattr(compressed_source, "KEPT", 50_000)
    monkeypatch.setattr(compressed_source, "MOST_POINTS", 4)


def opened(stored: bytes) -> CompressedSource:
    source = run_through(decompressed(BytesSource(stored), FORMATS))
    assert isinstance(source, CompressedSource)
    return source


def whole(stored: bytes) -> bytes:
    source = opened(stored)
    return source.read(0, source.size)


def test_whole(name: str) -> None:
    source = opened(STORED[name])
    assert source.size == len(MAIL)
    assert source.read(0, len(MAIL)) == MAIL
    assert source.read(0, 2 * len(MAIL)) == MAIL
    assert source.read(len(MAIL), 1) == source.read(len(MAIL) + 99, 1) == b""


def test_an_empty_mail(name: str) -> None:
    assert whole(COMPRESS[name](b"")) == b""


@pytest.mark.usefixtures("small")
def test_any_offset_in_any_order(name: str) -> None:
    source = opened(STORED[name])
    choose = random.Random(7)
    for _ in range(60):
        offset, length = choose.randrange(len(MAIL)), choose.choice((1, 100, 70_000, 300_000))
        assert source.read(offset, length) == MAIL[offset : offset + length]


@pytest.mark.usefixtures("small")
def test_reaching_is_what_takes_the_time(name: str) -> None:
    """Behind the steps a read takes the next pieces at most, wherever it is."""
    source = opened(STORED[name])
    for offset in (900_000, 200_000, 0, 500_000):
        run_through(source.reach(offset))
        with mock.patch.object(CompressedSource, "_advance", autospec=True, side_effect=ADVANCE) as seen:
            assert source.read(offset, 1000) == MAIL[offset : offset + 1000]
        assert seen.call_count <= (10 if name == "bz2" else 2)  # its blocks are 900 KB


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("copied", ["gz", "lz4"])
def test_seek_points_spare_the_way_from_the_beginning(copied: str) -> None:
    source = opened(STORED[copied])
    steps = sum(1 for _ in source.reach(500_000))
    assert 0 < steps <= 10
    assert source.read(500_000, 10) == MAIL[500_000:500_010]
    # forwards, too
    run_through(source.reach(0))
    assert sum(1 for _ in source.reach(800_000)) <= 10


def test_what_is_not_compressed_is_left_alone() -> None:
    for head in (
        b"",
        b"\x1f",
        b"BZh",
        b"BZh0",
        b"BZhu",
        b"Dovecot-LZ4",
        b"\x28\xb5\x2f",
        b"From: x\n",
        b"\xfd7zXZ",
    ):
        plain = BytesSource(head)
        assert run_through(decompressed(plain, FORMATS)) is plain
    xz = BytesSource(STORED["xz"])
    assert run_through(decompressed(xz, ("gz", "bz2", "lz4", "zstd"))) is xz


def test_every_format_is_told_apart(name: str) -> None:
    assert compression_of(STORED[name]) == name
    assert compression_of(COMPRESS[name](b"")) == name
    assert set(OPEN) == set(COMPRESS)


def test_several_members_and_frames() -> None:
    for name in ("gz", "xz", "zstd"):
        assert whole(COMPRESS[name](b"one, ") + COMPRESS[name](b"") + COMPRESS[name](b"two")) == b"one, two"
    assert whole(COMPRESS["bz2"](b"one, ") + COMPRESS["bz2"](b"two")) == b"one, "
    skipped = b"\x55\x2a\x4d\x18" + struct.pack("<I", 70_000) + bytes(70_000)
    assert whole(COMPRESS["zstd"](b"one, ") + skipped + COMPRESS["zstd"](b"two")) == b"one, two"
    assert whole(COMPRESS["xz"](b"one, ") + bytes(8) + COMPRESS["xz"](b"two") + bytes(4)) == b"one, two"
    for broken in (
        COMPRESS["gz"](b"one") + b"\0",
        COMPRESS["gz"](b"one") + b"\x1f",
        COMPRESS["xz"](b"one") + b"\0",
        COMPRESS["xz"](b"one") + b"garbage",
        COMPRESS["zstd"](b"one") + b"garbage",
        COMPRESS["zstd"](b"one") + skipped[:-1],
        COMPRESS["zstd"](b"one") + b"\x28",
    ):
        with pytest.raises(StoreFailure):
            whole(broken)
    # as in Dovecot, whose chunks have no end mark
    assert whole(COMPRESS["lz4"](b"one") + b"\0\0\0") == b"one"


def test_zstd_frames_of_every_kind() -> None:
    for size, checksum in product((True, False), repeat=2):
        for mail in (b"short", MAIL):
            stored = zstandard.ZstdCompressor(write_content_size=size, write_checksum=checksum).compress(mail)
            assert whole(stored) == mail
            with pytest.raises(StoreFailure):
                whole(stored[:-1])
    assert whole(zstandard.ZstdCompressor().compress(bytes(5_000_000))) == bytes(5_000_000)


def test_cut_at_any_byte(name: str) -> None:
    stored = SHORT_STORED[name]
    start = {"lz4": len(LZ4_HEAD), "bz2": 4, "gz": 2, "xz": 6, "zstd": 4}[name]
    for end in range(start, len(stored)):
        if name == "lz4" and (end < len(LZ4_HEAD) + 8 and end >= len(LZ4_HEAD) + 4):
            assert whole(stored[:end]) == b""
            continue
        with pytest.raises(StoreFailure):
            whole(stored[:end])


@given(data=st.data(), name=st.sampled_from(FORMATS))
def test_garbled(data: st.DataObject, name: str) -> None:
    """Wrong bytes may be found out or not, but nothing else happens."""
    stored = bytearray(SHORT_STORED[name])
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    settled(bytes(stored[: data.draw(st.integers(0, len(stored)))]))


@given(st.sampled_from(FORMATS), st.binary(max_size=300))
def test_garbage_behind_the_mark(name: str, garbage: bytes) -> None:
    for kept in (2, 4, 6, 15, 19, 20):
        settled(SHORT_STORED[name][:kept] + garbage)


def settled(stored: bytes) -> None:
    try:
        source = run_through(decompressed(BytesSource(stored), FORMATS))
        source.read(0, source.size)
    except (StoreFailure, Unsupported):
        return


@given(st.binary(max_size=3000), st.integers(1, 1000), st.sampled_from(FORMATS), st.integers(1, 50))
def test_stored_bytes_in_pieces_of_any_size(mail: bytes, again: int, name: str, size: int) -> None:
    mail *= again % 7 + 1
    stored = COMPRESS[name](mail)
    with mock.patch.object(stream, "INPUT", size), mock.patch.object(stream.Input.take, "__defaults__", (size,)):
        assert whole(stored) == mail


def gz_bomb() -> bytes:
    return COMPRESS["gz"](bytes(80_000_000))


def zstd_bomb() -> bytes:
    """A block of 4 bytes is 128 KiB."""
    block = ((128 * 1024) << 3 | 1 << 1).to_bytes(3, "little") + b"x"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * 2000


def lz4_bomb() -> bytes:
    return lz4_framed(bytes(80 * 1024 * 1024), 1024 * 1024)


@pytest.mark.parametrize("bomb", [gz_bomb, zstd_bomb])
def test_a_bomb_is_stopped(bomb: Callable[[], bytes]) -> None:
    with pytest.raises(StoreFailure, match="has more than 67108864 bytes"):
        opened(bomb())


def test_a_ratio_is_only_held_against_large_mails() -> None:
    assert opened(COMPRESS["gz"](bytes(60_000_000))).size == 60_000_000
    source = opened(lz4_bomb())
    assert source.size == 80 * 1024 * 1024


def test_one_call_never_gives_much() -> None:
    """What a step is, whatever the stored bytes say."""
    for stored in (gz_bomb(), zstd_bomb(), COMPRESS["bz2"](bytes(9_000_000)), COMPRESS["xz"](bytes(9_000_000))):
        opener = OPEN[compression_of(stored)](BytesSource(stored))
        for _ in range(30):
            piece = opener.read()
            assert piece is not None
            assert len(piece) <= 2 * 128 * 1024


def test_many_empty_pieces_are_many_steps() -> None:
    for stored, least in (
        (COMPRESS["gz"](b"") * 50_000, 20),
        (zstandard.ZstdCompressor().compress(b"") * 50_000, 500),
        (lz4_framed(b"") + (b"\0\0\0\x01\0") * 50_000, 500),
    ):
        steps = decompressed(BytesSource(stored), FORMATS)
        assert sum(1 for _ in steps) >= least


@pytest.mark.usefixtures("small")
def test_a_mail_is_not_decompressed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed_source, "PASSES", 5)
    source = opened(STORED["bz2"])

    def read_to_and_fro() -> None:
        for turn in range(60):
            source.read(0 if turn % 2 else 300_000, 1)

    with pytest.raises(StoreFailure, match="too often"):
        read_to_and_fro()


def test_a_window_that_is_too_large_is_left_to_the_engine() -> None:
    assert window_size(0x58) == 2 * 1024 * 1024
    assert window_size(0xFF) == (1 << 41) + 7 * (1 << 38)
    head = b"\x28\xb5\x2f\xfd\x00" + bytes(((LARGEST_WINDOW - 9) << 3,)) + b"\x01\0\0"
    with pytest.raises(Unsupported, match="window"):
        opened(head)


@pytest.mark.parametrize(("name", "module"), [("zstd", "zstandard"), ("lz4", "lz4.block")])
def test_an_absent_library(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(Unsupported, match=module.partition(".")[0]):
        opened(STORED[name])


def test_python_3_14s_own_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module has zstandard's ways but for these names."""

    class Parameter:
        window_log_max = 100

    class Decompressor:
        def __init__(self, options: dict[int, int]) -> None:
            assert options == {100: LARGEST_WINDOW}
            self.decompress = zstandard.ZstdDecompressor().decompressobj().decompress

    module = mock.Mock(
        DecompressionParameter=Parameter, ZstdDecompressor=Decompressor, ZstdError=zstandard.ZstdError
    )
    monkeypatch.setitem(sys.modules, "compression", mock.Mock(zstd=module))
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert whole(STORED["zstd"]) == MAIL
    assert whole(zstd_streamed(MAIL, 1000)) == MAIL
