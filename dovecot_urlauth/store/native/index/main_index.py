"""The main index file ``dovecot.index``: which messages a mailbox has, and what was said of each.

Matches lib-index/mail-index.h: a header, extension headers, then one record a message in ascending order of
UIDs.  The file is replaced by rename and never changed in place in a way that matters here, and it lags behind
the transaction log.  A record is found by bisecting with ``pread``, so a mailbox's size does not matter.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.store.native.file_source import FileSource

MAJOR_VERSION = 7
BASE_HEADER_SIZE = 120
LITTLE_ENDIAN = 0x01
FLAG_CORRUPTED = 0x01

HEADER = Struct("<BBHIIB3xIIIII")
"""major, minor, base size, header size, record size, compat, index id, flags, uid_validity, next_uid, messages."""
LOG_POSITION = Struct("<III")
"""log file sequence, tail offset, head offset; at byte 60."""
LOG_POSITION_OFFSET = 60
RECORD = Struct("<IB")
EXTENSION = Struct("<IIHHHH")
"""data size, reset id, record offset, record size, record align, name length."""

SMALL = 16 * 1024
"""Bytes of a file that is read at once, which takes no longer than reading some record of it."""
LIMIT_HEADER = 1024 * 1024
"""Bytes of header and extension headers; Dovecot's own are some hundred."""


@frozen
class MainExtension:
    """What a mail format keeps in the file beside UIDs and flags."""

    name: bytes
    reset_id: int
    header: bytes
    record_offset: int
    """Where its piece of each record starts; it has ``record_size`` bytes."""
    record_size: int


class MainIndex:
    """One version of ``dovecot.index``.  Raises Unsupported when the file is none that we understand."""

    __slots__ = (
        "_base_size",
        "_data",
        "_file",
        "_header_size",
        "_record_size",
        "index_id",
        "log_offset",
        "log_sequence",
        "messages",
        "next_uid",
        "uid_validity",
    )

    def __init__(self, file: FileSource) -> None:
        self._file = file
        self._data = file.read(0, file.size) if file.size <= SMALL else b""
        """All of a file that is small."""
        head = self._read(0, BASE_HEADER_SIZE)
        try:
            major, _, base_size, header_size, record_size, compat, index_id, flags, *counters = HEADER.unpack_from(
                head
            )
            self.log_sequence, _, self.log_offset = LOG_POSITION.unpack_from(head, LOG_POSITION_OFFSET)
        except StructError:
            raise Unsupported("index file is too short") from None
        if major != MAJOR_VERSION or compat != LITTLE_ENDIAN or base_size < BASE_HEADER_SIZE:
            raise Unsupported(f"index file has version {major}, compatibility flags {compat}")
        if flags & FLAG_CORRUPTED or not index_id:
            raise Unsupported("index file is marked corrupted")
        if not (base_size <= header_size <= LIMIT_HEADER and record_size >= RECORD.size):
            raise Unsupported("index file has a broken header")
        self.uid_validity, self.next_uid, self.messages = counters
        if header_size + self.messages * record_size > file.size:
            raise Unsupported("index file is truncated")
        self.index_id: int = index_id
        self._header_size: int = header_size
        self._record_size: int = record_size
        self._base_size: int = base_size

    def record(self, uid: int) -> bytes | None:
        """The whole record of ``uid``, None when there is none.  Raises Unsupported when UIDs do not ascend."""
        return self._bisect(uid)[1]

    def uid_after(self, uid: int) -> int | None:
        """The UID of the record that follows ``uid``'s place; None behind the last.  Raises Unsupported."""
        position, record = self._bisect(uid)
        if record is not None:
            position += 1
        if position >= self.messages:
            return None
        found: int = RECORD.unpack_from(self._at(position))[0]
        if found <= uid:
            raise Unsupported("index file's UIDs do not ascend")
        return found

    def _bisect(self, uid: int) -> tuple[int, bytes | None]:
        """Where the record of ``uid`` is or would be, and the record."""
        low, high = 0, self.messages
        low_uid, high_uid = 0, 1 << 32
        while low < high:
            middle = (low + high) // 2
            record = self._at(middle)
            found: int = RECORD.unpack_from(record)[0]
            if not low_uid < found < high_uid:
                raise Unsupported("index file's UIDs do not ascend")
            if found == uid:
                return middle, record
            if found < uid:
                low, low_uid = middle + 1, found
            else:
                high, high_uid = middle, found
        return low, None

    def _at(self, position: int) -> bytes:
        record = self._read(self._header_size + position * self._record_size, self._record_size)
        if len(record) < self._record_size:
            raise Unsupported("index file was truncated")
        return record

    def _read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length] if self._data else self._file.read(offset, length)

    def extensions(self) -> Iterator[MainExtension]:
        """All extensions, in the order of the file, up to the first that leaves the header."""
        headers = self._read(0, self._header_size)
        at = _aligned(self._base_size)
        while at + EXTENSION.size <= len(headers):
            data_size, reset_id, record_offset, record_size, _, name_size = EXTENSION.unpack_from(headers, at)
            data_at = _aligned(at + EXTENSION.size + name_size)
            name = headers[at + EXTENSION.size : at + EXTENSION.size + name_size]
            at = _aligned(data_at + data_size)
            yield MainExtension(name, reset_id, headers[data_at : data_at + data_size], record_offset, record_size)

    def extension(self, name: bytes) -> MainExtension | None:
        """The extension ``name``; None when there is none."""
        for extension in self.extensions():
            if extension.name == name:
                return extension
        return None


def _aligned(offset: int) -> int:
    return (offset + 7) & ~7
