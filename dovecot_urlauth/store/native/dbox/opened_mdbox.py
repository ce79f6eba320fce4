"""An opened mailbox of mdbox: its index has each message's number, the storage's map has where that is.

Matches index/dbox-multi/mdbox-mail.c.  A purge moves messages to another file, a rebuild gives them new numbers;
whatever does not fit is looked for once more with both indexes as they are then, and then left to Dovecot.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.dbox.mail_map import MailMap
from dovecot_urlauth.store.native.dbox.opened_dbox import ATTEMPTS, OpenedDbox, located, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.dbox.attachments import AttachmentFolder
    from dovecot_urlauth.store.native.dbox.mail_map import Position
    from dovecot_urlauth.store.native.driver import Located
    from dovecot_urlauth.store.native.layout import MailboxPlaces

HEADER = b"mdbox-hdr"
"""{UIDVALIDITY of the map, mailbox GUID, flags}"""
RECORDS = b"mdbox"
NUMBER = Struct("<I")
"""The number in the map; behind it is when the message was saved."""


class OpenedMdbox(OpenedDbox):
    """A Driver."""

    def __init__(self, where: MailboxPlaces, storage: MailboxPlaces, attachments: bytes | None = None) -> None:
        """``attachments`` is where external ones are.  Raises MailboxMissing, StoreFailure or Unsupported."""
        super().__init__(where, HEADER, (RECORDS,))
        self._attachments = attachments
        try:
            self._map = MailMap(storage)
        except BaseException:
            super().close()
            raise

    def is_in_place(self) -> bool:
        """Whether every directory still is what its name leads to."""
        return super().is_in_place() and self._map.is_in_place()

    def locate(self, uid: int) -> Located:
        """See Driver.locate; where the map has a mail that was kept does not matter if its file is the same."""
        self.check_is_there(uid)
        kept = self._last.again(self._map.files, (uid, self.index.version))
        if kept is not None:
            return kept
        tried = None
        reason = Unsupported("message is lost in the mdbox storage")
        for attempt in range(ATTEMPTS):
            self._map.refresh()
            try:
                position = self._position(uid)
                if attempt and position == tried:
                    break
                tried = position
                name = b"m.%d" % position.file
                file = open_file(self._map.files, self._map.alt, name)
                mail = located(file, position.offset, position.space, self._folder())
                return self._last.keep((uid, self.index.version), mail, file, name)
            except Unsupported as error:
                reason = error
            except FileNotFoundError:
                pass
            self.look_again(uid)
        raise reason

    def close(self) -> None:
        """Close every file."""
        self._map.close()
        super().close()

    def _position(self, uid: int) -> Position:
        try:
            (noted,) = NUMBER.unpack_from(self.index.extension_header(HEADER))
            (number,) = NUMBER.unpack_from(self.index.extension_record(RECORDS, uid))
        except StructError:
            raise Unsupported("index lacks numbers of the mdbox map") from None
        if noted != self._map.uid_validity:
            raise Unsupported("index and mdbox map do not belong together")
        position = self._map.find(number)
        if position is None:
            raise Unsupported("mdbox map has lost a message")
        return position

    def _folder(self) -> AttachmentFolder | None:
        if self._attachments is None:
            return None
        from dovecot_urlauth.store.native.dbox.attachments import AttachmentFolder

        return AttachmentFolder(self._attachments, b"")
