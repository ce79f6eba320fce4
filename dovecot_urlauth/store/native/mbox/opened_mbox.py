"""One mailbox of an mbox storage, held open from one URL to the next.

index/mbox/mbox-mail.c (mbox_mail_seek): lock the file, read the index anew, and if the file's size and time are
those that the index knows, believe its offsets; where Dovecot would look through the file first, it is asked.
"""

from __future__ import annotations

from stat import S_ISDIR
from struct import Struct
from struct import error as StructError

from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, Unsupported
from dovecot_urlauth.store.native.driver import Busy, Located
from dovecot_urlauth.store.native.index.index_view import IndexView
from dovecot_urlauth.store.native.mbox.mbox_mail import (
    Found,
    MboxMail,
    Stretch,
    file_status,
    file_version,
    find,
    old_end,
)
from dovecot_urlauth.store.native.mbox.read_lock import ReadLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.mbox_rules import MboxRules
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.mbox.places import MboxPlaces

EXTENSION = b"mbox"
"""The index extension (struct mbox_index_header in index/mbox/mbox-storage.h); of a message it has the offset."""
HEADER = Struct("<QIB3x16s")
OFFSET = Struct("<Q")
NO_GUID = bytes(16)

IN_MEMORY = 256 * 1024
"""Bytes of a message that is read at once, with the lock held for that long."""
REMEMBERED = 8
"""Messages whose place is remembered, with their headers."""
HEADER_REMEMBERED = 256 * 1024
"""Bytes of From_ line and header that are remembered for one message."""
COUNTED = 1000
"""Messages whose virtual size is remembered."""


@frozen
class Synced:
    """What the index knows of the file."""

    size: int
    mtime: int
    """Seconds."""
    is_dirty: bool
    """Not every message was looked at when the file had this size and time: offsets are to be checked."""
    guid: bytes


class OpenedMbox:
    """An opened mailbox of an mbox storage; a Driver."""

    def __init__(self, where: MboxPlaces, rules: MboxRules) -> None:
        """Open both directories.  Raises MailboxMissing, StoreFailure or Unsupported."""
        self._rules = rules
        self._is_closed = False
        self._state: object = None
        self._found: dict[int, Found] = {}
        """Messages that were found, as long as neither file nor index changes."""
        self._counted: dict[int, int] = {}
        """Virtual sizes of messages whose line ends were counted, for as long."""
        self._name = where.file
        try:
            self._directory = where.directory.open(is_listed=False)  # others may have their mail there too
        except FileNotFoundError:
            raise MailboxMissing("there is no such mbox file") from None
        try:
            status = self._directory.status(self._name)
            if status is None or S_ISDIR(status.st_mode):
                raise MailboxMissing("there is no such mbox file")
            self._folder = where.index.open()
            self._index = IndexView(self._folder, (EXTENSION,))
        except FileNotFoundError:
            self._directory.close()
            raise Unsupported("mailbox has no index yet") from None
        except BaseException:
            self._directory.close()
            raise

    def is_in_place(self) -> bool:
        """See Driver.is_in_place; the file itself is opened for each message."""
        return self._directory.is_in_place() and self._folder.is_in_place()

    def refresh(self) -> int:
        """See Driver.refresh."""
        self._index.refresh()
        if not self._index.uid_validity:
            raise Unsupported("mailbox was never opened")
        return self._index.uid_validity

    @property
    def uid_validity(self) -> int:
        """See Driver.uid_validity."""
        return self._index.uid_validity

    def guid(self) -> bytes:
        """See Driver.guid."""
        return self._synced().guid.hex().encode()

    def locate(self, uid: int) -> Located:
        """See Driver.locate.  Raises Busy as well."""
        if not self._index.has(uid):
            raise ReadFailed("Message not found")
        try:
            file = self._directory.file(self._name)
        except FileNotFoundError:
            raise MailboxMissing("there is no such mbox file") from None
        lock = ReadLock(file, self._rules)
        try:
            lock.take()
            found = self._find(file, uid)
            identity = self._identity()
            mail = MboxMail(file, lock, found, lambda: self._find_again(file, uid, found, identity))
            if mail.size > IN_MEMORY:
                return self._located(mail, file, uid)
            content = mail.read(0, mail.size)
        except BaseException:
            file.close()
            raise
        file.close()
        return Located(BytesSource(content), file, is_encoded=False)

    def _located(self, mail: MboxMail, file: FileSource, uid: int) -> Located:
        """A message that is read from the file; once its line ends are counted, the next reader need not."""
        counted = self._counted

        def remember(size: int) -> None:
            if len(counted) < COUNTED:
                counted[uid] = size

        noted = counted.get(uid)
        return Located(mail, file, mail.size, noted, is_encoded=False, lock=mail, counted=remember)

    def close(self) -> None:
        """Close both directories; a message that is being read stays open."""
        self._is_closed = True
        self._directory.close()
        self._index.close()

    def _synced(self) -> Synced:
        try:
            size, mtime, dirty, guid = HEADER.unpack_from(self._index.extension_header(EXTENSION))
        except StructError:
            raise Unsupported("index has nothing about the mbox file") from None
        if guid == NO_GUID:
            raise Unsupported("mailbox has no GUID yet")
        return Synced(size, mtime, bool(dirty), guid)

    def _find(self, file: FileSource, uid: int) -> Found:
        """The message, while ``file`` is locked.  Raises Busy, Unsupported, ReadFailed or StoreFailure."""
        if not self._is_named(file):
            raise Busy("mbox file was replaced", self._rules.lock_seconds)
        self._index.refresh()
        if not self._index.has(uid):
            raise ReadFailed("Message not found")
        state = (file_version(file), self._index.version)
        if state != self._state:
            self._found, self._counted, self._state = {}, {}, state
        found = self._found.get(uid)
        if found is None:
            where = self._where(file, uid)
            if where is None:
                raise Unsupported("mbox file is not the one that the index knows")
            found = find(file, where, self._rules)
            if len(found.stored) <= HEADER_REMEMBERED and len(self._found) < REMEMBERED:
                self._found[uid] = found
        return found

    def _identity(self) -> tuple[int, bytes]:
        """What a mailbox keeps as long as its UIDs mean the same."""
        return self._index.uid_validity, self._synced().guid

    def _find_again(self, file: FileSource, uid: int, before: Found, identity: tuple[int, bytes]) -> Found | None:
        """The same for a message that was at ``before``, after a change; None when it is not there any more.

        Whatever has its UID in a mailbox of another ``identity`` is another message.
        """
        where = None
        if not self._is_closed:
            self._index.refresh()
            if self._is_named(file):
                if not self._index.has(uid) or self._identity() != identity:
                    return None
                where = self._where(file, uid)
        if where is not None:
            return find(file, where, self._rules)
        # A new file has taken the name, or nobody else has asked for this mailbox for long.
        found = find(file, before.where_it_was(file_status(file).st_size), self._rules)
        return found if found.stored == before.stored else None

    def _where(self, file: FileSource, uid: int) -> Stretch | None:
        """Where the index has a message of ``file``; None when it does not know the file.

        A file that has grown behind a From_ line where it ended before is known: somebody has delivered mail.  To
        that Dovecot would give UIDs first, which changes nothing for a message that says its own.
        """
        synced, status = self._synced(), file_status(file)
        has_grown = status.st_size > synced.size
        if not has_grown and (synced.size, synced.mtime) != (status.st_size, int(status.st_mtime)):
            return None
        after = self._index.uid_after(uid)
        end = synced.size if after is None else self._offset(after)
        if has_grown:
            grown_from = old_end(file, synced.size)
            end = grown_from if after is None else end
        is_last = after is None and not has_grown
        return Stretch(self._offset(uid), end, uid, is_last, synced.is_dirty or has_grown)

    def _is_named(self, file: FileSource) -> bool:
        """Whether the mailbox's name leads to ``file``."""
        status = self._directory.status(self._name)
        return status is not None and file.is_file(status)

    def _offset(self, uid: int) -> int:
        try:
            offset: int = OFFSET.unpack_from(self._index.extension_record(EXTENSION, uid))[0]
        except StructError:
            raise Unsupported("index has no offset of the message") from None
        return offset
