"""Mails as the zlib and mail_compress plugins store them, made from the formats' descriptions."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from typing import TYPE_CHECKING

import lz4.block
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

LZ4_HEAD = b"Dovecot-LZ4\x0d\x2a\x9b\xc5"


def lz4_framed(mail: bytes, chunk: int = 64 * 1024) -> bytes:
    """Dovecot's own framing of LZ4 blocks."""
    stored = LZ4_HEAD + struct.pack(">I", chunk)
    for start in range(0, len(mail), chunk):
        block = lz4.block.compress(mail[start : start + chunk], store_size=False)
        stored += struct.pack(">I", len(block)) + block
    return stored


def zstd_streamed(mail: bytes, piece: int = 64 * 1024) -> bytes:
    """One frame of many blocks, without a content size, as a stream gives it."""
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    pieces = [compressor.compress(mail[start : start + piece]) for start in range(0, len(mail), piece)]
    return b"".join(pieces) + compressor.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4_framed,
    "zstd": zstd_streamed,
}
"""By the names of zlib_save and mail_compress_write_method."""
