"""The directories of a mailbox: mail, index and control, and what a storage has beside its mailboxes.

Matches list/mailbox-list-maildir.c (Maildir++) and list/mailbox-list-fs.c in lib-storage.
"""

from __future__ import annotations

from dovecot_urlauth.config.mail_location import FS, LISTED, MAILDIR, MAILDIRPP, SEPARATORS, Location
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.names import NameRules

INBOX = b"INBOX"
MAILDIR_DIRECTORIES = (b"cur", b"new", b"tmp")
STORAGE = b"storage"
"""Where mdbox has the mail of all mailboxes (index/dbox-multi/mdbox-storage.h)."""


@frozen
class Place:
    """A directory: a root that the settings name, and the steps below it, each to be distrusted."""

    root: bytes
    steps: tuple[bytes, ...]

    def open(self, *, is_listed: bool = True) -> Directory:
        """Open it; the root needs not be readable if it is not to be listed.

        Raises FileNotFoundError, StoreFailure or Unsupported.
        """
        return Directory.root(self.root, is_listed=is_listed).descended(*self.steps)

    def open_beside(self, other: Place, opened: Directory) -> Directory:
        """Open it, where ``other`` is ``opened``, and may be the same place; raises as :meth:`open`."""
        return opened.directory() if self is other or self == other else self.open()


@frozen
class MailboxPlaces:
    """Where the parts of one mailbox are; often all are the same."""

    mail: Place
    index: Place
    control: Place
    alt: Place | None = None
    """Its directory in the second storage."""


def name_rules(location: Location, separator: bytes | None) -> NameRules:
    """How names are written in ``location``, in a namespace with ``separator`` (None: the layout's own)."""
    own = SEPARATORS[location.layout]
    if location.layout == LISTED:
        own = separator or own
    reserved: tuple[bytes, ...] = ()
    if location.directory_name:
        reserved = (location.directory_name,)
    elif location.layout == FS and location.driver == MAILDIR:
        reserved = MAILDIR_DIRECTORIES
    return NameRules(separator or own, own, location.utf8, location.escape, location.visible_escape, reserved)


def places(location: Location, name: bytes) -> MailboxPlaces:
    """The directories of the mailbox with the store's name ``name``; in the layout ``index``, with that GUID."""
    if name == INBOX and location.inbox is not None:
        mail = Place(location.inbox, ())
    else:
        mail = _place(location, location.root, name, is_mail=True)
    index = mail if location.index is None else _place(location, location.index, name, is_mail=False)
    control = mail if location.control is None else _place(location, location.control, name, is_mail=False)
    alt = None if location.alt is None else _place(location, location.alt, name, is_mail=True)
    return MailboxPlaces(mail, index, control, alt)


def root_place(location: Location) -> Place | None:
    """The directory that mailboxes' own are in; None if it is INBOX itself."""
    place = Place(location.root, tuple(step for step in location.mailboxes.split(b"/") if step))
    return None if places(location, INBOX).mail == place else place


def list_place(location: Location) -> Place:
    """The directory with the index of the mailbox list."""
    return Place(location.root if location.index is None else location.index, ())


def storage_places(location: Location) -> MailboxPlaces:
    """The directories of an mdbox storage: its files, the index of all of them, and the second storage."""
    mail = Place(location.root, (STORAGE,))
    index = mail if location.index is None else Place(location.index, (STORAGE,))
    alt = None if location.alt is None else Place(location.alt, (STORAGE,))
    return MailboxPlaces(mail, index, mail, alt)


def _place(location: Location, root: bytes, name: bytes, *, is_mail: bool) -> Place:
    if location.layout == MAILDIRPP:
        return Place(root, (b"." + name,))
    steps = [step for step in location.mailboxes.split(b"/") if step] + name.split(b"/")
    if location.directory_name and (is_mail or location.index_has_directory_name):
        steps += location.directory_name.split(b"/")
    return Place(root, tuple(steps))
