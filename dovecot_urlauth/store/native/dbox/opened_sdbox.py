"""An opened mailbox of sdbox: each message is a file ``u.<UID>``.

Matches index/dbox-single/sdbox-file.c and sdbox-mail.c.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.dbox.opened_dbox import ATTEMPTS, OpenedDbox, located, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.dbox.attachments import AttachmentFolder
    from dovecot_urlauth.store.native.driver import Located
    from dovecot_urlauth.store.native.layout import MailboxPlaces

HEADER = b"dbox-hdr"
"""{rebuild count, mailbox GUID, flags}"""


class OpenedSdbox(OpenedDbox):
    """A Driver."""

    def __init__(self, where: MailboxPlaces, attachments: bytes | None = None) -> None:
        """``attachments`` is where external ones are.  Raises MailboxMissing, StoreFailure or Unsupported."""
        super().__init__(where, HEADER)
        self._attachments = attachments
        self._alt = where.alt

    def locate(self, uid: int) -> Located:
        """See Driver.locate; a file that is moved to the second storage, or back, is found the second time."""
        self.check_is_there(uid)
        kept = self._last.again(self.mail, uid)
        if kept is not None:
            return kept
        name = b"u.%d" % uid
        for _ in range(ATTEMPTS):
            try:
                file = open_file(self.mail, self._alt, name)
                return self._last.keep(uid, located(file, 0, attachments=self._folder(uid)), file, name)
            except FileNotFoundError:
                self.look_again(uid)
        raise Unsupported(f"u.{uid} is lost")

    def _folder(self, uid: int) -> AttachmentFolder | None:
        """Each mailbox has names of its own for the files of attachments."""
        if self._attachments is None:
            return None
        from dovecot_urlauth.store.native.dbox.attachments import AttachmentFolder

        return AttachmentFolder(self._attachments, b"-%s-%d" % (self.guid(), uid))
