"""What the transaction log's records do to messages.

Matches lib-index/mail-index-sync-update.c.  The items of a record ascend by UID and stay packed as they were
read; asking for one UID bisects them, so that a record of 200 000 new messages costs no more than one of ten.
"""

from __future__ import annotations

from struct import Struct

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.index import keywords
from dovecot_urlauth.store.native.index.packed import FLAGS, UID_RANGE, first_above, last_uid, search
from dovecot_urlauth.store.native.index.transaction_log import (
    APPEND,
    EXPUNGE,
    EXPUNGE_GUID,
    EXTERNAL,
    FLAG_UPDATE,
    HEADER_UPDATE,
    INDEX_DELETED,
    INDEX_UNDELETED,
    KEYWORD_RESET,
    KEYWORD_UPDATE,
    TYPE_MASK,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar

    from dovecot_urlauth.store.native.index.extensions import Extensions
    from dovecot_urlauth.store.native.index.shape import Player

LIMIT_EVENTS = 100_000
"""Records that are kept for playing; Dovecot's log at its largest has less than half of it."""

UID_VALIDITY_OFFSET = 24
HEADER_FIELD = Struct("<HH")
"""offset and size in front of each patched piece of the header, which is padded to 4 bytes."""
APPENDED = Struct("<IB3x")
EXPUNGED_GUID = Struct("<I16x")


class Changes:
    """What a run of log records did to messages, kept as packed as it was read."""

    __slots__ = ("_events", "_keyword_events", "deleted", "extensions", "next_uid", "uid_validity")

    def __init__(self, uid_validity: int = 0, next_uid: int = 1, extensions: Extensions | None = None) -> None:
        """``extensions`` are played along, if there are any that somebody wants."""
        self.uid_validity = uid_validity
        self.next_uid = next_uid
        self.deleted = False
        self.extensions = extensions
        self._events: list[tuple[int, int, int, Struct, bytes]] = []
        self._keyword_events: list[tuple[int, bytes, bytes]] = []

    def players(self) -> dict[int, Player]:
        """What takes each record that means something here, by its type: see play_records.

        Raises Unsupported or struct.error.
        """
        found: dict[int, Player] = {}
        for what, method in self.KINDS.items():
            found[what] = method.__get__(self)
        if self.extensions is not None:
            found |= self.extensions.players()
            use_keyword = found[KEYWORD_UPDATE]

            def take_keyword(kind: int, data: bytes) -> None:
                self._add_keyword(kind, data)
                use_keyword(kind, data)

            found[KEYWORD_UPDATE] = take_keyword
        return found

    def play(self, uid: int, flags: int | None) -> int | None:
        """The flags of ``uid`` after all changes, when it had ``flags`` (None: did not exist) before them."""
        for what, low, high, layout, data in self._events:
            if not low <= uid <= high:
                continue
            found = search(layout, data, uid)
            if found is None:
                continue
            if what == APPEND:
                flags = found[1]
            elif what == EXPUNGE:
                flags = None
            elif flags is not None:
                flags = flags & ~found[3] | found[2]
        return flags

    def uid_after(self, uid: int) -> int | None:
        """The lowest UID above ``uid`` that was given to a new message, which may be gone again."""
        found = None
        for what, low, high, layout, data in self._events:
            if what == APPEND and high > uid and (found is None or low < found):
                above = first_above(layout, data, max(uid, low - 1))
                if above is not None and (found is None or above < found):
                    found = above
        return found

    def play_keywords(self, uid: int, names: set[bytes]) -> set[bytes]:
        """The keywords of ``uid`` after all changes, when it had ``names`` before them."""
        for what, name, ranges in self._keyword_events:
            if search(UID_RANGE, ranges, uid) is None:
                continue
            if what == keywords.REPLACE:
                names = {name} if name else set()
            elif what == keywords.ADD:
                names = names | {name}
            else:
                names = names - {name}
        return names

    def _add_expunged(self, kind: int, data: bytes) -> None:
        if kind & EXTERNAL:  # otherwise it is a request that no sync has carried out yet
            layout = UID_RANGE if kind & TYPE_MASK == EXPUNGE else EXPUNGED_GUID
            self._add_event(EXPUNGE, layout, data)

    def _add_flags(self, _: int, data: bytes) -> None:
        self._add_event(FLAG_UPDATE, FLAGS, data)

    def _add_keyword(self, _: int, data: bytes) -> None:
        self._add_keyword_event(keywords.parse_update(data))

    def _reset_keywords(self, _: int, data: bytes) -> None:
        self._add_keyword_event((keywords.REPLACE, b"", data))

    def _delete(self, kind: int, _: bytes) -> None:
        if kind & EXTERNAL:
            self.deleted = kind & TYPE_MASK == INDEX_DELETED

    def _add_keyword_event(self, event: tuple[int, bytes, bytes] | None) -> None:
        if event is not None:
            if len(self._keyword_events) >= LIMIT_EVENTS:
                raise Unsupported("transaction log has very many records")
            self._keyword_events.append(event)

    def _add_appended(self, _: int, data: bytes) -> None:
        count = len(data) // APPENDED.size
        if not count:
            return
        if count == 1:  # as nearly all have, so this is done at once
            uid = APPENDED.unpack_from(data)[0]
            if uid >= self.next_uid:
                self._append_event((APPEND, uid, uid, APPENDED, data))
                self.next_uid = uid + 1
            return
        last = APPENDED.unpack_from(data, (count - 1) * APPENDED.size)[0]
        if last >= self.next_uid:
            # UIDs below next_uid are in the main file already, or were and have been expunged.
            self._add_event(APPEND, APPENDED, data, self.next_uid)
            self.next_uid = last + 1

    def _add_event(self, what: int, layout: Struct, data: bytes, lowest: int = 0) -> None:
        count = len(data) // layout.size
        if count:
            first, last = layout.unpack_from(data), layout.unpack_from(data, (count - 1) * layout.size)
            self._append_event((what, max(first[0], lowest), last_uid(layout, last), layout, data))

    def _append_event(self, event: tuple[int, int, int, Struct, bytes]) -> None:
        if len(self._events) >= LIMIT_EVENTS:
            raise Unsupported("transaction log has very many records")
        self._events.append(event)

    def _patch_header(self, _: int, data: bytes) -> bool:
        """Whether it is about one piece, and nothing that is said of that piece matters."""
        at, pieces, matters = 0, 0, False
        while at + HEADER_FIELD.size <= len(data):
            offset, size = HEADER_FIELD.unpack_from(data, at)
            where = UID_VALIDITY_OFFSET - offset
            if 0 <= where and where + 4 <= size:
                value = data[at + HEADER_FIELD.size + where :][:4]
                self.uid_validity = int.from_bytes(value, "little") if len(value) == 4 else self.uid_validity
                matters = True
            at += HEADER_FIELD.size + (size + 3 & ~3)
            pieces += 1
        return pieces == 1 and not matters

    KINDS: ClassVar[dict[int, Callable[[Changes, int, bytes], bool | None]]] = {
        APPEND: _add_appended,
        EXPUNGE: _add_expunged,
        EXPUNGE_GUID: _add_expunged,
        FLAG_UPDATE: _add_flags,
        KEYWORD_UPDATE: _add_keyword,
        KEYWORD_RESET: _reset_keywords,
        HEADER_UPDATE: _patch_header,
        INDEX_DELETED: _delete,
        INDEX_UNDELETED: _delete,
    }
