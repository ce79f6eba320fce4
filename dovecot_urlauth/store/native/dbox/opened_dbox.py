"""What opened mailboxes of sdbox and mdbox have in common: a directory, an index, a GUID in the index.

Matches index/dbox-common/dbox-storage.c: a mailbox is there when its directory is; without an index it cannot be
read, and Dovecot would make one.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, Unsupported
from dovecot_urlauth.store.native.dbox.dbox_file import read_message
from dovecot_urlauth.store.native.driver import Located
from dovecot_urlauth.store.native.files import close_all
from dovecot_urlauth.store.native.index.index_view import INDEX_NAME, LOG_SUFFIX, IndexView
from dovecot_urlauth.store.native.last_mail import LastMail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.dbox.attachments import AttachmentFolder
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.files import Directory
    from dovecot_urlauth.store.native.layout import MailboxPlaces, Place

GUID_OFFSET = 4
GUID_SIZE = 16
"""In the header of both extensions, behind a number of 32 bits."""

ATTEMPTS = 3
"""How often a message is looked for that somebody moves or rebuilds meanwhile."""


class OpenedDbox:
    """An opened mailbox; ``header`` is the extension that has its GUID, ``extensions`` are the others needed."""

    def __init__(self, where: MailboxPlaces, header: bytes, extensions: tuple[bytes, ...] = ()) -> None:
        """Raises MailboxMissing, StoreFailure or Unsupported."""
        self._header = header
        self._last = LastMail()
        try:
            self.mail = where.mail.open()
        except FileNotFoundError:
            raise _without_mail(where) from None
        try:
            self._index_directory = where.index.open_beside(where.mail, self.mail)
        except FileNotFoundError:
            self.mail.close()
            raise Unsupported("mailbox has no index yet") from None
        except BaseException:
            self.mail.close()
            raise
        self.index = IndexView(self._index_directory, (header, *extensions))

    def is_in_place(self) -> bool:
        """Whether every directory still is what its name leads to."""
        if not self.mail.is_in_place():
            return False
        return self._index_directory.is_same(self.mail) or self._index_directory.is_in_place()

    def refresh(self) -> int:
        """See Driver.refresh."""
        self.index.refresh()
        if not self.index.uid_validity:
            raise Unsupported("mailbox was never opened")
        return self.index.uid_validity

    @property
    def uid_validity(self) -> int:
        """See Driver.uid_validity."""
        return self.index.uid_validity

    def guid(self) -> bytes:
        """See Driver.guid."""
        guid = self.index.extension_header(self._header)[GUID_OFFSET : GUID_OFFSET + GUID_SIZE]
        if len(guid) < GUID_SIZE or not any(guid):
            raise Unsupported("index has no GUID")
        return guid.hex().encode()

    def close(self) -> None:
        """Close every file."""
        close_all((self.mail,))
        self.index.close()

    def check_is_there(self, uid: int) -> None:
        """Raises ReadFailed when the index has no message ``uid``."""
        if not self.index.has(uid):
            raise ReadFailed("Message not found")

    def look_again(self, uid: int) -> None:
        """Look at the index anew, since ``uid`` was not where it should be.  Raises ReadFailed if it is gone."""
        self.refresh()
        if not self.index.has(uid):
            raise ReadFailed("Message was expunged")


def located(file: FileSource, offset: int, space: int = 0, attachments: AttachmentFolder | None = None) -> Located:
    """The message at ``offset`` of ``file``, which is closed otherwise.  Raises Unsupported or StoreFailure."""
    try:
        message = read_message(file, offset, space)
        if message.attachments is None:
            return Located(message.source, file, message.stored_size, message.virtual_size)
        if attachments is None:
            raise Unsupported("message has external attachments, and settings do not say where")
        from dovecot_urlauth.store.native.dbox.attachments import Attached, parse_references

        references = parse_references(message.attachments)
        attached = Attached(references, attachments, file, message.stored_size)
    except BaseException:
        file.close()
        raise
    return Located(message.source, attached, message.stored_size, message.virtual_size, complete=attached.whole)


def open_file(directory: Directory, alt: Place | None, name: bytes) -> FileSource:
    """The file ``name`` in ``directory``, or in the second storage.

    Raises FileNotFoundError when it is in neither, StoreFailure or Unsupported.
    """
    try:
        return directory.file(name)
    except FileNotFoundError:
        if alt is None:
            raise
    with alt.open() as second:
        return second.file(name)


def _without_mail(where: MailboxPlaces) -> MailboxMissing | Unsupported:
    """A mailbox whose index is elsewhere, and may be all that counts (mailbox_list_iter_from_index_dir)."""
    if where.index != where.mail:
        try:
            with where.index.open() as index:
                if index.status(INDEX_NAME + LOG_SUFFIX) is not None:
                    return Unsupported("mailbox has an index and no directory")
        except FileNotFoundError:
            pass
    return MailboxMissing("there is no such mailbox")
