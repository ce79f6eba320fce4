"""What a mailbox format has to know: the mailbox's GUID, and where the message with a UID lies.

Everything else is the same for all formats: names and namespaces, the index, the key, decoding, parts.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import StoreFailure, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeAlias

    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.config.native_settings import NativeSettings
    from dovecot_urlauth.message.source import Source

    Opener: TypeAlias = Callable[[Location, bytes, NativeSettings], "Driver"]
else:
    Protocol = object


@frozen
class Located:
    """One message as it is stored."""

    source: Source
    file: Closes
    """What to close when nobody reads ``source`` any more."""
    stored_size: int | None = None
    """Bytes of the message (decoded, if it is encoded) when it was stored, as far as anybody noted."""
    virtual_size: int | None = None
    """Bytes with every line end CRLF, as somebody noted; it may be wrong."""
    is_encoded: bool = True
    """Whether plugins that decode messages look at those of this format."""
    lock: Lock | None = None
    """What has to be held, and is, while ``source`` is read."""
    complete: Callable[[Source], Source] | None = None
    """What makes the message of the decoded source, if parts of it are elsewhere.  Raises Unsupported."""
    counted: Callable[[int], None] | None = None
    """What is told the virtual size when it had to be counted."""


class Closes(Protocol):
    """Something that is open."""

    def close(self) -> None:
        """Close it."""


class Lock(Protocol):
    """A lock on what others write to, for somebody who does not keep them waiting."""

    def release(self) -> None:
        """Let others write."""

    def take(self) -> None:
        """Have it again, and the same message under it.  Raises Busy or StoreFailure."""


class Busy(StoreFailure):
    """Somebody else is writing; worth asking again for so many ``seconds``."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class Driver(Protocol):
    """One opened mailbox of some format; it stays open between URLs, and whoever uses it refreshes it first."""

    def is_in_place(self) -> bool:
        """Whether every name still leads to what is held open."""

    def refresh(self) -> int:
        """Look at the mailbox as it is now; its UIDVALIDITY.  Raises MailboxMissing, StoreFailure, Unsupported."""

    @property
    def uid_validity(self) -> int:
        """The UIDVALIDITY that was seen last, by :meth:`refresh` or while a message was looked for."""

    def guid(self) -> bytes:
        """The mailbox GUID in hexadecimal digits.  Raises StoreFailure or Unsupported."""

    def locate(self, uid: int) -> Located:
        """The message ``uid``.  Raises ReadFailed when there is none, Busy, StoreFailure or Unsupported."""

    def close(self) -> None:
        """Close every file."""


def open_driver(location: Location, name: bytes, settings: NativeSettings) -> Driver:
    """The mailbox with the store's name ``name``.  Raises MailboxMissing, StoreFailure or Unsupported."""
    return OPENERS[location.driver](location, name, settings)


def _open_maildir(location: Location, name: bytes, settings: NativeSettings) -> Driver:
    from dovecot_urlauth.store.native.layout import places
    from dovecot_urlauth.store.native.maildir.opened_maildir import OpenedMaildir

    return OpenedMaildir(places(location, name), distrusts_names=not settings.trusts_sizes_in_names)


def _open_sdbox(location: Location, name: bytes, settings: NativeSettings) -> Driver:
    from dovecot_urlauth.store.native.dbox.opened_sdbox import OpenedSdbox
    from dovecot_urlauth.store.native.layout import places

    return OpenedSdbox(places(location, name), settings.attachments)


def _open_mdbox(location: Location, name: bytes, settings: NativeSettings) -> Driver:
    from dovecot_urlauth.store.native.dbox.opened_mdbox import OpenedMdbox
    from dovecot_urlauth.store.native.layout import places, storage_places

    return OpenedMdbox(places(location, name), storage_places(location), settings.attachments)


def _open_mbox(location: Location, name: bytes, settings: NativeSettings) -> Driver:
    from dovecot_urlauth.store.native.mbox.opened_mbox import OpenedMbox
    from dovecot_urlauth.store.native.mbox.places import mbox_places

    if settings.mbox is None:
        raise Unsupported("no rules for mbox")
    return OpenedMbox(mbox_places(location, name), settings.mbox)


OPENERS: dict[str, Opener] = {
    "maildir": _open_maildir,
    "mbox": _open_mbox,
    "mdbox": _open_mdbox,
    "sdbox": _open_sdbox,
}
"""By the driver's name; each imports its format when it is used."""
