"""The transaction log ``dovecot.index.log``: what happened to the index since its main file was written.

Matches lib-index/mail-transaction-log.h: a header, then records of {size, type, data}, only ever appended.
A record whose size field is not complete was not yet written.  After a rotation the older file is kept as
``dovecot.index.log.2``.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.store.native.file_source import FileSource

HEADER = Struct("<BBHIIII")
"""major, minor, header size, index id, file sequence, previous sequence, previous offset."""
RECORD_HEADER = Struct("<II")
"""The size as it is written (see decode_size), and the type with its flags."""
NOT_SHORT = 0x00FFFFFF
"""What a size of less than 512 bytes leaves alone in its field, but for the top bits."""
BOUNDARY_SIZE = Struct("<I")

TYPE_MASK = 0x0FFFFFFF
EXTERNAL = 0x10000000

APPEND = 0x2
EXPUNGE = 0x1 | 0xCD90
EXPUNGE_GUID = 0x2000 | 0xCD90
FLAG_UPDATE = 0x4
HEADER_UPDATE = 0x20
EXT_INTRO = 0x40
EXT_RESET = 0x80
EXT_HEADER_UPDATE = 0x100
EXT_RECORD_UPDATE = 0x200
KEYWORD_UPDATE = 0x400
KEYWORD_RESET = 0x800
EXT_ATOMIC_INC = 0x1000
EXT_HEADER_UPDATE32 = 0x10000
INDEX_DELETED = 0x20000
INDEX_UNDELETED = 0x40000
BOUNDARY = 0x80000

LIMIT_LOG = 16 * 1024 * 1024
"""Bytes of log that are replayed; Dovecot rotates at 1 MiB unless one transaction is larger."""


@frozen
class LogHeader:
    """The file's place in the sequence of logs."""

    size: int
    index_id: int
    sequence: int
    previous_sequence: int
    """0 when the index was made, or made anew, together with this file."""
    previous_offset: int


def read_header(file: FileSource) -> LogHeader:
    """The header of a log file.  Raises Unsupported when it is marked corrupt, or none that we understand."""
    try:
        major, _, size, index_id, sequence, previous, offset = HEADER.unpack_from(file.read(0, HEADER.size))
    except StructError:
        raise Unsupported("transaction log is too short") from None
    if major != 1 or size < HEADER.size:
        raise Unsupported(f"transaction log has version {major}")
    if not index_id:
        raise Unsupported("transaction log is marked corrupted")
    return LogHeader(size, index_id, sequence, previous, offset)


def decode_size(field: int) -> int:
    """The size in bytes from a record's first four, read as a little-endian number; 0 when not yet written.

    They are seven bits each, the highest first, under a set top bit, of the size in units of four bytes.
    """
    if field & 0x80808080 != 0x80808080:
        return 0
    units = (field & 0x7F) << 21 | (field >> 8 & 0x7F) << 14 | (field >> 16 & 0x7F) << 7 | field >> 24 & 0x7F
    return units << 2


def play_records(file: FileSource, offset: int, players: Mapping[int, Callable[[int, bytes], None]]) -> int:
    """Give each complete record from ``offset`` to the player of its type: type with flags, and data.

    Returns the end of the last one that had a player, and stops before a transaction that is not complete.  Raises
    Unsupported for a log that is too long or broken, and what players raise.
    """
    if offset > file.size:
        raise Unsupported("transaction log is shorter than the index says")
    if file.size - offset > LIMIT_LOG:
        raise Unsupported("transaction log is very long")
    data = file.read(offset, file.size - offset)
    unpack, head, available = RECORD_HEADER.unpack_from, RECORD_HEADER.size, len(data)
    player_of = players.get
    at, last, played = 0, available - head, offset
    while at <= last:
        field, kind = unpack(data, at)
        is_short = field & NOT_SHORT == 0x808080  # as nearly all are, so this is done at once
        size = (field >> 22 & 0x1FC) if is_short and field >> 31 else decode_size(field)
        end = at + size
        if not size or end > available:
            break
        if size < head:
            raise Unsupported("transaction log has a broken record")
        what = kind & TYPE_MASK
        if what == BOUNDARY:
            if size < head + BOUNDARY_SIZE.size:
                raise Unsupported("transaction log has a broken boundary")
            if BOUNDARY_SIZE.unpack_from(data, at + head)[0] > available - at:
                break
        else:
            player = player_of(what)
            if player is not None:
                player(kind, data[at + head : end])
                played = offset + end
        at = end
    return played
