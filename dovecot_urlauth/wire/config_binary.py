"""Dovecot 2.4's parsed configuration: the file whose fd the config process hands out.

The file holds blocks, one for each C structure of settings (``mail_user``, ``mail_storage`` ...).  A block has
the names of its keys and, for every filter under which somebody set one of them, records of key and value.
Nothing says which keys are lists: who reads has to know.

    "DOVECOT-CONFIG\\t1.0\\n"  u64 size of the rest
    since 2.4.2: paths of the parsed files, and a hash table of all keys
    u32 count, and as many filters                              wire/config_filter.py
    blocks: u64 size, name, u32 count and keys, u32 count and settings by filter, their filters' numbers, NUL

Integers are big-endian up to 2.4.1 and the machine's own since.  Strings end with NUL.  Layout of
config/config-dump-full.c and lib-settings/settings.c, taken from files of 2.4.1 and 2.4.5.
"""

from __future__ import annotations

import sys
from struct import unpack

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.config_filter import ConfigFileError, Filter, parse_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, Literal

    Read = Callable[[int, int], bytes]
    _Taken = tuple[Any, ...]
    """Records read so far, the last one first: () for none, or those before it and a record."""

MAGIC = b"DOVECOT-CONFIG\t"
VERSION = b"1.0\n"
MAJOR_VERSION = b"1."

BIG_ENDIAN = ">"
NATIVE = "="
U32 = 4
U64 = 8

PATH_STATUS_SIZE = 32
"""inode, size, mtime and ctime behind each path."""

CHUNK = 64 * 1024
LARGEST_READ = 1 << 20
LONGEST_STRING = 1 << 20

NOTHING_SET = b"\0" + bytes(U32)
"""Settings of a filter without error text, groups and records."""

OPERATIONS = (b"+", b"$", b".")
"""What a list's value begins with."""
MOST_WAYS = 1000
"""Ways to read one filter's settings, before they are given up."""

EXPANSION_MARK = b"\x01"
"""Begins a value with variables: a compiled form, LF, and the text as written."""


@frozen
class Record:
    """One setting under one filter."""

    key: str
    operation: str
    """For lists, otherwise empty: ``+`` sets a word, ``$`` the last word of a whole list, ``.`` is a whole list
    without any."""
    word: str
    value: str
    """As the administrator wrote it, variables unexpanded."""


@frozen
class FilteredSettings:
    """What a block holds under one filter."""

    filter: Filter
    error: str
    """If not empty, using these settings fails with this text."""
    groups: tuple[str, ...]
    """``label/name`` of the ``@label = name`` includes."""
    records: tuple[Record, ...]


def read_config(
    read: Read, wanted: Collection[str], byte_order: str, lists: Collection[str]
) -> dict[str, tuple[FilteredSettings, ...]]:
    """Read the ``wanted`` blocks; blocks that the file lacks are left out.

    ``read(size, offset)`` gives up to ``size`` bytes of the file, as os.pread does.  ``byte_order`` is
    :data:`BIG_ENDIAN` for the format of 2.4.0 and 2.4.1, :data:`NATIVE` for the one since 2.4.2.
    ``lists`` names the settings that are lists.
    Raises :class:`ConfigFileError`.
    """
    cursor = _Cursor(read, byte_order)
    end = _read_header(cursor)
    native = byte_order == NATIVE
    list_keys = frozenset(name.encode() for name in lists)
    if native:
        _skip_paths_and_keys(cursor)
    filters = [_read_filter(cursor, native) for _ in range(cursor.number(U32))]
    blocks = {}
    while cursor.offset < end:
        size = cursor.number(U64)
        start = cursor.offset
        name = cursor.string().decode("ascii", "replace")
        rest = size - (cursor.offset - start)
        if name in wanted:
            blocks[name] = _read_block(cursor.take(rest), byte_order, filters, list_keys)
        else:
            cursor.skip(rest)
    return blocks


def read_filters(read: Read, byte_order: str) -> tuple[int, bytes]:
    """The part of the file with all filters: where it starts, and its bytes.  Raises :class:`ConfigFileError`."""
    cursor = _Cursor(read, byte_order)
    _read_header(cursor)
    native = byte_order == NATIVE
    if native:
        _skip_paths_and_keys(cursor)
    count = cursor.number(U32)
    start = cursor.offset
    for _ in range(count):
        _read_filter(cursor, native)
    size = cursor.offset - start
    return start, _Cursor(lambda more, at: read(more, start + at), byte_order).take(size)


def _read_header(cursor: _Cursor) -> int:
    """Where the file ends, if it is one of ours."""
    if cursor.take(len(MAGIC)) != MAGIC:
        raise ConfigFileError("File header doesn't begin with DOVECOT-CONFIG line")
    version = cursor.take(len(VERSION))
    if not version.startswith(MAJOR_VERSION):
        raise ConfigFileError(f"Unsupported config file version '{_text(version).strip()}'")
    size = cursor.number(U64)
    return cursor.offset + size


def _skip_paths_and_keys(cursor: _Cursor) -> None:
    for _ in range(cursor.number(U32)):
        cursor.string()
        cursor.skip(PATH_STATUS_SIZE)
    cursor.skip(cursor.number(U32))


def _read_filter(cursor: _Cursor, native: bool) -> str:
    text = _text(cursor.string())
    if native:
        cursor.skip(U32)  # the number of list elements it names
    else:
        cursor.string()  # the same filter, for overrides
    return text


def _read_block(
    data: bytes, byte_order: str, filters: list[str], lists: frozenset[bytes]
) -> tuple[FilteredSettings, ...]:
    """Read a block from behind its name."""
    cursor = _Cursor(_no_more, byte_order, data)
    keys = cursor.strings(cursor.number(U32))
    count = cursor.number(U32)
    bodies = [cursor.take(cursor.number(U64)) for _ in range(count)]
    _check_tables(len(data) - cursor.offset, count, byte_order)
    settings = []
    for body, index in zip(bodies, _filter_indexes(data, count, byte_order)):
        if body == NOTHING_SET:
            continue
        if index >= len(filters):
            raise ConfigFileError(f"Settings filter index too high ({index} >= {len(filters)})")
        settings.append(_read_settings(body, byte_order, keys, parse_filter(filters[index]), lists))
    return tuple(settings)


def _check_tables(rest: int, count: int, byte_order: str) -> None:
    """Behind the settings stand two tables and a NUL, and nothing that we do not know of."""
    unknown = rest - count * (U64 + U32) - len(b"\0")
    if not 0 <= unknown < (U64 if byte_order == NATIVE else 1):
        raise ConfigFileError(f"Settings block has {unknown} bytes that are not known")


def _filter_indexes(data: bytes, count: int, byte_order: str) -> tuple[int, ...]:
    """Which filters a block's settings belong to: a table at its end, before offsets or behind them."""
    end = len(data) - len(b"\0") - (0 if byte_order == NATIVE else count * U64)
    start = end - count * U32
    if start < 0 or data[-1:] != b"\0":
        raise ConfigFileError("Settings block doesn't end with NUL")
    indexes: tuple[int, ...] = unpack(f"{byte_order}{count}I", data[start:end])
    return indexes


def _read_settings(
    body: bytes, byte_order: str, keys: list[bytes], filter: Filter, lists: frozenset[bytes]
) -> FilteredSettings:
    cursor = _Cursor(_no_more, byte_order, body)
    error = _text(cursor.string())
    groups = []
    for _ in range(cursor.number(U32)):
        label = cursor.string()
        groups.append(_text(label + b"/" + cursor.string()))
    records = _read_records(body[cursor.offset :], byte_order, keys, lists)
    return FilteredSettings(filter, error, tuple(groups), records)


def _read_records(data: bytes, byte_order: str, keys: list[bytes], lists: frozenset[bytes]) -> tuple[Record, ...]:
    """All records up to the end of ``data``.

    A setting that we have never heard of may be a list, if its value begins as one of a list does: both ways are
    gone, and exactly one of them must end where the data does.
    """
    whole: _Taken | None = None
    failure: ConfigFileError | None = None
    pending: list[tuple[int, _Taken, bool]] = [(0, (), False)]
    for _ in range(MOST_WAYS):
        if not pending:
            break
        at, taken, is_list = pending.pop()
        cursor = _Cursor(_no_more, byte_order, data)
        cursor.skip(at)
        try:
            while not cursor.at_end():
                at = cursor.offset
                index = cursor.number(U32)
                if index >= len(keys):
                    raise ConfigFileError(f"Settings key index too high ({index} >= {len(keys)})")
                key = keys[index]
                if not is_list and key not in lists and data[cursor.offset : cursor.offset + 1] in OPERATIONS:
                    pending.append((at, taken, True))
                taken = (taken, _read_record(cursor, key, is_list=is_list or key in lists))
                is_list = False
        except ConfigFileError as error:
            failure = failure or error
            continue
        if whole is not None:
            raise ConfigFileError("Configuration can be read in two ways")
        whole = taken
    if pending:
        raise ConfigFileError("Configuration can be read in too many ways")
    if whole is None:
        raise failure or ConfigFileError("Configuration has no records")
    return _in_order(whole)


def _in_order(taken: _Taken) -> tuple[Record, ...]:
    records = []
    while taken:
        taken, record = taken
        records.append(record)
    return tuple(reversed(records))


def _read_record(cursor: _Cursor, key: bytes, *, is_list: bool) -> Record:
    word = operation = ""
    if is_list:
        operation = _text(cursor.take(1))
        word = _text(cursor.string())
    value = cursor.string()
    if value.startswith(EXPANSION_MARK):
        _, _, value = value.partition(b"\n")
    return Record(_text(key), operation, word, _text(value))


class _Cursor:
    """Reads forward through a file that need not be held as a whole."""

    def __init__(self, read: Read, byte_order: str, data: bytes = b"") -> None:
        self._read = read
        self._order: Literal["big", "little"] = "big" if byte_order == BIG_ENDIAN else sys.byteorder
        self._data = data
        self._at = 0
        self._base = 0

    @property
    def offset(self) -> int:
        """Where in the file the next byte stands."""
        return self._base + self._at

    def at_end(self) -> bool:
        """Whether the file ends here."""
        return self._at == len(self._data) and not self._have(1)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), self._order)

    def take(self, size: int) -> bytes:
        start = self._at
        end = start + size
        if not start <= end <= len(self._data):
            if not self._have(size):
                raise ConfigFileError(f"Configuration ends within {size} bytes at offset {self.offset}")
            start, end = self._at, self._at + size
        self._at = end
        return self._data[start:end]

    def skip(self, size: int) -> None:
        """Go on ``size`` bytes further without reading what lies between."""
        if size < 0:
            raise ConfigFileError(f"Configuration has a wrong size at offset {self.offset}")
        self._at += size
        if self._at > len(self._data):
            self._base, self._at, self._data = self._base + self._at, 0, b""

    def string(self) -> bytes:
        """The bytes up to the next NUL, which is passed over."""
        end = self._data.find(b"\0", self._at)
        while end < 0:
            length = len(self._data) - self._at
            if length > LONGEST_STRING or not self._have(length + 1):
                raise ConfigFileError(f"Configuration has an endless string at offset {self.offset}")
            end = self._data.find(b"\0", self._at)
        value = self._data[self._at : end]
        self._at = end + 1
        return value

    def strings(self, count: int) -> list[bytes]:
        """As many strings, from a file that is in memory as a whole."""
        *strings, rest = self._data[self._at :].split(b"\0", count)
        if len(strings) < count:
            raise ConfigFileError(f"Configuration ends within {count} strings at offset {self.offset}")
        self._at = len(self._data) - len(rest)
        return strings

    def _have(self, size: int) -> bool:
        """Have at least ``size`` bytes from here in memory, if the file goes on that far."""
        if size < 0:
            return False
        while len(self._data) - self._at < size:
            missing = size - (len(self._data) - self._at)
            more = self._read(min(max(missing, CHUNK), LARGEST_READ), self._base + len(self._data))
            if not more:
                return False
            self._data = self._data[self._at :] + more
            self._base, self._at = self._base + self._at, 0
        return True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _no_more(size: int, offset: int) -> bytes:
    """How to read on in data that is in memory as a whole."""
    return b""
