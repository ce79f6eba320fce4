"""The extensions of an index: what a mail format keeps there beside UIDs and flags.

Matches lib-index/mail-index-sync-ext.c.  An extension has a header of its own and a piece of every record; the
main file has both as they were, and the log changes them.  In the log an extension is known by its number, in the
order in which they appeared: first those of the main file, then each that an introduction names, and
``keywords`` when the first keyword is used (mail-index-sync-keywords.c).
"""

from __future__ import annotations

from struct import Struct

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.index import keywords
from dovecot_urlauth.store.native.index.packed import search
from dovecot_urlauth.store.native.index.transaction_log import (
    EXT_ATOMIC_INC,
    EXT_HEADER_UPDATE,
    EXT_HEADER_UPDATE32,
    EXT_INTRO,
    EXT_RECORD_UPDATE,
    EXT_RESET,
    KEYWORD_UPDATE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ClassVar

    from dovecot_urlauth.store.native.index.main_index import MainExtension
    from dovecot_urlauth.store.native.index.shape import Player

INTRO = Struct("<IIIHHHH")
"""number, reset id, header size, record size, record align, flags, size of the name that follows."""
NO_NUMBER = 0xFFFFFFFF
FLAG_NO_SHRINK = 0x01
RESET = Struct("<IB")
"""new reset id, whether the data stays."""
PIECE = Struct("<HH")
PIECE32 = Struct("<II")
"""offset and size in front of each patched piece of a header, which is padded to 4 bytes."""

LIMIT_HEADER = 64 * 1024
"""Bytes of an extension's header that are kept; those of mail formats have some dozen."""
LIMIT_UPDATES = 100_000
"""Record updates that are kept for one extension."""
LIMIT_INTRODUCTIONS = 64
LIMIT_EXTENSIONS = 1024
"""As many as Dovecot tracks when it complains; it has about ten."""

HIGHEST_UID = 0xFFFFFFFF


class Extension:
    """One extension, as far as the log was played.  Only of a wanted one there is more than the name."""

    __slots__ = ("header", "is_wanted", "main", "name", "reset_id", "updates")

    def __init__(self, name: bytes, reset_id: int, header: bytes, *, is_wanted: bool) -> None:
        self.name = name
        self.reset_id = reset_id
        self.is_wanted = is_wanted
        self.header = bytearray(header)
        self.main: MainExtension | None = None
        self.updates: list[tuple[int, int, Struct | None, bytes]] = []
        """Lowest and highest UID, and the items; without a layout the records were cleared."""


class Extensions:
    """The extensions of one index; ``wanted`` are the names of those that will be asked for."""

    def __init__(self, wanted: tuple[bytes, ...], main: Iterable[MainExtension] = ()) -> None:
        self._wanted = wanted
        self._known: list[Extension] = []
        self._by_name: dict[bytes, Extension] = {}
        self._current: Extension | None = None
        """The one that the last introduction named."""
        self._takes_updates = False
        """Whether anybody wants it, and that introduction knew of the last reset."""
        self._record_size = 0
        """Bytes that the following updates have for each record."""
        self._layouts: dict[int, Struct] = {}
        """Of an update, by the size of a record."""
        self._introductions: dict[bytes, tuple[Extension | None, int, bool, bool]] = {}
        """What came of them, and would again: most say what one before them said."""
        for each in main:
            self._append(each.name, each.reset_id, each.header).main = each

    def players(self) -> dict[int, Player]:
        """What takes each record of the log, by its type: it is given the type with flags, and the data.

        The one of introductions returns whether nobody will ever want the updates that follow.

        Raises Unsupported for one that cannot be played, and struct.error for one that is cut.
        """
        return {what: method.__get__(self) for what, method in self.KINDS.items()}

    def header(self, name: bytes) -> bytes:
        """The header of ``name``, which is empty when there is no such extension."""
        found = self._by_name.get(name)
        return b"" if found is None else bytes(found.header)

    def record(self, name: bytes, uid: int, before: bytes | None) -> bytes:
        """What ``name`` has for ``uid``, whose record in the main file is ``before``; empty when it has none."""
        found = self._by_name.get(name)
        if found is None:
            return b""
        value = b""
        if before is not None and found.main is not None:
            value = before[found.main.record_offset :][: found.main.record_size]
        for low, high, layout, data in found.updates:
            if low <= uid <= high:
                item = (uid, b"") if layout is None else search(layout, data, uid)
                if item is not None:
                    value = bytes(item[1])
        return value

    def _append(self, name: bytes, reset_id: int, header: bytes) -> Extension:
        if len(self._known) >= LIMIT_EXTENSIONS:
            raise Unsupported("index has very many extensions")
        is_wanted = name in self._wanted
        made = Extension(name, reset_id, header if is_wanted else b"", is_wanted=is_wanted)
        self._known.append(made)
        self._by_name.setdefault(name, made)
        return made

    def _introduce(self, _: int, data: bytes) -> bool:
        """Whether it is of one extension alone, and one whose updates nobody will ever want."""
        before = self._introductions.get(data)
        if before is None:
            return self._introduce_anew(data)
        self._current, self._record_size, self._takes_updates, is_idle = before
        return is_idle

    def _introduce_anew(self, data: bytes) -> bool:
        at, has_resized, is_idle = 0, False, False
        while at + INTRO.size <= len(data):
            number, reset_id, header_size, record_size, _, flags, name_size = INTRO.unpack_from(data, at)
            is_first = at == 0
            at += INTRO.size
            if number == NO_NUMBER:
                found = self._named(data[at : at + name_size], reset_id)
            elif number < len(self._known):
                found = self._known[number]
            else:
                raise Unsupported("transaction log uses an unknown extension")
            at += name_size + (-name_size & 3)
            self._current = found
            self._record_size = record_size
            self._takes_updates = found.is_wanted and found.reset_id == reset_id
            is_idle = is_first and not found.is_wanted
            if self._takes_updates and header_size != len(found.header):
                _resize(found.header, header_size, may_shrink=not flags & FLAG_NO_SHRINK)
                has_resized = True
        if has_resized or len(self._introductions) >= LIMIT_INTRODUCTIONS:
            self._introductions.clear()  # who knew another size has something to do again
        if not has_resized:
            self._introductions[data] = (self._current, self._record_size, self._takes_updates, is_idle)
        return is_idle

    def _named(self, name: bytes, reset_id: int) -> Extension:
        """The extension of this name, which may be a new one."""
        if not name:
            raise Unsupported("transaction log introduces an extension without a name")
        known = self._by_name.get(name)
        return self._append(name, reset_id, b"") if known is None else known

    def _introduced(self) -> Extension:
        if self._current is None:
            raise Unsupported("transaction log changes an extension before it names one")
        return self._current

    def _reset(self, _: int, data: bytes) -> None:
        self._introductions.clear()
        extension = self._introduced()
        extension.reset_id, is_kept = RESET.unpack_from(data.ljust(RESET.size, b"\0"))
        if extension.is_wanted and not is_kept:
            extension.header[:] = bytes(len(extension.header))
            extension.updates = [(0, HIGHEST_UID, None, b"")]

    def _update_header(self, _: int, data: bytes, piece: Struct = PIECE) -> None:
        extension = self._introduced()
        if not self._takes_updates:
            return
        at = 0
        while at + piece.size <= len(data):
            offset, size = piece.unpack_from(data, at)
            at += piece.size
            if at + size > len(data) or offset + size > len(extension.header):
                raise Unsupported("transaction log changes an extension beyond its header")
            extension.header[offset : offset + size] = data[at : at + size]
            at += size + (-size & 3)

    def _update_header32(self, _: int, data: bytes) -> None:
        self._update_header(_, data, PIECE32)

    def _update_records(self, _: int, data: bytes) -> None:
        extension = self._introduced()
        if not self._takes_updates:
            return
        size = self._record_size
        layout = self._layouts.get(size)
        if layout is None:
            layout = self._layouts[size] = Struct(f"<I{size}s{-size & 3}x")
        count = len(data) // layout.size
        if count:
            if len(extension.updates) >= LIMIT_UPDATES:
                raise Unsupported("transaction log has very many records")
            low = high = layout.unpack_from(data)[0]
            if count > 1:
                high = layout.unpack_from(data, (count - 1) * layout.size)[0]
            extension.updates.append((low, high, layout, data))

    def _increase_records(self, _: int, data: bytes) -> None:
        """Counters; no format that we read has one."""
        if self._introduced().is_wanted:
            raise Unsupported("transaction log counts in an extension")

    def _use_keyword(self, _: int, data: bytes) -> None:
        if keywords.EXTENSION_NAME not in self._by_name:
            self._append(keywords.EXTENSION_NAME, 0, b"")

    KINDS: ClassVar[dict[int, Callable[[Extensions, int, bytes], bool | None]]] = {
        EXT_INTRO: _introduce,
        EXT_RESET: _reset,
        EXT_HEADER_UPDATE: _update_header,
        EXT_HEADER_UPDATE32: _update_header32,
        EXT_RECORD_UPDATE: _update_records,
        EXT_ATOMIC_INC: _increase_records,
        KEYWORD_UPDATE: _use_keyword,
    }


def _resize(header: bytearray, size: int, *, may_shrink: bool) -> None:
    """A header that grows is filled up with zeros; one that shrinks may not where somebody knows a longer one."""
    if size > LIMIT_HEADER:
        raise Unsupported("transaction log has an extension with a very long header")
    if size > len(header):
        header.extend(bytes(size - len(header)))
    elif may_shrink:
        del header[size:]
