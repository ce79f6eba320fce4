"""The native store: mail read by ourselves, as the index on disk says at this moment.

Matches what imap_msgpart_url_open_mailbox makes lib-storage do: a mailbox is opened but not synchronized, so a
mail that no Dovecot session has seen yet does not exist.  Nothing is written and no lock is taken.
"""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import unhexlify

from dovecot_urlauth.message.fetch import fetch
from dovecot_urlauth.store import keywords
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, StoreFailure, Unsupported
from dovecot_urlauth.store.files import Directory
from dovecot_urlauth.store.indexview import IndexView
from dovecot_urlauth.store.layout import name_rules, places
from dovecot_urlauth.store.maildir import Maildir, size_in_name
from dovecot_urlauth.store.names import check_utf8, normalize, storage_name
from dovecot_urlauth.store.namespace import find
from dovecot_urlauth.store.uidlist import UIDLIST_NAME, Uidlist
from dovecot_urlauth.wire.value import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.message.fetch import Content, Request
    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.store.layout import MailboxPlaces, Place
    from dovecot_urlauth.store.namespace import Namespace
    from dovecot_urlauth.store.source import FileSource
else:
    Protocol = object

KEY_PATH = b"priv/%s/vendor/vendor.dovecot/imap-urlauth"
"""The key's place in the attribute dictionary, by mailbox GUID (lib-storage/index/index-attribute.c)."""
KEY_DIGITS = 128


class Dictionary(Protocol):
    """Where mailbox attributes are."""

    def lookup(self, key: bytes) -> bytes | None:
        """The value of ``key``, None when there is none.  Raises StoreFailure."""

    def close(self) -> None:
        """Let go of connections."""


@record(frozen=True, slots=True)
class Plan:
    """Everything that the settings say about a user's mail."""

    uid: int
    namespaces: tuple[Namespace, ...]
    attributes: Dictionary
    message_rules: MessageRules
    normalizes_names_to_nfc: bool
    """2.4.4 and newer: names are composed before they are looked up."""
    trusts_sizes_in_names: bool
    """Not with maildir_broken_filename_sizes."""


class NativeStore:
    """Reads the mail of one user by ``plan``."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def open(self, mailbox: bytes, uidvalidity: int) -> NativeMailbox:
        """Open ``mailbox``.  Raises MailboxRefused, MailboxMissing, StoreFailure or Unsupported."""
        check_utf8(mailbox)
        if self._plan.normalizes_names_to_nfc:
            mailbox = normalize(mailbox)
        namespace, name = find(self._plan.namespaces, mailbox)
        location = namespace.location
        if location is None:
            raise Unsupported(namespace.why_not)
        stored = name if name == b"INBOX" else storage_name(name, name_rules(location, namespace.separator))
        opened = NativeMailbox(self._plan, places(location, stored), mailbox)
        try:
            opened.load()
            if uidvalidity not in (0, opened.uid_validity):
                raise MailboxMissing("UIDVALIDITY has changed")
        except BaseException:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """End the session."""
        self._plan.attributes.close()


class NativeMailbox:
    """One mailbox of a maildir storage."""

    def __init__(self, plan: Plan, where: MailboxPlaces, name: bytes) -> None:
        self._plan = plan
        self._where = where
        self._name = name
        self._maildir: Maildir | None = None
        self._control: Directory | None = None
        self._index: IndexView | None = None
        self._mail: FileSource | None = None

    @property
    def uid_validity(self) -> int:
        """UIDVALIDITY by the index."""
        return self._opened_index().uid_validity

    def load(self) -> None:
        """Open the directories and the index.  Raises MailboxMissing, StoreFailure or Unsupported."""
        try:
            with self._directory(self._where.mail) as mail:
                self._maildir = Maildir(mail)
        except FileNotFoundError:
            raise MailboxMissing("there is no such maildir") from None
        try:
            self._index = IndexView(self._directory(self._where.index))
            self._control = self._directory(self._where.control)
        except FileNotFoundError:
            raise Unsupported("mailbox has no index yet") from None
        self._index.refresh()
        if not self.uid_validity:
            raise Unsupported("mailbox was never opened")

    def key(self) -> bytes | None:
        """The mailbox's 64-byte key.  Raises StoreFailure or Unsupported."""
        with self._open_uidlist() as file:
            guid = Uidlist(file).header.guid
        if guid is None:
            raise Unsupported("dovecot-uidlist has no GUID")
        text = self._plan.attributes.lookup(KEY_PATH % guid)
        if text is None:
            return None
        try:
            if len(text) == KEY_DIGITS:
                return unhexlify(text)
        except NotHex:
            pass
        name = self._name.decode("utf-8", "surrogateescape")
        raise StoreFailure(f"imap-urlauth: key found for mailbox {name} is invalid")

    def fetch(self, uid: int, request: Request) -> Content:
        """A part of message ``uid``.  Raises ReadFailed, message errors, StoreFailure or Unsupported."""
        self._close_mail()
        index = self._opened_index()
        index.refresh()
        flags = index.flags(uid)
        if flags is None:
            raise ReadFailed("Message not found")
        with self._open_uidlist() as file:
            uidlist = Uidlist(file)
            if uidlist.header.uid_validity != index.uid_validity:
                raise Unsupported("dovecot-uidlist and index have different UIDVALIDITY")
            entry = uidlist.find(uid)
        if entry is None:
            raise ReadFailed("Message was expunged")
        assert self._maildir is not None  # noqa: S101
        assert self._control is not None  # noqa: S101
        letters = keywords.letters(self._control, index.keywords(uid))
        self._mail = self._maildir.open(entry.name, flags, letters)
        virtual_size = size_in_name(entry.name, b"W") if self._plan.trusts_sizes_in_names else None
        if virtual_size is None:
            virtual_size = entry.virtual_size
        return fetch(self._mail, request, self._plan.message_rules, virtual_size)

    def close(self) -> None:
        """Close every file."""
        self._close_mail()
        for part in (self._maildir, self._index, self._control):
            if part is not None:
                part.close()

    def _directory(self, place: Place) -> Directory:
        with Directory.root(place.root, self._plan.uid) as root:
            return root.directory(*place.steps)

    def _opened_index(self) -> IndexView:
        if self._index is None:
            raise StoreFailure("mailbox is not open")
        return self._index

    def _open_uidlist(self) -> FileSource:
        if self._control is None:
            raise StoreFailure("mailbox is not open")
        try:
            return self._control.file(UIDLIST_NAME)
        except FileNotFoundError:
            raise Unsupported("mailbox has no dovecot-uidlist") from None

    def _close_mail(self) -> None:
        if self._mail is not None:
            self._mail.close()
            self._mail = None
