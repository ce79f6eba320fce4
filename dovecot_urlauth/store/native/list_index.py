"""The index of the mailbox list, in which the layout ``index`` has each mailbox's name and directory.

Matches lib-storage/list/mailbox-list-index.c and mailbox-list-index-backend.c.  ``dovecot.list.index`` is an index
with a log, whose records are parts of names: each has the number of its name, the UID of the part before it, and
the GUID of the mailbox that ends there.  What is not in order is Unsupported: Dovecot repairs it.
"""

from __future__ import annotations

from struct import Struct

from dovecot_urlauth.store.errors import MailboxMissing, StoreError, Unsupported
from dovecot_urlauth.store.native.index.index_view import IndexView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dovecot_urlauth.store.native.driver import Driver, Located
    from dovecot_urlauth.store.native.files import Directory
    from dovecot_urlauth.store.native.layout import Place

INDEX_NAME = b"dovecot.list.index"
EXTENSION = b"list"
REFRESH_FLAG_SIZE = 1
"""Bytes of the header in front of the names."""
NAME_ID = Struct("<I")
RECORD = Struct("<II16sI")
"""number of the name, UID of the parent or 0, GUID, UIDVALIDITY"""
NO_GUID = bytes(16)
NOT_SELECTABLE = 0x04 | 0x10
"""Flags of a part of names at which no mailbox ends; one with a GUID is broken."""
CORRUPTED_NAME = 0x08
MOST_MAILBOXES = 20_000


class ListIndex:
    """The opened index of one mailbox list."""

    def __init__(self, place: Place) -> None:
        """Nothing is opened before somebody asks."""
        self._place = place
        self._directory: Directory | None = None
        self._view: IndexView | None = None
        self._version: object = None
        self._parts: Mapping[tuple[int, bytes], int] = {}
        self._guids: Mapping[int, bytes] = {}

    def directory_of(self, name: Sequence[bytes]) -> bytes:
        """The name of the directory of the mailbox whose name has these parts.

        Raises MailboxMissing, StoreFailure or Unsupported.
        """
        self._refresh()
        uid = 0
        for part in name:
            found = self._parts.get((uid, part))
            if found is None:
                raise MailboxMissing("the list of mailboxes has no such name")
            uid = found
        guid = self._guids[uid]
        if guid == NO_GUID:
            raise MailboxMissing("the list of mailboxes has the name alone")
        return guid.hex().encode()

    def close(self) -> None:
        """Close every file."""
        if self._view is not None:
            self._view.close()
        self._view = self._directory = None

    def _refresh(self) -> None:
        if self._directory is None or not self._directory.is_in_place():
            self.close()
            try:
                self._directory = self._place.open()
            except FileNotFoundError:
                raise Unsupported("there is no list of mailboxes yet") from None
            self._view = IndexView(self._directory, (EXTENSION,), INDEX_NAME)
            self._version = None
        assert self._view is not None  # noqa: S101 - it comes with the directory
        try:
            self._view.refresh()
        except MailboxMissing:
            raise Unsupported("the list of mailboxes is marked deleted") from None
        if self._view.version != self._version:
            self._parts, self._guids = read_list(self._view)
            self._version = self._view.version


def read_list(view: IndexView) -> tuple[dict[tuple[int, bytes], int], dict[int, bytes]]:
    """Each part's UID by its parent's and its name, and each part's GUID.  Raises Unsupported."""
    names = parse_names(view.extension_header(EXTENSION))
    parts: dict[tuple[int, bytes], int] = {}
    guids: dict[int, bytes] = {}
    parents: dict[int, int] = {}
    uid = view.uid_after(0)
    while uid is not None:
        name_id, parent, guid = parse_record(view.extension_record(EXTENSION, uid), view.flags(uid) or 0)
        if name_id not in names or len(guids) >= MOST_MAILBOXES:
            raise Unsupported("the list of mailboxes is broken, or very long")
        parts[parent, names[name_id]] = uid
        guids[uid], parents[uid] = guid, parent
        uid = view.uid_after(uid)
    used = [guid for guid in guids.values() if guid != NO_GUID]
    if len(parts) < len(guids) or len(set(used)) < len(used):
        raise Unsupported("the list of mailboxes has something twice")
    _check_parents(parents)
    return parts, guids


def parse_names(header: bytes) -> dict[int, bytes]:
    """The names by number: ascending numbers, each with a name and a NUL behind it, until 0 or the end.

    Raises Unsupported.
    """
    names: dict[int, bytes] = {}
    at, last = REFRESH_FLAG_SIZE, 0
    while at < len(header):
        if at + NAME_ID.size > len(header):
            raise Unsupported("the list of mailboxes has a cut name")
        [number] = NAME_ID.unpack_from(header, at)
        if number == 0:
            break
        end = header.find(b"\0", at + NAME_ID.size)
        if end < 0 or number <= last:
            raise Unsupported("the list of mailboxes has a broken name")
        names[number] = header[at + NAME_ID.size : end]
        at, last = end + 1, number
    return names


def parse_record(data: bytes, flags: int) -> tuple[int, int, bytes]:
    """Number of the name, UID of the parent, and GUID.  Raises Unsupported."""
    if len(data) < RECORD.size:
        raise Unsupported("the list of mailboxes has a broken record")
    name_id, parent, guid, _ = RECORD.unpack_from(data)
    if flags & CORRUPTED_NAME or (flags & NOT_SELECTABLE and guid != NO_GUID):
        raise Unsupported("the list of mailboxes has a record that is to be repaired")
    return name_id, parent, guid


def _check_parents(parents: Mapping[int, int]) -> None:
    """Every part must lead to the root.  Raises Unsupported."""
    sure = {0}
    for uid in parents:
        way: set[int] = set()
        while uid not in sure:
            if uid in way or uid not in parents:
                raise Unsupported("the list of mailboxes has a part that leads nowhere")
            way.add(uid)
            uid = parents[uid]
        sure |= way


class NamedMailbox:
    """A Driver of a mailbox whose directory does not follow from its name alone."""

    def __init__(self, driver: Driver, find: Callable[[], bytes], stored: bytes) -> None:
        """``find`` says what the name leads to now: ``stored``, as long as it is the same mailbox."""
        self._driver = driver
        self._find = find
        self._stored = stored

    def is_in_place(self) -> bool:
        """See Driver.is_in_place."""
        try:
            return self._find() == self._stored and self._driver.is_in_place()
        except StoreError:
            return False

    def refresh(self) -> int:
        """See Driver.refresh."""
        return self._driver.refresh()

    @property
    def uid_validity(self) -> int:
        """See Driver.uid_validity."""
        return self._driver.uid_validity

    def guid(self) -> bytes:
        """See Driver.guid."""
        return self._driver.guid()

    def locate(self, uid: int) -> Located:
        """See Driver.locate."""
        return self._driver.locate(uid)

    def close(self) -> None:
        """See Driver.close."""
        self._driver.close()
