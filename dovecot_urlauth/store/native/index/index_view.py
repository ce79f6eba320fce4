"""A mailbox's index as it is on disk now: the main file with the transaction log played on top.

Matches lib-index: mail-transaction-log-view.c for which log files follow the main file.  Only what a reader of
mails needs is played: which UIDs exist, their flags and keywords (they are part of a maildir file's name), the
mailbox's UIDVALIDITY, and the extensions that a format asks for.  No lock is taken, as in Dovecot; when a
rotation happens between two opens, the files do not fit and are opened once more.
"""

from __future__ import annotations

from struct import error as StructError

from dovecot_urlauth.store.errors import MailboxMissing, Unsupported
from dovecot_urlauth.store.native.file_source import version
from dovecot_urlauth.store.native.files import close_all
from dovecot_urlauth.store.native.index import keywords
from dovecot_urlauth.store.native.index.changes import Changes
from dovecot_urlauth.store.native.index.main_index import RECORD, MainIndex
from dovecot_urlauth.store.native.index.transaction_log import LogHeader, play_records, read_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.files import Directory
    from dovecot_urlauth.store.native.index.extensions import Extensions

INDEX_NAME = b"dovecot.index"
LOG_SUFFIX = b".log"
OLD_LOG_SUFFIX = b".log.2"

ATTEMPTS = 3
LIMIT_KNOWN = 1000
"""Answers that are remembered until the index changes."""
LIMIT_GONE = 10_000
"""Expunged messages that are stepped over on the way to the next one."""


class IndexView:
    """The index in ``directory``; :meth:`refresh` follows what Dovecot writes meanwhile.

    ``uid_validity`` is 0 as long as nobody has opened the mailbox.  Raises Unsupported when there is no index,
    or none that we understand, and MailboxMissing when the index says that the mailbox was deleted.
    """

    def __init__(self, directory: Directory, extensions: tuple[bytes, ...] = (), name: bytes = INDEX_NAME) -> None:
        """Keeps ``directory``, closes it with itself; nothing is read before the first :meth:`refresh`.

        ``extensions`` are the names of those that will be asked for, ``name`` is the main file's.
        """
        self._directory = directory
        self._wanted = extensions
        self._name = name
        self._log_name = name + LOG_SUFFIX
        self._main: FileSource | None = None
        self._log: FileSource | None = None
        self._version: tuple[object, object] | None = None
        self._header: LogHeader | None = None
        self._end: int | None = None
        """Where the log is played to, if it can be played on from there."""
        self._index: MainIndex | None = None
        self._changes = Changes()
        self._last: tuple[int, bytes | None] = (0, None)
        """The UID that was asked for last, and its record."""
        self._known_flags: dict[int, int | None] = {}
        self._known_records: dict[tuple[bytes, int], bytes] = {}

    @property
    def uid_validity(self) -> int:
        """UIDVALIDITY of the mailbox (RFC 3501 section 2.3.1.1)."""
        return self._changes.uid_validity

    @property
    def version(self) -> object:
        """What changes with every write to the index, as far as :meth:`refresh` has seen it."""
        return self._version

    def flags(self, uid: int) -> int | None:
        """The flag byte of message ``uid``; None when there is no such message."""
        known = self._known_flags
        if uid not in known:
            if len(known) >= LIMIT_KNOWN:
                known.clear()
            record = self._record(uid)
            known[uid] = self._changes.play(uid, None if record is None else int(RECORD.unpack_from(record)[1]))
        return known[uid]

    def keywords(self, uid: int) -> set[bytes]:
        """The names of the keywords of message ``uid``."""
        record = self._record(uid)
        before = set() if record is None or self._index is None else keywords.in_record(self._index, record)
        return self._changes.play_keywords(uid, before)

    def has(self, uid: int) -> bool:
        """Whether there is a message ``uid``."""
        return self.flags(uid) is not None

    def uid_after(self, uid: int) -> int | None:
        """The UID of the message that follows ``uid``; None when there is no more.

        Raises Unsupported when too many in between were expunged since the main file was written.
        """
        for _ in range(LIMIT_GONE):
            in_main = None if self._index is None else self._index.uid_after(uid)
            candidates = [each for each in (in_main, self._changes.uid_after(uid)) if each is not None]
            if not candidates:
                return None
            uid = min(candidates)
            if self.has(uid):
                return uid
        raise Unsupported("index has very many expunged messages")

    def extension_header(self, name: bytes) -> bytes:
        """The header of the extension ``name``, which was asked for; empty when the index has none."""
        extensions = self._changes.extensions
        return b"" if extensions is None else extensions.header(name)

    def extension_record(self, name: bytes, uid: int) -> bytes:
        """What the extension ``name`` has for message ``uid``; empty when it has nothing."""
        extensions, known = self._changes.extensions, self._known_records
        if extensions is None:
            return b""
        if (name, uid) not in known:
            if len(known) >= LIMIT_KNOWN:
                known.clear()
            known[name, uid] = extensions.record(name, uid, self._record(uid))
        return known[name, uid]

    def refresh(self) -> None:
        """Take over what has been written since; costs two lstat() when nothing has."""
        version = self._stat()
        if version != self._version:
            self._known_flags.clear()
            self._known_records.clear()
            is_same_main = self._version is not None and version[0] == self._version[0]
            if not (is_same_main and self._play_appended()):
                self._load_anew()
            self._version = version
        if self._changes.deleted:
            raise MailboxMissing("index is marked deleted")

    def close(self) -> None:
        """Close the directory and all files."""
        self._close_files()
        self._directory.close()

    def _record(self, uid: int) -> bytes | None:
        if self._index is None:
            return None
        if uid != self._last[0]:
            self._last = (uid, self._index.record(uid))
        return self._last[1]

    def _stat(self) -> tuple[object, object]:
        """The versions of the main file and of the log."""
        main, log = self._directory.status(self._name), self._directory.status(self._log_name)
        return main and version(main), log and version(log)

    def _close_files(self) -> None:
        close_all((self._main, self._log))
        self._main = self._log = None

    def _play_appended(self) -> bool:
        """Play what was appended to the log, if nothing else can have happened to it."""
        log, end, self._end = self._log, self._end, None
        if log is None or end is None or not self._is_in_place(log):
            return False
        log.grow()
        if log.size < end or read_header(log) != self._header:
            return False
        self._play(log, end)
        return True

    def _is_in_place(self, log: FileSource) -> bool:
        status = self._directory.status(self._log_name)
        return status is not None and log.is_file(status)

    def _load_anew(self) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self._load()
                break
            except RotatedMeanwhile:
                if attempt == ATTEMPTS - 1:
                    raise

    def _load(self) -> None:
        self._close_files()
        self._end = None
        self._last = (0, None)
        try:
            self._log = self._directory.file(self._log_name)
        except FileNotFoundError:
            raise Unsupported("mailbox has no index yet") from None
        try:
            self._main = self._directory.file(self._name)
        except FileNotFoundError:
            self._main = None
        self._index = None if self._main is None else MainIndex(self._main)
        self._header = header = read_header(self._log)
        self._changes = Changes(extensions=self._extensions(None))
        self._replay(self._log, header)

    def _extensions(self, index: MainIndex | None) -> Extensions | None:
        if not self._wanted:
            return None
        from dovecot_urlauth.store.native.index.extensions import Extensions

        return Extensions(self._wanted, () if index is None else index.extensions())

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
        self._changes = Changes(index.uid_validity, index.next_uid, self._extensions(index))
        if index.log_sequence == header.sequence:
            self._play(log, max(index.log_offset, header.size))
        elif (header.previous_sequence, header.previous_offset) == (index.log_sequence, index.log_offset):
            self._play(log, header.size)
        else:
            self._play_old_log(index, header)
            self._play(log, header.size)

    def _play_old_log(self, index: MainIndex, newer: LogHeader) -> None:
        try:
            old = self._directory.file(self._name + OLD_LOG_SUFFIX)
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
        try:
            self._end = play_records(log, offset, self._changes.players())
        except StructError:
            raise Unsupported("transaction log has a broken record") from None


class RotatedMeanwhile(Unsupported):
    """The files were opened while Dovecot was replacing them, or one of them is lost."""
