"""Which compression a mail's first bytes announce, as lib-compression/compression.c tells them apart."""

from __future__ import annotations

from dovecot_urlauth.store.native.decode.compressed_source import CompressedSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps
    from dovecot_urlauth.store.native.decode.measured import MeasuredMails
    from dovecot_urlauth.store.native.decode.stream import Stream

GZ_MAGIC = b"\x1f\x8b"
BZ2_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ\0"
LZ4_MAGIC = b"Dovecot-LZ4\x0d\x2a\x9b\xc5"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LONGEST_MAGIC = len(LZ4_MAGIC)


def _gz(source: Source) -> Stream:
    from dovecot_urlauth.store.native.decode.inflating import GzStream

    return GzStream(source)


def _bz2(source: Source) -> Stream:
    from dovecot_urlauth.store.native.decode.whole_streams import bz2_stream

    return bz2_stream(source)


def _xz(source: Source) -> Stream:
    from dovecot_urlauth.store.native.decode.whole_streams import xz_stream

    return xz_stream(source)


def _lz4(source: Source) -> Stream:
    from dovecot_urlauth.store.native.decode.lz4 import Lz4Stream

    return Lz4Stream(source)


def _zstd(source: Source) -> Stream:
    from dovecot_urlauth.store.native.decode.zstd import ZstdStream

    return ZstdStream(source)


OPEN: dict[str, Callable[[Source], Stream]] = {"gz": _gz, "bz2": _bz2, "xz": _xz, "lz4": _lz4, "zstd": _zstd}
"""By the names that zlib_save and mail_compress_write_method have for them."""


def compression_of(head: bytes) -> str:
    """The format of a mail that begins with ``head``; "" if it is not compressed.

    >>> compression_of(b"BZh91AY&SY"), compression_of(b"BZhu is a name")
    ('bz2', '')
    """
    if head.startswith(GZ_MAGIC):
        return "gz"
    if head.startswith(BZ2_MAGIC) and b"1" <= head[3:4] <= b"9":
        return "bz2"
    if head.startswith(XZ_MAGIC):
        return "xz"
    if head.startswith(LZ4_MAGIC):
        return "lz4"
    return "zstd" if head.startswith(ZSTD_MAGIC) else ""


def decompressed(stored: Source, formats: tuple[str, ...], measured: MeasuredMails | None = None) -> Steps[Source]:
    """The message in ``stored``, in steps; ``stored`` itself if it has none of the ``formats``.

    What is found out of it is remembered in ``measured``.  Raises StoreFailure for what cannot be decompressed,
    Unsupported when a library is missing.
    """
    name = compression_of(stored.read(0, LONGEST_MAGIC))
    if name not in formats:
        return stored
    source = CompressedSource(name, lambda: OPEN[name](stored), stored.size)
    size = None if measured is None else measured.size(stored)
    if size is not None:
        source.believe(size)
        return source
    yield from source.measure()
    if measured is not None:
        measured.keep(stored, source.size)
    return source
