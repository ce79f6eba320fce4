"""mdbox's map: where in the storage's files each message is, by numbers that all mailboxes share.

Matches index/dbox-multi/mdbox-map.c.  The map is an index of its own, ``dovecot.map.index`` with a log, whose UIDs
are these numbers; its UIDVALIDITY changes when the storage was rebuilt and old numbers mean nothing any more.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import MailboxMissing, Unsupported
from dovecot_urlauth.store.native.files import close_all
from dovecot_urlauth.store.native.index.index_view import IndexView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.layout import MailboxPlaces

MAP_NAME = b"dovecot.map.index"
RECORDS = b"map"
RECORD = Struct("<III")
"""file number, offset of the message's header, size with header and metadata."""


@frozen
class Position:
    """Where a message is."""

    file: int
    offset: int
    space: int
    """Bytes, as the map says; nothing depends on them."""


class MailMap:
    """The opened map of one storage, and the directory with its files."""

    def __init__(self, where: MailboxPlaces) -> None:
        """Raises StoreFailure or Unsupported."""
        try:
            self.files = where.mail.open()
        except FileNotFoundError:
            raise Unsupported("there is no mdbox storage") from None
        try:
            self._directory = where.index.open_beside(where.mail, self.files)
        except FileNotFoundError:
            self.files.close()
            raise Unsupported("mdbox storage has no index") from None
        except BaseException:
            self.files.close()
            raise
        self._index = IndexView(self._directory, (RECORDS,), MAP_NAME)
        self.alt = where.alt

    @property
    def uid_validity(self) -> int:
        """What a mailbox must have noted if its numbers are to mean anything."""
        return self._index.uid_validity

    def is_in_place(self) -> bool:
        """Whether both directories still are what their names lead to."""
        if not self.files.is_in_place():
            return False
        return self._directory.is_same(self.files) or self._directory.is_in_place()

    def refresh(self) -> None:
        """Look at the map as it is now.  Raises StoreFailure or Unsupported."""
        try:
            self._index.refresh()
        except MailboxMissing:
            raise Unsupported("mdbox map is marked deleted") from None

    def find(self, number: int) -> Position | None:
        """Where message ``number`` is; None when there is none.  Raises Unsupported for a broken map."""
        if not self._index.has(number):
            return None
        try:
            file, offset, space = RECORD.unpack_from(self._index.extension_record(RECORDS, number))
        except StructError:
            raise Unsupported("mdbox map has a broken record") from None
        if not file:
            raise Unsupported("mdbox map has lost a record")
        return Position(file, offset, space)

    def close(self) -> None:
        """Close every file."""
        close_all((self.files,))
        self._index.close()
