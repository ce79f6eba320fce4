"""Any bytes that begin as a compression decode to what its own library says, or to an error of the store's."""

from __future__ import annotations

import bz2
import gzip
import lzma

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.store.native.decode.compression import decompressed

FORMATS = ("gz", "bz2", "xz", "lz4", "zstd")
LIBRARIES = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\0": lzma.decompress}
MAIL = b"Subject: a\r\n\r\n" + b"a line\r\n" * 20


def seeds() -> list[bytes]:
    return [
        gzip.compress(MAIL, mtime=0),
        bz2.compress(MAIL),
        lzma.compress(MAIL),
        gzip.compress(MAIL, mtime=0) * 2,
        b"Dovecot-LZ4\x0d\x2a\x9b\xc5\0\1\0\0" + b"\0\0\0\x05\x40abcd",
        b"\x28\xb5\x2f\xfd\x20\x04\x21\0\0abcd",
        MAIL,
    ]


def check(data: bytes) -> None:
    try:
        source = run_through(decompressed(BytesSource(data), FORMATS))
        content = source.read(0, source.size)
    except (StoreError, MessageError):
        return
    assert len(content) == source.size
    assert source.read(source.size // 2, 7) == content[source.size // 2 :][:7]
    for magic, decompress in LIBRARIES.items():
        if data.startswith(magic) and content != data:
            try:
                expected = decompress(data)
            except (OSError, EOFError, ValueError, lzma.LZMAError, ArithmeticError):
                continue
            except Exception as error:
                if type(error).__name__ == "error":  # zlib's
                    continue
                raise
            assert content == expected
