"""``dovecot-uidlist``: which maildir file has which UID, and the mailbox's GUID.

Matches index/maildir/maildir-uidlist.c, versions 3 and 1.  A header line, then one line a message in ascending
order of UIDs; new mails are appended, so the order holds for the whole file and a line can be found by bisecting
over byte offsets.  A file that breaks its own order is read line by line; Dovecot would write it anew.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import StoreFailure, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.file_source import FileSource

UIDLIST_NAME = b"dovecot-uidlist"
GUID_SIZE = 32
"""Hexadecimal digits of a GUID."""

LINE_LIMIT = 8192
"""Bytes; a file name has at most 255, the keys before it some more."""
BLOCK = 64 * 1024
LIMIT_SCAN = 256 * 1024 * 1024
"""Bytes that are read line by line: millions of mails, a second of work."""

DIGITS = b"0123456789"


@frozen
class UidlistHeader:
    """The first line."""

    version: int
    uid_validity: int
    guid: bytes | None
    """The mailbox GUID in 32 hexadecimal digits."""
    size: int
    """Bytes of the line with its LF."""


@frozen
class UidlistEntry:
    """One message's line."""

    uid: int
    name: bytes
    """A file name, usually without the flags."""
    physical_size: int | None
    virtual_size: int | None


class Uidlist:
    """One version of the file.  Raises Unsupported when its header is none that we understand."""

    def __init__(self, file: FileSource) -> None:
        self._file = file
        line, end, _ = file.read(0, LINE_LIMIT).partition(b"\n")
        if not end:
            raise Unsupported("dovecot-uidlist has no header")
        self.header = parse_header(line)
        self._last: UidlistEntry | None = None

    def find(self, uid: int) -> UidlistEntry | None:
        """The entry of ``uid``, None when there is none.  Raises StoreFailure for a line that cannot be read."""
        if self._last is None or self._last.uid != uid:
            self._last = self._find(uid)
        return self._last

    def _find(self, uid: int) -> UidlistEntry | None:
        try:
            line = self._bisect(uid)
        except OrderBroken:
            line = None
        if line is None:
            # Not there, which is rare for a UID that the index has; or the order misled us.
            if self._file.size > LIMIT_SCAN:
                raise StoreFailure("dovecot-uidlist is very long")
            line = self._scan(uid, self.header.size, self._file.size)
        return None if line is None else parse_entry(line, self.header.version)

    def _bisect(self, uid: int) -> bytes | None:
        low, high = self.header.size, self._file.size
        low_uid, high_uid = 0, 1 << 32
        while high - low > LINE_LIMIT:
            middle = (low + high) // 2
            start, line = self._line_after(middle)
            if start >= high:
                high = middle  # one long line reaches from the middle to the end
                continue
            found = leading_number(line)
            if not low_uid < found < high_uid:
                raise OrderBroken
            if found == uid:
                return line
            if found < uid:
                low, low_uid = start + len(line) + 1, found
            else:
                high, high_uid = start, found
        return self._scan(uid, low, high)

    def _line_after(self, offset: int) -> tuple[int, bytes]:
        """Start and text of the first line that starts behind ``offset``."""
        data = self._file.read(offset, 2 * LINE_LIMIT)
        start = data.find(b"\n") + 1
        end = data.find(b"\n", start)
        if not start or start > LINE_LIMIT:
            raise OrderBroken
        if end < 0:
            if offset + len(data) < self._file.size:
                raise OrderBroken
            return self._file.size, b""  # the last line is still being written
        return offset + start, data[start:end]

    def _scan(self, uid: int, offset: int, end: int) -> bytes | None:
        """The line of ``uid`` that starts at or after ``offset`` and before ``end``."""
        wanted = b"\n%d " % uid
        held = b"\n"
        while True:
            data = self._file.read(offset, min(BLOCK, end - offset)) if offset < end else b""
            if not data:
                return None
            offset += len(data)
            data = held + data
            at = data.find(wanted)
            if at >= 0:
                rest = data[at + 1 :] + self._file.read(offset, LINE_LIMIT)
                # a longer line is none, wherever the blocks end
                line, newline, _ = rest[:LINE_LIMIT].partition(b"\n")
                return line if newline else None
            held = data[-len(wanted) :]


class OrderBroken(Exception):
    """The file's UIDs do not ascend, or a line has no end: bisecting is no use."""


def leading_number(line: bytes) -> int:
    """The decimal number that ``line`` starts with, 0 when there is none (or one beyond 32 bits)."""
    digits = line[: len(line) - len(line.lstrip(DIGITS))]
    return int(digits) if 0 < len(digits) <= 10 else 0


def parse_header(line: bytes) -> UidlistHeader:
    """``3 V<uidvalidity> N<next uid> G<guid> ...`` or ``1 <uidvalidity> <next uid>``.  Raises Unsupported."""
    version, *words = line.split(b" ")
    guid = None
    if version == b"3":
        keys = {word[:1]: word[1:] for word in words}
        uid_validity = leading_number(keys.get(b"V", b""))
        text = keys.get(b"G", b"")
        if len(text) == GUID_SIZE and not text.strip(b"0123456789abcdefABCDEF"):
            guid = text.lower()
    elif version == b"1" and len(words) >= 2:
        uid_validity = leading_number(words[0])
    else:
        raise Unsupported("dovecot-uidlist has an unknown version")
    if not uid_validity:
        raise Unsupported("dovecot-uidlist has a broken header")
    return UidlistHeader(int(version), uid_validity, guid, len(line) + 1)


def parse_entry(line: bytes, version: int) -> UidlistEntry:
    """``<uid> [<key><value> ...]:<file name>`` or ``<uid> <file name>``.  Raises StoreFailure."""
    _, space, rest = line.partition(b" ")
    if not space:
        raise StoreFailure("dovecot-uidlist has a line without a file name")
    keys: list[bytes] = []
    name = rest.lstrip(b" ")
    if version == 3:
        before, colon, name = (b" " + rest).partition(b" :")
        keys = before.split()
        if not colon:
            raise StoreFailure("dovecot-uidlist has a line without a file name")
    name = name.removesuffix(b"\r")
    if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
        raise StoreFailure("dovecot-uidlist has a broken file name")
    sizes = {key[:1]: key[1:] for key in keys}
    return UidlistEntry(leading_number(line), name, _size(sizes.get(b"S")), _size(sizes.get(b"W")))


def _size(text: bytes | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) < 19 else None
