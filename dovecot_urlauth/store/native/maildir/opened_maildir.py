"""One mailbox's directories and files, held open from one URL to the next.

Opening them takes longer than reading a short mail.  Before they are used again each is looked up by its name:
as long as every name still leads to what is held, nothing is different from opening it anew.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, Unsupported
from dovecot_urlauth.store.native.driver import Located
from dovecot_urlauth.store.native.file_source import version
from dovecot_urlauth.store.native.files import close_all
from dovecot_urlauth.store.native.index import keywords
from dovecot_urlauth.store.native.index.index_view import IndexView
from dovecot_urlauth.store.native.maildir.mail_files import Maildir, size_in_name
from dovecot_urlauth.store.native.maildir.uidlist import UIDLIST_NAME, Uidlist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.files import Directory
    from dovecot_urlauth.store.native.layout import MailboxPlaces


class OpenedMaildir:
    """An opened mailbox of a maildir storage; a Driver."""

    def __init__(self, where: MailboxPlaces, *, distrusts_names: bool = False) -> None:
        """Open everything; ``distrusts_names`` leaves sizes in file names alone.

        Raises MailboxMissing, StoreFailure or Unsupported.
        """
        self._uidlist_file: FileSource | None = None
        self._uidlist: Uidlist | None = None
        self._distrusts_names = distrusts_names
        self._uidlist_is_current = False
        """Whether the uidlist was looked at since the last :meth:`refresh`."""
        try:
            with where.mail.open() as mail:
                self.maildir = Maildir(mail)
        except FileNotFoundError:
            raise MailboxMissing("there is no such maildir") from None
        try:
            index = where.index.open()
        except BaseException as error:
            self.maildir.close()
            raise _without_index(error) from None
        try:
            self.control = where.control.open_beside(where.index, index)
        except BaseException as error:
            self.maildir.close()
            index.close()
            raise _without_index(error) from None
        self._index = IndexView(index)
        self._parts: tuple[Maildir | Directory, ...] = (self.maildir, self.control)
        if not index.is_same(self.control):
            self._parts += (index,)

    def is_in_place(self) -> bool:
        """Whether every directory still is what its name leads to."""
        return all(part.is_in_place() for part in self._parts)

    def refresh(self) -> int:
        """See Driver.refresh."""
        self._uidlist_is_current = False
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
        guid = self._current_uidlist().header.guid
        if guid is None:
            raise Unsupported("dovecot-uidlist has no GUID")
        return guid

    def locate(self, uid: int) -> Located:
        """See Driver.locate."""
        flags = self._index.flags(uid)
        if flags is None:
            raise ReadFailed("Message not found")
        uidlist = self._current_uidlist()
        if uidlist.header.uid_validity != self._index.uid_validity:
            raise Unsupported("dovecot-uidlist and index have different UIDVALIDITY")
        entry = uidlist.find(uid)
        if entry is None:
            raise ReadFailed("Message was expunged")
        letters = b""
        if names := self._index.keywords(uid):
            letters = keywords.letters(self.control, names)
        file = self.maildir.open(entry.name, flags, letters)
        return Located(
            file,
            file,
            stored_size=self._size(entry.name, b"S", entry.physical_size),
            virtual_size=self._size(entry.name, b"W", entry.virtual_size),
        )

    def _size(self, name: bytes, key: bytes, in_uidlist: int | None) -> int | None:
        in_name = None if self._distrusts_names else size_in_name(name, key)
        return in_uidlist if in_name is None else in_name

    def _current_uidlist(self) -> Uidlist:
        if self._uidlist is None or not self._uidlist_is_current:
            self._uidlist = self._opened_uidlist()
            self._uidlist_is_current = True
        return self._uidlist

    def _opened_uidlist(self) -> Uidlist:
        status = self.control.status(UIDLIST_NAME)
        if self._uidlist is not None and self._uidlist_file is not None:
            if status is not None and version(status) == self._uidlist_file.version:
                return self._uidlist
        close_all((self._uidlist_file,))
        self._uidlist = self._uidlist_file = None
        try:
            self._uidlist_file = self.control.file(UIDLIST_NAME)
        except FileNotFoundError:
            raise Unsupported("mailbox has no dovecot-uidlist") from None
        return Uidlist(self._uidlist_file)

    def close(self) -> None:
        """Close every file."""
        close_all((self._uidlist_file, self.control))
        self._index.close()
        self.maildir.close()


def _without_index(error: BaseException) -> BaseException:
    return Unsupported("mailbox has no index yet") if isinstance(error, FileNotFoundError) else error
