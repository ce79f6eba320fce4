"""The native store: mail read by ourselves, as the index on disk says at this moment.

Matches what imap_msgpart_url_open_mailbox makes lib-storage do: a mailbox is opened but not synchronized, so a
mail that no Dovecot session has seen yet does not exist.  Nothing is written and no lock is taken.
"""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import unhexlify

from dovecot_urlauth.message.fetch import fetch
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, StoreFailure, Unsupported
from dovecot_urlauth.store.native.attributes.file_dict import FileDict
from dovecot_urlauth.store.native.index import keywords
from dovecot_urlauth.store.native.layout import name_rules, places
from dovecot_urlauth.store.native.maildir.mail_files import size_in_name
from dovecot_urlauth.store.native.maildir.opened_maildir import Folder
from dovecot_urlauth.store.native.names import check_utf8, normalize, storage_name
from dovecot_urlauth.store.native.namespace import find
from dovecot_urlauth.store.store import Delivery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from dovecot_urlauth.config.native_settings import NativeSettings
    from dovecot_urlauth.message.fetch import Request
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.index.index_view import IndexView
    from dovecot_urlauth.store.native.layout import MailboxPlaces
    from dovecot_urlauth.store.native.maildir.uidlist import Uidlist

KEY_PATH = b"priv/%s/vendor/vendor.dovecot/imap-urlauth"
"""The key's place in the attribute dictionary, by mailbox GUID (lib-storage/index/index-attribute.c)."""
KEY_DIGITS = 128


TURN = 0.02
"""Seconds of work after which others have their turn."""
KEPT_FOLDERS = 8
"""Mailboxes that stay open between URLs; seven descriptors each."""


class NativeStore:
    """Reads the mail of one user as ``settings`` say, for as many sessions as there are."""

    def __init__(self, settings: NativeSettings, loop: Loop) -> None:
        self._settings = settings
        self._loop = loop
        self._attributes = FileDict(settings.attributes.path)
        self._folders: dict[bytes, Folder] = {}
        """By the mailbox's name in URLs, the one used last at the end."""

    async def open(self, mailbox: bytes, uidvalidity: int) -> NativeMailbox:
        """Open ``mailbox``.  Raises MailboxRefused, MailboxMissing, StoreFailure or Unsupported."""
        folder = self._folders.pop(mailbox, None)
        if folder is not None and not folder.is_in_place():
            folder.close()
            folder = None
        if folder is None:
            folder = Folder(self._places(mailbox))
        try:
            index = folder.refresh()
            if uidvalidity not in (0, index.uid_validity):
                raise MailboxMissing("UIDVALIDITY has changed")
        except BaseException:
            folder.close()
            raise
        self._keep(mailbox, folder)
        return NativeMailbox(self._settings, self._loop, self._attributes, folder, index, mailbox)

    def close(self) -> None:
        """End all sessions."""
        while self._folders:
            self._folders.popitem()[1].close()
        self._attributes.close()

    def _places(self, mailbox: bytes) -> MailboxPlaces:
        """Where the mailbox is.  Raises MailboxRefused, MailboxMissing or Unsupported."""
        check_utf8(mailbox)
        if self._settings.normalizes_names_to_nfc:
            mailbox = normalize(mailbox)
        namespace, name = find(self._settings.namespaces, mailbox)
        location = namespace.location
        if location is None:
            raise Unsupported(namespace.why_not)
        stored = name if name == b"INBOX" else storage_name(name, name_rules(location, namespace.separator))
        return places(location, stored)

    def _keep(self, mailbox: bytes, folder: Folder) -> None:
        self._folders[mailbox] = folder
        if len(self._folders) > KEPT_FOLDERS:
            self._folders.pop(next(iter(self._folders))).close()


class NativeMailbox:
    """One mailbox of a maildir storage, to be used before another one is opened."""

    def __init__(
        self,
        settings: NativeSettings,
        loop: Loop,
        attributes: FileDict,
        folder: Folder,
        index: IndexView,
        name: bytes,
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._attributes = attributes
        self._folder = folder
        self._index = index
        self._name = name
        self._uidlist: Uidlist | None = None
        self._is_fresh = True
        """Index and uidlist were looked at for this very request: at the first, when the mailbox was opened."""
        self._mail: FileSource | None = None

    async def key(self) -> bytes | None:
        """The mailbox's 64-byte key.  Raises StoreFailure or Unsupported."""
        guid = self._opened_uidlist().header.guid
        if guid is None:
            raise Unsupported("dovecot-uidlist has no GUID")
        text = self._attributes.lookup(KEY_PATH % guid)
        if text is None:
            return None
        try:
            if len(text) == KEY_DIGITS:
                return unhexlify(text)
        except NotHex:
            pass
        name = self._name.decode("utf-8", "surrogateescape")
        raise StoreFailure(f"imap-urlauth: key found for mailbox {name} is invalid")

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """A part of message ``uid``.  Raises ReadFailed, message errors, StoreFailure or Unsupported."""
        self.close()
        if not self._is_fresh:
            self._index, self._uidlist = self._folder.refresh(), None
        self._is_fresh = False
        index = self._index
        flags = index.flags(uid)
        if flags is None:
            raise ReadFailed("Message not found")
        uidlist = self._opened_uidlist()
        if uidlist.header.uid_validity != index.uid_validity:
            raise Unsupported("dovecot-uidlist and index have different UIDVALIDITY")
        entry = uidlist.find(uid)
        if entry is None:
            raise ReadFailed("Message was expunged")
        letters = b""
        if names := index.keywords(uid):
            letters = keywords.letters(self._folder.control, names)
        self._mail = self._folder.maildir.open(entry.name, flags, letters)
        virtual_size = size_in_name(entry.name, b"W") if self._settings.trusts_sizes_in_names else None
        if virtual_size is None:
            virtual_size = entry.virtual_size
        content = fetch(self._mail, request, self._settings.message_rules, virtual_size)
        return Delivery(content.size, content.has_nuls, content.structure, self._in_turns(content.chunks))

    async def _in_turns(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        """The same chunks; others have their turn when making them takes long."""
        began = self._loop.now()
        for chunk in chunks:
            yield chunk
            if self._loop.now() - began > TURN:
                await self._loop.turn()
                began = self._loop.now()

    def _opened_uidlist(self) -> Uidlist:
        if self._uidlist is None:
            self._uidlist = self._folder.uidlist()
        return self._uidlist

    def close(self) -> None:
        """Close the mail; the store keeps the mailbox itself for the next URL."""
        if self._mail is not None:
            self._mail.close()
            self._mail = None
