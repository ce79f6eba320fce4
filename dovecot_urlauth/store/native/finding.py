"""Where a mailbox is: from its name in a URL to a namespace, a storage, and the store's name for it.

Namespaces come from the settings and from owners who share their mail; mailbox_alias gives second names, and in
the layout ``index`` the list of mailboxes knows which directory has a name.
"""

from __future__ import annotations

import stat

from dovecot_urlauth.config.mail_location import FS, LISTED, MAILDIRPP
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.layout import INBOX, list_place, name_rules
from dovecot_urlauth.store.native.names import check_utf8, normalize, storage_name, unescaped
from dovecot_urlauth.store.native.namespace import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.config.native_settings import Namespace, NativeSettings
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.native.list_index import ListIndex
    from dovecot_urlauth.store.native.owners import FindOwner, OwnersNamespaces


@frozen
class Found:
    """A mailbox, which need not exist."""

    namespace: Namespace
    location: Location
    stored: bytes
    """The store's name for it."""
    name: bytes
    """Its own in the namespace."""
    is_fixed: bool = True
    """Whether the same name always leads to the same directory."""


class Finder:
    """Finds the mailboxes of one user."""

    def __init__(self, settings: NativeSettings, loop: Loop, find_owner: FindOwner | None) -> None:
        self._normalizes = settings.normalizes_names_to_nfc
        self._namespaces: Sequence[Namespace] = settings.namespaces
        self._owners = _owners_of(settings, loop, find_owner)
        self._aliases = dict(reversed(settings.aliases))
        self._lists: dict[Location, ListIndex] = {}

    @property
    def has_owners(self) -> bool:
        """Whether any mailbox may be somebody else's."""
        return self._owners is not None

    async def know_owner(self, mailbox: bytes) -> bool:
        """If the mailbox may be somebody else's, find out where that one's mail is; whether anybody's has moved.

        Raises MailboxRefused, MailboxMissing or Unsupported.
        """
        if self._owners is None:
            return False
        check_utf8(mailbox)
        before, self._namespaces = self._namespaces, await self._owners.with_owner_of(mailbox)
        return not set(before) <= set(self._namespaces)

    def find(self, mailbox: bytes) -> Found:
        """Where ``mailbox`` is.  Raises MailboxRefused, MailboxMissing, StoreFailure or Unsupported."""
        check_utf8(mailbox)
        if self._normalizes:
            mailbox = normalize(mailbox)
        namespace, name = find(self._namespaces, mailbox)
        location = namespace.location
        if location is None:
            raise Unsupported(namespace.why_not or "an owner who is not known")
        if location.escape and namespace.prefix and mailbox.upper() != INBOX:
            if (name + namespace.separator).startswith(INBOX + namespace.separator):
                raise Unsupported("INBOX below a prefix, which may be escaped as a whole")
        stored = _stored(namespace, location, name)
        full = name if name == INBOX else namespace.prefix + name
        is_alias = full in self._aliases
        if is_alias and self._is_second_name(location, stored):
            name = self._first_name(namespace, full)
            stored = _stored(namespace, location, name)
        if location.layout == LISTED:
            return Found(namespace, location, self._listed(namespace, location, stored), name, is_fixed=False)
        return Found(namespace, location, stored, name, is_fixed=not is_alias)

    def close(self) -> None:
        """Close every list of mailboxes."""
        while self._lists:
            self._lists.popitem()[1].close()

    def _is_second_name(self, location: Location, stored: bytes) -> bool:
        """A name of mailbox_alias counts unless somebody made a mailbox of that name (get_storage_name)."""
        if location.layout not in (MAILDIRPP, FS) or stored == INBOX:
            raise Unsupported("mailbox_alias has this name")
        steps = [b"." + stored] if location.layout == MAILDIRPP else stored.split(b"/")
        if location.layout == FS:
            steps = [*(step for step in location.mailboxes.split(b"/") if step), *steps]
        try:
            with Directory.root(location.root) as root, root.directory(*steps[:-1]) as folder:
                status = folder.status(steps[-1])
        except FileNotFoundError:
            return True
        return status is None or stat.S_ISLNK(status.st_mode)

    def _first_name(self, namespace: Namespace, full: bytes) -> bytes:
        """What the second name ``full`` stands for: a name with the namespace's prefix, or without."""
        first = self._aliases[full].removeprefix(namespace.prefix)
        if not first or (first.upper() == INBOX and not namespace.inbox):
            raise Unsupported("mailbox_alias has an odd name")
        return INBOX if first.upper() == INBOX else first

    def _listed(self, namespace: Namespace, location: Location, stored: bytes) -> bytes:
        from dovecot_urlauth.store.native.list_index import ListIndex

        opened = self._lists.get(location)
        if opened is None:
            opened = self._lists[location] = ListIndex(list_place(location))
        rules = name_rules(location, namespace.separator)
        parts = stored.split(rules.storage_separator)
        return opened.directory_of([unescaped(part, location.escape) for part in parts])


def _stored(namespace: Namespace, location: Location, name: bytes) -> bytes:
    """The store's name.  Raises MailboxRefused or Unsupported."""
    return name if name == INBOX else storage_name(name, name_rules(location, namespace.separator))


def _owners_of(settings: NativeSettings, loop: Loop, find_owner: FindOwner | None) -> OwnersNamespaces | None:
    if find_owner is None or all(namespace.owners is None for namespace in settings.namespaces):
        return None
    from dovecot_urlauth.store.native.owners import OwnersNamespaces

    return OwnersNamespaces(settings.namespaces, loop, find_owner)
