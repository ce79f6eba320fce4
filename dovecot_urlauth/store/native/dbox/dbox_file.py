"""A dbox file: a header line, then messages one behind the other, each with what is noted about it.

Matches index/dbox-common/dbox-file.h and dbox-file.c, versions 1 and 2:

    2 M1e C65f2a1b0                           M the size of a message's header, C when the file was made (hex)
    \\1\\2N          00000000000004d2           mark, type, sixteen digits (hex) of the size
    the message
    \\1\\3                                      mark, behind an LF of its own
    Gb0c3...                                  a letter for what it is, then the value
    (an empty line)

What is broken is Unsupported: Dovecot repairs it, and its own imap may do so.
"""

from __future__ import annotations

from dovecot_urlauth.message.source import CHUNK, BytesSource
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.file_source import FileSlice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.store.native.file_source import FileSource

VERSIONS = (b"1", b"2")
LIMIT_LINE = 256
"""Bytes of the header line; Dovecot's own are 16."""

MARK = b"\1\2"
SIZE_OFFSET = 13
SIZE_DIGITS = 16
MESSAGE_HEADER_SIZE = SIZE_OFFSET + SIZE_DIGITS + 1
LIMIT_MESSAGE_HEADER = 1024
"""Bytes; there is space for extensions that nobody has written."""

TRAILER_MARK = b"\n\1\3\n"
TRAILER_BLOCK = 1024
"""Bytes read at first, which nearly always is enough."""
LIMIT_TRAILER = 64 * 1024
END_OF_NOTES = b"\n\n"
END_OF_TRAILER = (b"", b" ")
"""What the line starts with that ends it; the space is padding of old versions."""

HEX_DIGITS = b"0123456789abcdefABCDEF"


@frozen
class DboxMessage:
    """One message in a file, and what Dovecot noted about it when it was saved."""

    source: Source
    stored_size: int
    """The bytes of the message before it was compressed or encrypted."""
    virtual_size: int | None
    """The same with every line end CRLF."""
    attachments: bytes | None = None
    """What is noted about parts of it that are elsewhere, if any are (attachments.py)."""


def read_message(file: FileSource, offset: int, space: int = 0) -> DboxMessage:
    """The message at ``offset`` of ``file``; 0 is the first.  Raises Unsupported for whatever is not in order.

    ``space`` is what it takes in the file, if that is known.  A message that is not long is read at once.
    """
    is_short = file.size <= CHUNK
    start = file.read(0, file.size if is_short else LIMIT_LINE + LIMIT_MESSAGE_HEADER)
    line, newline, _ = start[:LIMIT_LINE].partition(b"\n")
    if not newline:
        raise Unsupported("dbox file has no header")
    header_size = parse_header(line)
    offset = offset or len(line) + 1
    piece = start[offset:]
    if len(piece) < max(header_size, space) and not is_short:
        piece = file.read(offset, max(header_size, min(space, CHUNK)))
    size = parse_message_header(piece[:header_size], header_size)
    end = header_size + size
    trailer = piece[end:]
    if END_OF_NOTES not in trailer:
        trailer = _trailer(file, offset + end)
    noted = parse_trailer(trailer)
    stored, virtual = (hexadecimal(noted[key]) if key in noted else None for key in (b"Z", b"V"))
    source: Source = FileSlice(file, offset + header_size, size)
    if end <= len(piece):
        source = BytesSource(piece[header_size:end])
    return DboxMessage(source, size if stored is None else stored, virtual, noted.get(b"X"))


def parse_header(line: bytes) -> int:
    """The size of each message's header, which a file's first line says.  Raises Unsupported."""
    version, *words = line.split(b" ")
    if version not in VERSIONS:
        raise Unsupported("dbox file has an unknown version")
    sizes = [word[1:] for word in words if word.startswith(b"M")]
    size = hexadecimal(sizes[-1] if sizes else b"")
    if not MESSAGE_HEADER_SIZE <= size <= LIMIT_MESSAGE_HEADER:
        raise Unsupported("dbox file has an unknown size of message headers")
    return size


def parse_message_header(header: bytes, size: int) -> int:
    """The size of the message behind ``header``, which must be ``size`` bytes.  Raises Unsupported."""
    if len(header) < size or not header.startswith(MARK) or header[-1:] != b"\n":
        raise Unsupported("dbox file has no message there")
    return hexadecimal(header[SIZE_OFFSET : SIZE_OFFSET + SIZE_DIGITS])


def parse_trailer(trailer: bytes) -> dict[bytes, bytes]:
    """What is noted about a message, by its letter; of one that comes twice, the first.  Raises Unsupported."""
    if not trailer.startswith(TRAILER_MARK):
        raise Unsupported("dbox file has no metadata behind the message")
    noted: dict[bytes, bytes] = {}
    *lines, _ = trailer[len(TRAILER_MARK) :].split(b"\n")
    for line in lines:
        if line[:1] in END_OF_TRAILER:
            return noted
        noted.setdefault(line[:1], line[1:])
    raise Unsupported("dbox file has metadata without an end")


def hexadecimal(digits: bytes) -> int:
    """A number of at most 64 bits.  Raises Unsupported for anything else."""
    if not 0 < len(digits) <= SIZE_DIGITS or digits.strip(HEX_DIGITS):
        raise Unsupported("dbox file has a broken number")
    return int(digits, 16)


def _trailer(file: FileSource, offset: int) -> bytes:
    """At least all of what is noted at ``offset``, unless it is very long."""
    if offset >= file.size:
        raise Unsupported("dbox file is shorter than its message")
    block = file.read(offset, TRAILER_BLOCK)
    if len(block) == TRAILER_BLOCK and END_OF_NOTES not in block:
        block += file.read(offset + TRAILER_BLOCK, LIMIT_TRAILER - TRAILER_BLOCK)
    return block
