"""A mailbox's index as it is on disk now: the main file with the transaction log played on top.

Matches lib-index: mail-transaction-log-view.c for which log files follow the main file, mail-index-sync-update.c
for what their records do.  Only what a reader of mails needs is played: which UIDs exist, their flags and keywords
(they are part of a maildir file's name) and the mailbox's UIDVALIDITY.  No lock is taken, as in Dovecot; when a
rotation happens between two opens, the files do not fit and are opened once more.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from dovecot_urlauth.store import keywords
from dovecot_urlauth.store.errors import MailboxMissing, Unsupported
from dovecot_urlauth.store.files import close_all
from dovecot_urlauth.store.index import RECORD, MainIndex
from dovecot_urlauth.store.indexlog import (
    APPEND,
    EXPUNGE,
    EXPUNGE_GUID,
    EXTERNAL,
    FLAG_UPDATE,
    HEADER_UPDATE,
    INDEX_DELETED,
    INDEX_UNDELETED,
    KEYWORD_RESET,
    KEYWORD_UPDATE,
    TYPE_MASK,
    LogHeader,
    read_header,
    read_records,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.files import Directory
    from dovecot_urlauth.store.source import FileSource

INDEX_NAME = b"dovecot.index"
LOG_NAME = b"dovecot.index.log"
OLD_LOG_NAME = b"dovecot.index.log.2"

ATTEMPTS = 3
LIMIT_EVENTS = 100_000
"""Records that are kept for playing; Dovecot's log at its largest has less than half of it."""

UID_VALIDITY_OFFSET = 24
HEADER_FIELD = Struct("<HH")
"""offset and size in front of each patched piece of the header, which is padded to 4 bytes."""
APPENDED = Struct("<IB3x")
UID_RANGE = Struct("<II")
EXPUNGED_GUID = Struct("<I16x")
FLAGS = Struct("<IIBBBx")
"""first and last UID, flags to add, flags to remove, modseq increase."""


class IndexView:
    """The index in ``directory``; :meth:`refresh` follows what Dovecot writes meanwhile.

    ``uid_validity`` is 0 as long as nobody has opened the mailbox.  Raises Unsupported when there is no index,
    or none that we understand, and MailboxMissing when the index says that the mailbox was deleted.
    """

    def __init__(self, directory: Directory) -> None:
        """Keeps ``directory``, closes it with itself; nothing is read before the first :meth:`refresh`."""
        self._directory = directory
        self._main: FileSource | None = None
        self._log: FileSource | None = None
        self._version: object = None
        self._index: MainIndex | None = None
        self._changes = Changes()

    @property
    def uid_validity(self) -> int:
        """UIDVALIDITY of the mailbox (RFC 3501 section 2.3.1.1)."""
        return self._changes.uid_validity

    def flags(self, uid: int) -> int | None:
        """The flag byte of message ``uid``; None when there is no such message."""
        record = self._record(uid)
        return self._changes.play(uid, None if record is None else int(RECORD.unpack_from(record)[1]))

    def keywords(self, uid: int) -> set[bytes]:
        """The names of the keywords of message ``uid``."""
        record = self._record(uid)
        before = set() if record is None or self._index is None else keywords.in_record(self._index, record)
        return self._changes.play_keywords(uid, before)

    def refresh(self) -> None:
        """Take over what has been written since; costs two lstat() when nothing has."""
        version = self._stat()
        if version == self._version:
            return
        for attempt in range(ATTEMPTS):
            try:
                self._load()
                break
            except RotatedMeanwhile:
                if attempt == ATTEMPTS - 1:
                    raise
        self._version = version
        if self._changes.deleted:
            raise MailboxMissing("index is marked deleted")

    def close(self) -> None:
        """Close the directory and all files."""
        self._close_files()
        self._directory.close()

    def _record(self, uid: int) -> bytes | None:
        return None if self._index is None else self._index.record(uid)

    def _stat(self) -> object:
        found = [self._directory.status(name) for name in (INDEX_NAME, LOG_NAME)]
        return [item and (item.st_dev, item.st_ino, item.st_size, item.st_mtime_ns) for item in found]

    def _close_files(self) -> None:
        close_all((self._main, self._log))
        self._main = self._log = None

    def _load(self) -> None:
        self._close_files()
        try:
            self._log = self._directory.file(LOG_NAME)
        except FileNotFoundError:
            raise Unsupported("mailbox has no index yet") from None
        try:
            self._main = self._directory.file(INDEX_NAME)
        except FileNotFoundError:
            self._main = None
        self._index = None if self._main is None else MainIndex(self._main)
        header = read_header(self._log)
        self._changes = Changes()
        try:
            self._replay(self._log, header)
        except StructError:
            raise Unsupported("transaction log has a broken record") from None

    def _replay(self, log: FileSource, header: LogHeader) -> None:
        index = self._index
        if header.previous_sequence == 0 and (index is None or header.sequence > index.log_sequence):
            self._index = None
            self._play(log, header.size)
            return
        if index is None:
            raise Unsupported("mailbox has no main index file")
        if index.index_id != header.index_id:
            raise RotatedMeanwhile("index and transaction log do not belong together")
        self._changes = Changes(index.uid_validity, index.next_uid)
        if index.log_sequence == header.sequence:
            self._play(log, max(index.log_offset, header.size))
        elif (header.previous_sequence, header.previous_offset) == (index.log_sequence, index.log_offset):
            self._play(log, header.size)
        else:
            self._play_old_log(index, header)
            self._play(log, header.size)

    def _play_old_log(self, index: MainIndex, newer: LogHeader) -> None:
        try:
            old = self._directory.file(OLD_LOG_NAME)
        except FileNotFoundError:
            raise RotatedMeanwhile("transaction log is missing") from None
        with old:
            header = read_header(old)
            if (header.index_id, header.sequence) != (index.index_id, index.log_sequence):
                raise RotatedMeanwhile("transaction logs do not reach back to the index")
            if newer.previous_sequence != header.sequence:
                raise RotatedMeanwhile("transaction logs do not follow each other")
            self._play(old, max(index.log_offset, header.size))

    def _play(self, log: FileSource, offset: int) -> None:
        for kind, data, _ in read_records(log, offset):
            self._changes.add(kind, data)


class RotatedMeanwhile(Unsupported):
    """The files were opened while Dovecot was replacing them, or one of them is lost."""


class Changes:
    """What a run of log records did to messages, kept as packed as it was read."""

    __slots__ = ("_events", "_keyword_events", "deleted", "next_uid", "uid_validity")

    def __init__(self, uid_validity: int = 0, next_uid: int = 1) -> None:
        self.uid_validity = uid_validity
        self.next_uid = next_uid
        self.deleted = False
        self._events: list[tuple[int, int, int, Struct, bytes]] = []
        self._keyword_events: list[tuple[int, bytes, bytes]] = []

    def add(self, kind: int, data: bytes) -> None:
        """Take one record: ``kind`` with its flags, and its data."""
        what = kind & TYPE_MASK
        if what == APPEND:
            self._add_appended(data)
        elif what in (EXPUNGE, EXPUNGE_GUID):
            if kind & EXTERNAL:  # otherwise it is a request that no sync has carried out yet
                self._add_event(EXPUNGE, UID_RANGE if what == EXPUNGE else EXPUNGED_GUID, data)
        elif what == FLAG_UPDATE:
            self._add_event(FLAG_UPDATE, FLAGS, data)
        elif what == KEYWORD_UPDATE:
            self._add_keyword_event(keywords.parse_update(data))
        elif what == KEYWORD_RESET:
            self._add_keyword_event((keywords.REPLACE, b"", data))
        elif what == HEADER_UPDATE:
            self._patch_header(data)
        elif what == INDEX_DELETED and kind & EXTERNAL:
            self.deleted = True
        elif what == INDEX_UNDELETED and kind & EXTERNAL:
            self.deleted = False

    def play(self, uid: int, flags: int | None) -> int | None:
        """The flags of ``uid`` after all changes, when it had ``flags`` (None: did not exist) before them."""
        for what, low, high, layout, data in self._events:
            if not low <= uid <= high:
                continue
            found = _search(layout, data, uid)
            if found is None:
                continue
            if what == APPEND:
                flags = found[1]
            elif what == EXPUNGE:
                flags = None
            elif flags is not None:
                flags = flags & ~found[3] | found[2]
        return flags

    def play_keywords(self, uid: int, names: set[bytes]) -> set[bytes]:
        """The keywords of ``uid`` after all changes, when it had ``names`` before them."""
        for what, name, ranges in self._keyword_events:
            if _search(UID_RANGE, ranges, uid) is None:
                continue
            if what == keywords.REPLACE:
                names = {name} if name else set()
            elif what == keywords.ADD:
                names = names | {name}
            else:
                names = names - {name}
        return names

    def _add_keyword_event(self, event: tuple[int, bytes, bytes] | None) -> None:
        if event is not None:
            if len(self._keyword_events) >= LIMIT_EVENTS:
                raise Unsupported("transaction log has very many records")
            self._keyword_events.append(event)

    def _add_appended(self, data: bytes) -> None:
        count = len(data) // APPENDED.size
        if not count:
            return
        last = APPENDED.unpack_from(data, (count - 1) * APPENDED.size)[0]
        if last >= self.next_uid:
            # UIDs below next_uid are in the main file already, or were and have been expunged.
            self._add_event(APPEND, APPENDED, data, self.next_uid)
            self.next_uid = last + 1

    def _add_event(self, what: int, layout: Struct, data: bytes, lowest: int = 0) -> None:
        count = len(data) // layout.size
        if count:
            if len(self._events) >= LIMIT_EVENTS:
                raise Unsupported("transaction log has very many records")
            first, last = layout.unpack_from(data), layout.unpack_from(data, (count - 1) * layout.size)
            self._events.append((what, max(first[0], lowest), _last_uid(layout, last), layout, data))

    def _patch_header(self, data: bytes) -> None:
        at = 0
        while at + HEADER_FIELD.size <= len(data):
            offset, size = HEADER_FIELD.unpack_from(data, at)
            piece = data[at + HEADER_FIELD.size : at + HEADER_FIELD.size + size]
            where = UID_VALIDITY_OFFSET - offset
            if 0 <= where and where + 4 <= len(piece):
                self.uid_validity = int.from_bytes(piece[where : where + 4], "little")
            at += HEADER_FIELD.size + (size + 3 & ~3)


def _last_uid(layout: Struct, item: tuple[int, ...]) -> int:
    return item[1] if layout is UID_RANGE or layout is FLAGS else item[0]


def _search(layout: Struct, data: bytes, uid: int) -> tuple[int, ...] | None:
    """The item of ascending packed items that has ``uid``, by bisection."""
    low, high = 0, len(data) // layout.size
    while low < high:
        middle = (low + high) // 2
        item: tuple[int, ...] = layout.unpack_from(data, middle * layout.size)
        if _last_uid(layout, item) < uid:
            low = middle + 1
        elif item[0] > uid:
            high = middle
        else:
            return item
    return None
