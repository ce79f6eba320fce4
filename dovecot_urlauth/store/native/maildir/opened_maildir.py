"""One mailbox's directories and files, held open from one URL to the next.

Opening them takes longer than reading a short mail.  Before they are used again each is looked up by its name:
as long as every name still leads to what is held, nothing is different from opening it anew.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import MailboxMissing, Unsupported
from dovecot_urlauth.store.native.file_source import version
from dovecot_urlauth.store.native.files import Directory, close_all
from dovecot_urlauth.store.native.index.index_view import IndexView
from dovecot_urlauth.store.native.maildir.mail_files import Maildir
from dovecot_urlauth.store.native.maildir.uidlist import UIDLIST_NAME, Uidlist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.layout import MailboxPlaces, Place


class Folder:
    """An opened mailbox of a maildir storage; whoever uses it calls :meth:`refresh` first."""

    def __init__(self, where: MailboxPlaces) -> None:
        """Open everything.

        Raises MailboxMissing, StoreFailure or Unsupported.
        """
        self._uidlist_file: FileSource | None = None
        self._uidlist: Uidlist | None = None
        try:
            with _directory(where.mail) as mail:
                self.maildir = Maildir(mail)
        except FileNotFoundError:
            raise MailboxMissing("there is no such maildir") from None
        try:
            index = _directory(where.index)
        except BaseException as error:
            self.maildir.close()
            raise _without_index(error) from None
        try:
            self.control = _directory(where.control)
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

    def refresh(self) -> IndexView:
        """The index as it is now.  Raises MailboxMissing or Unsupported."""
        self._index.refresh()
        if not self._index.uid_validity:
            raise Unsupported("mailbox was never opened")
        return self._index

    def uidlist(self) -> Uidlist:
        """The uidlist as it is now.  Raises StoreFailure or Unsupported."""
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
        self._uidlist = Uidlist(self._uidlist_file)
        return self._uidlist

    def close(self) -> None:
        """Close every file."""
        close_all((self._uidlist_file, self.control))
        self._index.close()
        self.maildir.close()


def _directory(place: Place) -> Directory:
    with Directory.root(place.root) as root:
        return root.directory(*place.steps)


def _without_index(error: BaseException) -> BaseException:
    return Unsupported("mailbox has no index yet") if isinstance(error, FileNotFoundError) else error
