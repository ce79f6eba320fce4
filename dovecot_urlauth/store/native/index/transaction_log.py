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
from dovecot_urlauth.store.native.index.shape import LARGEST, MOST_LEARNED, Record, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.index.shape import Player

HEADER = Struct("<BBHIIII")
"""major, minor, header size, index id, file sequence, previous sequence, previous offset."""
RECORD_HEADER = Struct("<II")
"""The size as it is written (see decode_size), and the type with its flags."""
BOUNDARY_SIZE = Struct("<I")
PIECE_SIZE = 4
"""Bytes in front of a patched piece of the header that say which it is."""

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

UPDATES = (EXT_RECORD_UPDATE, EXT_HEADER_UPDATE, EXT_HEADER_UPDATE32)
"""What is said of the extension that an introduction has named."""

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


SHORT = {0x80808080 | units << 24: units << 2 for units in range(1, 128)}
"""The sizes of nearly all records, by their fields."""


def play_records(file: FileSource, offset: int, players: Mapping[int, Player]) -> int:
    """Give each complete record from ``offset`` to the player of its type: type with flags, and data.

    The player of EXT_INTRO returns whether nobody will ever want the UPDATES of what it was given; that of
    HEADER_UPDATE whether it is one piece of the header that nobody wants to know.  Returns the
    end of the last record that had a player, and stops before a transaction that is not complete.  Raises
    Unsupported for a log that is too long or broken, and what players raise.
    """
    if offset > file.size:
        raise Unsupported("transaction log is shorter than the index says")
    if file.size - offset > LIMIT_LOG:
        raise Unsupported("transaction log is very long")
    return offset + _play(file.read(offset, file.size - offset), players)


def _play(data: bytes, players: Mapping[int, Player]) -> int:
    unpack, head, available = RECORD_HEADER.unpack_from, RECORD_HEADER.size, len(data)
    size_of, player_of = SHORT.get, players.get
    shapes: dict[int, Shape] = {}
    learned, start, stop = 0, 0, 0
    records: list[Record] = []
    """Those of the transaction that begins at ``start`` and ends at ``stop``."""
    ignored: tuple[int, ...] = ()
    at, last, played = 0, available - head, 0
    while at <= last:
        field, kind = unpack(data, at)
        size = size_of(field) or decode_size(field)
        end = at + size
        if not size or end > available:
            break
        if size < head:
            raise Unsupported("transaction log has a broken record")
        what = kind & TYPE_MASK
        player, is_idle = None, False
        if what in ignored:
            played = end
        elif what == BOUNDARY:
            if size < head + BOUNDARY_SIZE.size:
                raise Unsupported("transaction log has a broken boundary")
            whole = BOUNDARY_SIZE.unpack_from(data, at + head)[0]
            if whole > available - at:
                break
            ignored = ()  # what one transaction ends with is not part of the next one's shape
            shape = shapes.get(whole)
            if shape is not None and shape.play(data[at : at + whole]):
                played = at + shape.played if shape.played else played
                at += whole
                continue
            is_learned = whole <= LARGEST and learned < MOST_LEARNED
            start, stop, records = at, at + whole if is_learned else 0, []
        else:
            player = player_of(what)
            if player is not None:
                is_idle = bool(player(kind, data[at + head : end]))
                played = end
                if what == EXT_INTRO:
                    ignored = UPDATES if is_idle else ()
        if at < stop:
            fixed = end if what in (EXT_INTRO, BOUNDARY) else at + head
            if is_idle and what == HEADER_UPDATE:
                player, fixed = None, fixed + PIECE_SIZE
            records.append(Record(at, fixed, end, kind, player, what == EXT_INTRO, is_idle))
            if end == stop:
                shapes[stop - start] = Shape(data, start, stop, records, head, max(played, start))
                learned += 1
        at = end
    return played
