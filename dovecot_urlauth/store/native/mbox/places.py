"""Where an mbox storage has a mailbox: its file, and the directory of its index.

mbox_list_get_path in index/mbox/mbox-storage.c, on top of the layout ``fs``: the mailbox ``a/b`` is the file
``b`` in the directory ``a``, and its index is in ``a/.imap/b``.  INBOX may be a file anywhere; its index is below
the mail root all the same.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.layout import INBOX, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.mail_location import Location

INDEX_DIRECTORY = b".imap"
LOCK_SUFFIX = b".lock"
"""How the name of a dotlock ends, which no mailbox may have."""


@frozen
class MboxPlaces:
    """The parts of one mailbox."""

    directory: Place
    file: bytes
    """The name in that directory."""
    index: Place


def mbox_places(location: Location, name: bytes) -> MboxPlaces:
    """The parts of the mailbox with the store's name ``name``.  Raises Unsupported for a name that is in use."""
    *above, last = name.split(b"/")
    if INDEX_DIRECTORY in (*above, last) or last.endswith(LOCK_SUFFIX):
        raise Unsupported("mailbox has a name that mbox uses itself")
    index = Place(location.index or location.root, (*above, INDEX_DIRECTORY, last))
    if name == INBOX and location.inbox is not None:
        directory, _, file = location.inbox.rpartition(b"/")
        return MboxPlaces(Place(directory or b"/", ()), file, index)
    return MboxPlaces(Place(location.root, tuple(above)), last, index)
